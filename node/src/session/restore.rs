//! Which session a browser is started on: the profile that is here, the newest snapshot, or none. And the way of a snapshot onto
//! this node's disk: its files, but only those that are not there yet.
//!
//! A profile that is here was used by some generation `g` (its stamp). A snapshot of generation `s` was taken from the
//! profile in use under `s`. So if `g >= s` the profile here is at least as new as the snapshot: it went on after it.
//! If `g < s` another node went on from where this profile stopped, and going back would replay an old ratchet.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use roost_engine::LocalStorage;
use roost_model::ids::Generation;

use super::crypto::Checksum;
use super::manifest::{FileEntry, Manifest};
use super::profile::{self, LockedProfile, ProfileStamp};
use super::{STORES, SessionError, SnapshotRef, SnapshotStore, files, leveldb, snapshot_store};

/// A profile ready to be launched.
#[derive(Debug)]
pub struct PreparedProfile {
    /// For [`roost_engine::Launch::profile`].
    pub browser_dir: PathBuf,
    /// For [`roost_engine::Launch::local_storage`].
    pub local_storage: Option<LocalStorage>,
    pub source: SessionSource,
}

/// Where the session came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionSource {
    /// The profile on this node is at least as new as every snapshot.
    Local,
    /// The newest snapshot.
    Restored { generation: Generation, sequence: i64 },
    /// There is no session: the tenant has to scan.
    Fresh,
}

/// The rule above.
pub(super) fn choose(local: Option<&ProfileStamp>, newest: Option<&SnapshotRef>) -> SessionSource {
    match (local, newest) {
        (Some(stamp), Some(newest)) if stamp.generation >= newest.generation => SessionSource::Local,
        (_, Some(newest)) => {
            SessionSource::Restored { generation: newest.generation, sequence: newest.sequence }
        }
        (Some(_), None) => SessionSource::Local,
        (None, None) => SessionSource::Fresh,
    }
}

impl LockedProfile {
    /// Makes the profile ready for a browser of `generation`, from `newest`, what [`LockedProfile::find_session`] has found.
    /// When it fails the profile is as it was.
    pub async fn prepare(
        &self,
        snapshots: &SnapshotStore,
        newest: Option<&SnapshotRef>,
        generation: Generation,
    ) -> Result<PreparedProfile, SessionError> {
        let source = choose(self.stamp().as_ref(), newest);
        let local_storage = match (source, newest) {
            (SessionSource::Restored { .. }, Some(newest)) => self.restore(snapshots, newest).await?,
            (SessionSource::Local, _) => self.local_storage_after_a_crash()?,
            _ => {
                self.set_damaged_aside()?;
                None
            }
        };
        self.begin_use(generation)?;
        Ok(PreparedProfile { browser_dir: self.browser_dir(), local_storage, source })
    }

    /// A browser that was killed has lost what localStorage it had not written; the copy of the last snapshot has it. What one
    /// that has closed in order has written is newer than the copy, also when the next one is killed before it is saved.
    fn local_storage_after_a_crash(&self) -> Result<Option<LocalStorage>, SessionError> {
        if self.stamp().is_some_and(|stamp| stamp.clean) {
            self.forget_local_storage()?;
        }
        self.saved_local_storage()
    }

    /// Its browser has closed in order, so that its files are all there is to know.
    pub fn closed_in_order(&self) -> Result<(), SessionError> {
        let stamp = self.stamp().map(|stamp| ProfileStamp { clean: true, ..stamp });
        stamp.map_or(Ok(()), |stamp| self.write_stamp(&stamp))
    }

    /// From now on the directory is this generation's and not clean.
    pub(super) fn begin_use(&self, generation: Generation) -> Result<(), SessionError> {
        self.make_browser_dir()?;
        self.remove_stale_singleton()?;
        let before = self.stamp();
        let has_session = before.as_ref().is_some_and(|stamp| stamp.has_session);
        let sequence =
            before.filter(|stamp| stamp.generation == generation).map_or(0, |stamp| stamp.sequence);
        let stamp = ProfileStamp { sequence, has_session, ..self.unused_stamp(generation) };
        self.write_stamp(&stamp)
    }

