//! A profile that comes from elsewhere, file by file, and becomes a snapshot: the session of a whatsapp-web.js that has stopped.
//!
//! What comes is somebody's word and no more: each path is checked, nothing is taken beyond the limits, and the whole is looked at as
//! any copy of a session is before it is stored. It lies in a directory of the import's own until then, which goes with it; what a
//! crash leaves of one goes at the next start.

use std::{
    fs::File,
    io::Write,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use roost_model::ids::{Generation, SessionNumber};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{
    INDEXED_DB, LOCAL_STORAGE_DIR, SessionError, SnapshotRef, SnapshotStore, files, leveldb,
    manifest::{Manifest, ManifestName, VERSION},
    staging::{self, FILE_AT_MOST, SESSION_AT_MOST},
    upload::Uploads,
};
use crate::blocking::run_blocking;

/// In the state directory.
const IMPORTS: &str = "imports";
/// At a time, each with a session's bytes on the disk.
const AT_ONCE: usize = 2;
/// More files than any session has; each is an inode on the node's disk and an object in the store.
const FILES_AT_MOST: u32 = 50_000;

/// Why what comes is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The sender does not keep to the protocol.
    #[error("{0}")]
    Malformed(String),
    /// The profile is not one whose session could be resumed.
    #[error("{0}")]
    Unusable(String),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Where profiles are received. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Imports {
    dir: PathBuf,
    places: Arc<Semaphore>,
}

impl Imports {
    /// Removes what imports of before have left.
    pub fn in_state_dir(state_dir: &Path) -> Result<Self, SessionError> {
        let dir = state_dir.join(IMPORTS);
        files::remove_dir(&dir)?;
        Ok(Self { dir, places: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// Waits for its turn. `database` is what Chromium calls the databases of the page's origin.
    pub async fn receive(&self, database: String) -> Result<ReceivedProfile, SessionError> {
        let place = self.places.clone().acquire_owned().await;
        let dir = self.dir.clone();
        run_blocking(move || {
            let made = files::make_private_dir(&dir, Path::new("")).and_then(|()| TempDir::new_in(&dir));
            let dir = made.map_err(SessionError::disk("making a directory for an import", &dir))?;
            Ok(ReceivedProfile { dir, database, files: 0, bytes: 0, open: None, _place: place.ok() })
        })
        .await
    }
}

/// A profile as far as it has come.
#[derive(Debug)]
pub struct ReceivedProfile {
    dir: TempDir,
    database: String,
    files: u32,
    /// Of the files as they were announced.
    bytes: u64,
    open: Option<OpenFile>,
    _place: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: File,
    left: u64,
}

impl ReceivedProfile {
    /// The largest file, and the most in all.
    pub const LIMITS: (u64, u64) = (FILE_AT_MOST, SESSION_AT_MOST);

    /// Blocking.
    pub fn begin_file(&mut self, path: &str, size: u64) -> Result<(), ImportError> {
        self.end_file()?;
        let below = self.checked(path)?;
        let too_large = |what: String, bytes, limit| SessionError::TooLarge { what, bytes, limit };
        if size > FILE_AT_MOST {
            return Err(too_large(format!("the session's file {path}"), size, FILE_AT_MOST).into());
        }
        self.bytes += size;
        if self.bytes > SESSION_AT_MOST {
            return Err(too_large("the session".to_owned(), self.bytes, SESSION_AT_MOST).into());
        }
        self.files += 1;
        if self.files > FILES_AT_MOST {
            return Err(ImportError::Unusable(format!("it has more than {FILES_AT_MOST} files")));
        }
        let path = self.dir.path().join(&below);
        let created = || {
            files::make_private_dir(self.dir.path(), below.parent().unwrap_or(Path::new("")))?;
            File::create_new(&path)
        };
        let file = match created() {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(ImportError::Malformed(format!("the file {} came twice", below.display())));
            }
            created => created.map_err(SessionError::disk(WRITING, &path))?,
        };
        self.open = Some(OpenFile { path, file, left: size });
        Ok(())
    }

    /// Blocking.
    pub fn append(&mut self, content: &[u8]) -> Result<(), ImportError> {
        let Some(open) = &mut self.open else {
            return Err(ImportError::Malformed("content came before any file".to_owned()));
        };
        match open.left.checked_sub(content.len() as u64) {
            Some(left) => open.left = left,
            None => return Err(ImportError::Malformed("a file is longer than was announced".to_owned())),
        }
        Ok(open.file.write_all(content).map_err(SessionError::disk(WRITING, &open.path))?)
    }

    fn end_file(&mut self) -> Result<(), ImportError> {
        match self.open.take() {
            Some(open) if open.left > 0 => {
                Err(ImportError::Malformed("a file is shorter than was announced".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Nothing more comes; the sender has sent so much. Blocking.
    pub fn end(mut self, files: u32, bytes: u64) -> Result<WholeProfile, ImportError> {
        self.end_file()?;
        if (files, bytes) != (self.files, self.bytes) {
            let (got, of) = (self.files, self.bytes);
            let what = format!("{files} files of {bytes} bytes were sent, and {got} of {of} have come");
            return Err(ImportError::Malformed(what));
        }
        let database = Path::new(INDEXED_DB).join(format!("{}{LEVELDB}", self.database));
        for needed in [database, Path::new(LOCAL_STORAGE_DIR).join("leveldb")] {
            if !self.dir.path().join(&needed).is_dir() {
                let what = format!("it has no {}, and so no session to resume", needed.display());
                return Err(ImportError::Unusable(what));
            }
        }
        leveldb::check_in_place(self.dir.path())?;
        Ok(WholeProfile(self))
    }

    /// Only the page's own databases: what else a browser has kept is none of the session.
    fn checked(&self, given: &str) -> Result<PathBuf, ImportError> {
        let path = PathBuf::from(given);
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let parent = path.parent().unwrap_or(Path::new(""));
        let own = [LEVELDB, BLOBS].map(|kind| Path::new(INDEXED_DB).join(format!("{}{kind}", self.database)));
        let is_of_session = own.iter().any(|own| parent.starts_with(own))
            || parent == Path::new(LOCAL_STORAGE_DIR).join("leveldb");
        // As long as the file system takes, and no longer than a manifest should have.
        if is_plain && is_of_session && given.len() <= 1_024 {
            Ok(path)
        } else {
            Err(ImportError::Malformed(format!("the file {given:?} is none of the session's")))
        }
    }
}

const WRITING: &str = "writing a file of an import";
const LEVELDB: &str = ".indexeddb.leveldb";
const BLOBS: &str = ".indexeddb.blob";

/// One that has come whole, and whose databases are.
#[derive(Debug)]
pub struct WholeProfile(ReceivedProfile);

/// As what a profile is stored.
#[derive(Debug, Clone, Copy)]
pub struct ImportedAs {
    pub uid: Uuid,
    /// Of this import alone.
    pub generation: Generation,
    pub session: SessionNumber,
    /// Its browser has closed in order.
    pub clean: bool,
}

impl WholeProfile {
    /// Stores it as a snapshot. What of it is stored when this fails, or is given up, the tenant's next owner prunes.
    pub async fn store(
        &self,
        snapshots: &SnapshotStore,
        imported: ImportedAs,
    ) -> Result<SnapshotRef, SessionError> {
        let Self(received) = self;
        let dir = received.dir.path().to_owned();
        let ImportedAs { uid, generation, session, clean } = imported;
        let found = {
            let dir = dir.clone();
            run_blocking(move || staging::find(&dir)).await?
        };
        let sequence = snapshots.next_sequence(0);
        let name = ManifestName { uid, generation, sequence };
        let files = Uploads::default().upload(snapshots, &name, &dir, &found).await?;
        let (version, taken_at) = (VERSION, OffsetDateTime::now_utc());
        // Of a browser that has stopped the files are all there is to know.
        let local_storage = None;
        let manifest =
            Manifest { version, uid, generation, sequence, session, clean, taken_at, files, local_storage };
        snapshots.put_manifest(&manifest).await?;
        Ok(manifest.reference())
    }
}

impl SnapshotStore {
    /// Takes back the snapshot of an import that was not recorded. One that cannot be taken back may be found by the next owner, who
    /// goes on from it and says so.
    pub async fn withdraw(&self, snapshot: &SnapshotRef) -> Result<(), SessionError> {
        self.objects().remove(&snapshot.manifest).await
    }
}

#[cfg(test)]
impl ReceivedProfile {
    /// As if all of the last file had come.
    pub(super) fn end_early(&mut self) -> &mut Self {
        self.open = None;
        self
    }
}
