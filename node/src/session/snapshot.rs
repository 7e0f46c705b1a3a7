//! Taking snapshots of one worker's session.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use roost_engine::{Frozen, LocalStorage, Page};
use roost_model::ids::{Generation, SessionNumber};
use roost_store::SnapshotId;
use time::OffsetDateTime;

use super::manifest::{Manifest, ManifestName, VERSION};
use super::profile::{LockedProfile, ProfileStamp};
use super::snapshot_listing::{SnapshotListing, Tombstone};
use super::staging::{self, SessionFile};
use super::upload::Uploads;
use super::{SessionError, SnapshotRef, SnapshotStore, files, leveldb};
use crate::blocking::run_blocking;

/// Takes the snapshots of one session, for as long as one generation owns it. A snapshot counts once the caller has
/// written its reference to the pointer row; then it calls [`SnapshotTaker::recorded`].
pub struct SnapshotTaker {
    snapshots: SnapshotStore,
    profile: Arc<LockedProfile>,
    generation: Generation,
    session: SessionNumber,
    /// The last one that was used, whatever came of its save.
    sequence: i64,
    uploads: Uploads,
    /// The last snapshot that is in the store, with what was there before it, and what it holds if that is known.
    saved: Option<(Manifest, SnapshotListing)>,
    last: Option<SnapshotContents>,
}

/// What a snapshot would hold, cheaply told: to find that nothing has changed.
#[derive(PartialEq)]
struct SnapshotContents {
    files: Vec<SessionFile>,
    local_storage: LocalStorage,
}

impl SnapshotTaker {
    /// Goes on counting after the last snapshot of this generation, if there is one.
    pub async fn new(
        snapshots: SnapshotStore,
        profile: Arc<LockedProfile>,
        generation: Generation,
    ) -> Result<Self, SessionError> {
        let taken = snapshots.listing(profile.uid()).await?.last_sequence(generation);
        let stamped =
            profile.stamp().filter(|stamp| stamp.generation == generation).map(|stamp| stamp.sequence);
        Ok(Self {
            sequence: taken.max(stamped).unwrap_or(0),
            uploads: Uploads::on(profile.beginning.take_base().as_ref()),
            session: profile.session(),
            snapshots,
            profile,
            generation,
            saved: None,
            last: None,
        })
    }

    /// From a browser that runs: it is frozen for milliseconds. `None` when nothing has changed since the last one.
    pub async fn take_running(&mut self, page: &Arc<dyn Page>) -> Result<Option<SnapshotRef>, SessionError> {
        // Before the files, so that files saved are never older than it: the page writes its keys there.
        let local_storage = page.local_storage().await?;
        let dir = self.profile.browser_dir();
        let now = SnapshotContents { files: run_blocking(move || staging::find(&dir)).await?, local_storage };
        if self.last.as_ref() == Some(&now) {
            return Ok(None);
        }
        // Until this one is whole there is none to which nothing has changed.
        self.last = None;
        let staged = self.stage(Some(page.clone())).await?;
        let contents = SnapshotContents { files: staged, local_storage: now.local_storage };
        self.profile.save_local_storage(&contents.local_storage)?;
        let taken = self.save(&contents.files, Some(&contents.local_storage), false).await?;
        self.last = Some(contents);
        Ok(Some(taken))
    }

    /// Whether a running browser has changed its files since the last snapshot of it, or there is none. One `stat` for each.
    pub async fn has_changed(&self) -> Result<bool, SessionError> {
        let dir = self.profile.browser_dir();
        let files = run_blocking(move || staging::find(&dir)).await?;
        Ok(self.last.as_ref().map_or(!files.is_empty(), |last| last.files != files))
    }

    /// From a browser that has closed: `clean` is what [`Page::close`] returned, `local_storage` was read just before. For a
    /// browser that had to be killed before it could be read the copy of the last snapshot stands in.
    pub async fn take_stopped(
        &mut self,
        clean: bool,
        local_storage: Option<LocalStorage>,
    ) -> Result<SnapshotRef, SessionError> {
        self.last = None;
        // First, so that the profile counts as clean also when the object store cannot be reached.
        self.stamp(clean, false)?;
        let staged = self.stage(None).await?;
        let local_storage = match local_storage {
            Some(values) => {
                self.profile.save_local_storage(&values)?;
                Some(values)
            }
            None if clean => None,
            None => self.profile.saved_local_storage()?,
        };
        self.save(&staged, local_storage.as_ref(), clean).await
    }