    /// Of a directory in which nothing has been done yet under this generation.
    pub(super) fn unused_stamp(&self, generation: Generation) -> ProfileStamp {
        ProfileStamp {
            uid: self.uid(),
            generation,
            sequence: 0,
            clean: false,
            session: self.session(),
            has_session: false,
            is_damaged: false,
        }
    }

    /// Fetches everything into a directory of its own, checks it, and only then moves it into place.
    pub(super) async fn restore(
        &self,
        snapshots: &SnapshotStore,
        from: &SnapshotRef,
    ) -> Result<Option<LocalStorage>, SessionError> {
        let manifest = snapshots.manifest(&self.named(from)).await?;
        self.settle().await;
        files::remove_dir(&self.incoming())?;
        let into = self.incoming_browser_dir();
        self.fetch_files(snapshots, &manifest, &STORES, &into, &mut FetchedFiles::default()).await?;
        // Also one of before copies were looked at when they were taken.
        self.work_on_files(move || leveldb::check_in_place(&into)).await?;
        self.give_incoming()?;
        // The files of a browser that has closed hold it to the last write, and what was read before may be older.
        let local_storage = fetch_local_storage(snapshots, &manifest).await?.filter(|_| !manifest.clean);
        let stamp = ProfileStamp {
            sequence: from.sequence,
            clean: from.clean,
            has_session: true,
            ..self.unused_stamp(from.generation)
        };
        profile::write_stamp(&self.incoming(), &stamp)?;
        // Before the directory is moved: the copy beside it must not outlive the session that it belonged to.
        match &local_storage {
            Some(values) => self.save_local_storage(values)?,
            None => self.forget_local_storage()?,
        }
        self.move_incoming_in()?;
        self.beginning.with(manifest);
        Ok(local_storage)
    }
}

/// What lies in a directory that was fetched into: path and checksum of each file.
#[derive(Debug, Default)]
pub struct FetchedFiles {
    files: BTreeMap<PathBuf, String>,
}

impl LockedProfile {
    /// Makes `into` hold the snapshot's files below `stores`, whole and on disk, and no others of those that were fetched.
    /// Returns how many had to be fetched.
    pub(super) async fn fetch_files(
        &self,
        snapshots: &SnapshotStore,
        manifest: &Manifest,
        stores: &[&str],
        into: &Path,
        known: &mut FetchedFiles,
    ) -> Result<usize, SessionError> {
        let mut wanted = BTreeMap::new();
        for file in &manifest.files {
            let path = checked_path(manifest, file)?;
            if stores.iter().any(|store| path.starts_with(store)) {
                wanted.insert(path, file);
            }
        }
        let stale =
            |path: &PathBuf, sha256: &String| wanted.get(path).is_none_or(|file| file.sha256 != *sha256);
        for (path, _) in known.files.extract_if(.., |path, sha256| stale(path, sha256)) {
            let path = into.join(path);
            fs::remove_file(&path).map_err(SessionError::disk("removing an outdated file", path))?;
        }
        wanted.retain(|path, _| !known.files.contains_key(path));
        let fetches: Vec<_> = wanted
            .iter()
            .map(|(path, file)| fetch_file(self, snapshots, manifest, file, (into, path)))
            .collect();
        stream::iter(fetches).buffer_unordered(snapshot_store::CONCURRENCY).try_collect::<Vec<()>>().await?;
        let fetched = wanted.len();
        known.files.extend(wanted.into_iter().map(|(path, file)| (path, file.sha256.clone())));
        Ok(fetched)
    }
}

/// The localStorage that was saved with the snapshot, if it was.
pub(super) async fn fetch_local_storage(
    snapshots: &SnapshotStore,
    manifest: &Manifest,
) -> Result<Option<LocalStorage>, SessionError> {
    let Some(file) = &manifest.local_storage else { return Ok(None) };
    let name = manifest.name();
    let text = snapshots.file(&name, file).await?;
    let corrupt =
        |error: serde_json::Error| SessionError::Corrupt { object: name.object(), reason: error.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(corrupt)
}

/// Piece by piece; what is not whole does not stay.
async fn fetch_file(
    profile: &LockedProfile,
    snapshots: &SnapshotStore,
    manifest: &Manifest,
    file: &FileEntry,
    (into, path): (&Path, &Path),
) -> Result<(), SessionError> {
    let mut fetched = {
        let (into, path) = (into.to_owned(), path.to_owned());
        profile.work_on_files(move || FetchedFile::create(&into, &path)).await?
    };
    let done = async {
        for blob in &file.blobs {
            let (content, room) = snapshots.piece(manifest.uid, file, blob).await?;
            let written = move || {
                let _room = room;
                fetched.append(&content).map(|()| fetched)
            };
            fetched = profile.work_on_files(written).await?;
        }
        file.check(&manifest.name(), &fetched.checksum)?;
        profile.work_on_files(move || fetched.sync()).await
    };
    let done = done.await;
    if done.is_err() {
        files::remove_file(&into.join(path))?;
    }
    done
}

/// A manifest is authentic, but a path that leads out of the stores is refused all the same.
fn checked_path(manifest: &Manifest, file: &FileEntry) -> Result<PathBuf, SessionError> {
    let path = PathBuf::from(&file.path);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && STORES.iter().any(|store| path.starts_with(store)) {
        Ok(path)
    } else {
        let reason = format!("the path {:?} is outside the session's stores", file.path);
        Err(SessionError::Corrupt { object: manifest.name().object(), reason })
    }
}

/// A restored file on its way to the disk.
struct FetchedFile {
    path: PathBuf,
    file: fs::File,
    checksum: Checksum,
}

impl FetchedFile {
    fn create(into: &Path, path: &Path) -> Result<Self, SessionError> {
        let below = path.parent().unwrap_or(Path::new(""));
        let path = into.join(path);
        let file = files::make_private_dir(into, below).and_then(|()| files::create_private_file(&path));
        let file = file.map_err(SessionError::disk(WRITING, &path))?;
        Ok(Self { path, file, checksum: Checksum::default() })
    }

    fn append(&mut self, content: &[u8]) -> Result<(), SessionError> {
        self.checksum.update(content);
        self.file.write_all(content).map_err(SessionError::disk(WRITING, &self.path))
    }

    /// On disk when it returns: a stamp must never vouch for files that a power cut empties.
    fn sync(self) -> Result<(), SessionError> {
        self.file.sync_data().map_err(SessionError::disk(WRITING, &self.path))?;
        files::sync_dir(self.path.parent().unwrap_or(&self.path))
    }
}

const WRITING: &str = "writing a restored file";

#[cfg(test)]
mod tests {
    use roost_model::ids::SessionNumber;
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    fn stamp(generation: i64) -> ProfileStamp {
        ProfileStamp {
            uid: Uuid::nil(),
            generation: Generation(generation),
            sequence: 0,
            clean: false,
            session: SessionNumber(1),
            has_session: true,
            is_damaged: false,
        }
    }

    fn snapshot(generation: i64) -> SnapshotRef {
        SnapshotRef {
            manifest: String::new(),
            generation: Generation(generation),
            sequence: 7,
            clean: false,
            taken_at: OffsetDateTime::UNIX_EPOCH,
            bytes: None,
        }
    }

    #[test]
    fn the_newer_of_profile_and_snapshot_is_used() {
        let restored = SessionSource::Restored { generation: Generation(5), sequence: 7 };
        assert_eq!(choose(None, None), SessionSource::Fresh);
        assert_eq!(choose(None, Some(&snapshot(5))), restored);
        assert_eq!(
            choose(Some(&stamp(4)), None),
            SessionSource::Local,
            "a session that was never saved is still a session"
        );
        assert_eq!(choose(Some(&stamp(4)), Some(&snapshot(5))), restored);
        assert_eq!(choose(Some(&stamp(5)), Some(&snapshot(5))), SessionSource::Local);
        assert_eq!(choose(Some(&stamp(6)), Some(&snapshot(5))), SessionSource::Local);
    }
}