    /// From the files of a snapshot that was restored, before a browser uses them: a copy that is this generation's own.
    pub async fn take_restored(
        &mut self,
        clean: bool,
        local_storage: Option<&LocalStorage>,
    ) -> Result<SnapshotRef, SessionError> {
        self.last = None;
        let staged = self.stage(None).await?;
        let taken = self.save(&staged, local_storage, clean).await?;
        self.stamp(false, true)?;
        Ok(taken)
    }

    /// The pointer row names the last snapshot taken: older ones may go, but for those that are `listed` with it.
    pub async fn recorded(&mut self, listed: &[SnapshotId]) -> Result<(), SessionError> {
        let Some((saved, listing)) = &self.saved else { return Ok(()) };
        self.uploads.forget_all_but(saved);
        self.profile.beginning.with_nothing();
        self.snapshots.prune(saved, listing, listed).await
    }

    /// From now on nothing that was taken before is restored any more, not even one that is still being stored: the
    /// tombstone takes the next sequence. What is taken from here on is of another session.
    pub async fn forget(&mut self) -> Result<Tombstone, SessionError> {
        let (uid, generation) = (self.profile.uid(), self.generation);
        // Nothing is known to be there once the removal of what is forgotten may have begun.
        self.uploads = Uploads::default();
        (self.last, self.saved) = (None, None);
        self.sequence = self.snapshots.next_sequence(self.sequence);
        let name = ManifestName { uid, generation, sequence: self.sequence };
        self.snapshots.put_tombstone(&name).await?;
        Ok(Tombstone(name))
    }

    /// Copies the files, with the page frozen if there is one. On a thread of its own, which no cancellation ends
    /// between freezing and thawing.
    async fn stage(&self, page: Option<Arc<dyn Page>>) -> Result<Vec<SessionFile>, SessionError> {
        let (browser_dir, staging) = (self.profile.browser_dir(), self.profile.staging());
        self.profile.settle().await;
        let work = move || copy(&browser_dir, &staging, page.as_deref());
        let staged = self.profile.work_on_files(work).await?;
        if staged.is_empty() {
            Err(SessionError::Empty { path: self.profile.browser_dir() })
        } else {
            Ok(staged)
        }
    }

    /// Uploads what is staged and stores the manifest.
    async fn save(
        &mut self,
        staged: &[SessionFile],
        local_storage: Option<&LocalStorage>,
        clean: bool,
    ) -> Result<SnapshotRef, SessionError> {
        let staging = self.profile.staging();
        // Used up before anything is stored: a save that fails or is given up may have stored something under it.
        self.sequence = self.snapshots.next_sequence(self.sequence);
        let name =
            ManifestName { uid: self.profile.uid(), generation: self.generation, sequence: self.sequence };
        let files = self.uploads.upload(&self.snapshots, &name, &staging, staged).await?;
        let local_storage = match local_storage {
            Some(values) => Some(self.uploads.upload_local_storage(&self.snapshots, &name, values).await?),
            None => None,
        };
        let ManifestName { uid, generation, sequence } = name;
        let taken_at = OffsetDateTime::now_utc();
        let (version, session) = (VERSION, self.session);
        let manifest =
            Manifest { version, uid, generation, sequence, session, clean, taken_at, files, local_storage };
        let listing = self.snapshots.put_manifest(&manifest).await?;
        let reference = manifest.reference();
        self.saved = Some((manifest, listing));
        self.stamp(clean, true)?;
        files::remove_dir(&staging)?;
        Ok(reference)
    }

    fn stamp(&self, clean: bool, is_saved: bool) -> Result<(), SessionError> {
        let has_session = is_saved || self.profile.stamp().is_some_and(|stamp| stamp.has_session);
        let unused = self.profile.unused_stamp(self.generation);
        self.profile.write_stamp(&ProfileStamp { sequence: self.sequence, clean, has_session, ..unused })
    }
}

/// Blocking. Nothing comes of a freeze that did not last, or of a copy that is not whole.
fn copy(
    browser_dir: &Path,
    staging: &Path,
    page: Option<&dyn Page>,
) -> Result<Vec<SessionFile>, SessionError> {
    staging::prepare(staging)?;
    let ahead = staging::stage_ahead(browser_dir, staging)?;
    let frozen = page.map(Page::freeze).transpose()?;
    let since = Instant::now();
    let staged = staging::stage(browser_dir, staging, &ahead)?;
    frozen.map(Frozen::thaw).transpose()?;
    let frozen_ms = since.elapsed().as_secs_f64() * 1e3;
    tracing::debug!(frozen_ms, "the session's files are staged");
    leveldb::check(staging, &staged)?;
    Ok(staged)
}
