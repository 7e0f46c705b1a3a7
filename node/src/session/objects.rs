//! The objects that snapshots consist of: sealed, put, fetched, listed and removed, in files or in a bucket.
//!
//! What a call has begun in the object store cannot be taken back: whoever gave it up (a deadline, a worker that is killed) knows
//! nothing of its outcome, and it may take effect at any time. So each call is a task of its own, which keeps its place among
//! [`CALLS`] until it has ended, however long nobody has been waiting for it: a store that hangs takes so many threads, or
//! connections, of the node and no more. What a call has in memory has a place in [`MEMORY_KIB`] for as long.
//!
//! A bucket must have shown that it keeps conditions before anything is put under one (`store_proof`).

use std::error::Error as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{error::Elapsed, timeout};

use super::s3::S3Location;
use super::{SessionError, SnapshotKeys, files};
use crate::blocking::{joined, run_blocking};

/// Under way at once for all tenants of a node. The runtime has 512 threads for what blocks, and looks up names on them too.
const CALLS: usize = 64;
/// The longest one is waited for, its turn included.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// Of content on its way to or from the store, for all tenants of a node. It is there three times at most while it is unsealed, and
/// twice while it is sealed, so a node's saves and restores take 72 MiB, however large its sessions are and however many.
const MEMORY_KIB: u32 = 24 << 10;

/// A place in memory, until it is dropped.
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
}

/// Cheap to clone; clones share their calls.
#[derive(Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Where objects are files.
    dir: Option<PathBuf>,
    /// What is put under a condition waits for the proof.
    needs_proof: bool,
    is_proven: Arc<AtomicBool>,
    key: SnapshotKeys,
    calls: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    call_within: Duration,
    /// Counts the calls that have succeeded, and what takes long between them.
    progress: watch::Sender<u64>,
}

impl Objects {
    /// In files below a directory.
    pub(super) fn in_dir(dir: &Path, key: SnapshotKeys) -> Result<Self, SessionError> {
        let store =
            LocalFileSystem::new_with_prefix(dir).map_err(SessionError::store("opening the object store"))?;
        // A snapshot must survive the machine, so it must at least survive its power cut.
        Ok(Self { dir: Some(dir.into()), ..Self::over(Arc::new(store.with_fsync(true)), key) })
    }

    pub(super) fn in_bucket(location: &S3Location, key: SnapshotKeys) -> Result<Self, SessionError> {
        Ok(Self { needs_proof: true, ..Self::over(location.connect(CALL_WITHIN)?, key) })
    }

    fn over(store: Arc<dyn ObjectStore>, key: SnapshotKeys) -> Self {
        let (calls, memory) = (Semaphore::new(CALLS), Semaphore::new(MEMORY_KIB as usize));
        let (calls, memory, progress) = (calls.into(), memory.into(), watch::Sender::new(0));
        let (needs_proof, is_proven) = (false, Arc::default());
        let call_within = CALL_WITHIN;
        Self { store, dir: None, needs_proof, is_proven, key, calls, memory, call_within, progress }
    }

    /// Whether an object that is there can be replaced on the condition that it is the one that was read.
    pub(super) fn has_versions(&self) -> bool {
        self.dir.is_none()
    }

    pub(super) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Acquire)
    }

    /// This store, for all who share it.
    pub(super) fn has_proven_itself(&self) {
        self.is_proven.store(true, Ordering::Release);
    }

    /// The same store, whose progress is that of the calls made through what is returned.
    pub(super) fn with_own_progress(&self) -> Self {
        Self { progress: watch::Sender::new(0), ..self.clone() }
    }

    /// Changes with each call that succeeds.
    pub(super) fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    pub(super) fn keys(&self) -> &SnapshotKeys {
        &self.key
    }

    /// For content of this size, or for the most that there is room for.
    pub(super) async fn room(&self, bytes: u64) -> Result<Room, SessionError> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(MEMORY_KIB).clamp(1, MEMORY_KIB);
        match timeout(self.call_within, self.memory.clone().acquire_many_owned(kib)).await {
            Ok(Ok(permit)) => Ok(Room { _permit: permit }),
            Ok(Err(_closed)) => unreachable!("nobody closes it"),
            Err(elapsed) => Err(late("waiting for room in memory", elapsed)),
        }
    }

    pub(super) async fn put(
        &self,
        object: &str,
        content: Vec<u8>,
        mode: PutMode,
    ) -> Result<(), SessionError> {
        self.put_from(None, object, content, mode).await
    }

    /// Content that has this place in memory, which it keeps until the call has ended.
    pub(super) async fn put_from(
        &self,
        room: Option<Room>,
        object: &str,
        content: Vec<u8>,
        mode: PutMode,
    ) -> Result<(), SessionError> {
        if self.needs_proof && mode != PutMode::Overwrite && !self.is_proven() {
            return Err(SessionError::Unproven);
        }
        self.store_object(room, object, content, mode).await
    }

    /// To try out what the store makes of the condition.
    pub(super) async fn put_unproven(
        &self,
        object: &str,
        content: Vec<u8>,
        mode: PutMode,
    ) -> Result<(), SessionError> {
        self.store_object(None, object, content, mode).await
    }

    async fn store_object(
        &self,
        room: Option<Room>,
        object: &str,
        content: Vec<u8>,
        mode: PutMode,
    ) -> Result<(), SessionError> {
        // Files have no versions.
        let mode = match mode {
            PutMode::Update(_) if !self.has_versions() => PutMode::Overwrite,
            mode => mode,
        };
        let (key, name) = (self.key.clone(), object.to_owned());
        let sealed = run_blocking(move || key.seal(&name, &content)).await?;
        let (store, dir, object) = (self.store.clone(), self.dir.clone(), object.to_owned());
        self.call("storing", async move {
            let _room = room;
            if let Some(dir) = dir.clone() {
                let parent = Path::new(&object).parent().unwrap_or(Path::new("")).to_owned();
                let made = run_blocking(move || {
                    files::make_private_dir(&dir, &parent).map_err(SessionError::disk(
                        "making a directory of the object store",
                        dir.join(parent),
                    ))
                });
                made.await?;
            }
            let (path, file) = (ObjectPath::from(object.as_str()), dir.map(|dir| dir.join(&object)));
            let sealed = PutPayload::from(Bytes::from(sealed));
            let stored = match store.put_opts(&path, sealed.clone(), mode.clone().into()).await {
                Err(error) if mode == PutMode::Create && is_for_want_of_links(&error) => {
                    claim(file.clone()).await?;
                    store.put_opts(&path, sealed, PutMode::Overwrite.into()).await
                }
                stored => stored,
            };
            stored.map_err(SessionError::store("storing"))?;
            let Some(file) = file else { return Ok(()) };
            let closed = run_blocking(move || {
                files::make_private_file(&file)
                    .map_err(SessionError::disk("closing an object to others", file))
            });
            closed.await
        })
        .await
    }

    pub(super) async fn get(&self, object: &str) -> Result<Vec<u8>, SessionError> {
        self.get_version(object).await.map(|(content, _)| content)
    }

    /// For [`PutMode::Update`].
    pub(super) async fn get_version(&self, object: &str) -> Result<(Vec<u8>, UpdateVersion), SessionError> {
        let (store, path) = (self.store.clone(), ObjectPath::from(object));
        let fetched = self.call("fetching", async move {
            let fetched = async {
                let got = store.get(&path).await?;
                let version =
                    UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
                Ok((got.bytes().await?, version))
            };
            fetched.await.map_err(SessionError::store("fetching"))
        });
        let (sealed, version) = fetched.await?;
        let (key, name) = (self.key.clone(), object.to_owned());
        let content = run_blocking(move || key.unseal(&name, &sealed)).await?;
        Ok((content, version))
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, SessionError> {
        let (store, prefix) = (self.store.clone(), ObjectPath::from(prefix));
        self.call("listing", async move {
            let objects = store.list(Some(&prefix)).map_ok(|meta| meta.location.to_string());
            objects.try_collect().await.map_err(SessionError::store("listing"))
        })
        .await
    }

    /// The first parts of all names.
    pub(super) async fn list_roots(&self) -> Result<Vec<String>, SessionError> {
        let store = self.store.clone();
        self.call("listing the tenants", async move {
            let listed = store.list_with_delimiter(None).await;
            let listed = listed.map_err(SessionError::store("listing the tenants"))?;
            Ok(listed.common_prefixes.iter().map(ToString::to_string).collect())
        })
        .await
    }

    /// One that is not there is removed.
    pub(super) async fn remove(&self, object: &str) -> Result<(), SessionError> {
        let (store, path) = (self.store.clone(), ObjectPath::from(object));
        self.call("removing", async move {
            match store.delete(&path).await.map_err(SessionError::store("removing")) {
                Err(SessionError::Missing { .. }) => Ok(()),
                done => done,
            }
        })
        .await
    }

    /// Of a store whose objects are files: their directory with the parts of puts that a crash has interrupted, which are no
    /// objects and in no list.
    pub(super) async fn remove_dir(&self, prefix: &str) -> Result<(), SessionError> {
        let Some(dir) = self.dir.as_ref().map(|dir| dir.join(prefix)) else { return Ok(()) };
        self.call("removing", run_blocking(move || files::remove_dir(&dir))).await
    }

    async fn call<T: Send + 'static>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, SessionError>> + Send + 'static,
    ) -> Result<T, SessionError> {
        let calls = self.calls.clone();
        let done = async move {
            let place = calls.acquire_owned().await;
            let task = tokio::spawn(async move {
                let _place = place;
                work.await
            });
            joined(task).await
        };
        let done =
            timeout(self.call_within, done).await.unwrap_or_else(|elapsed| Err(late(step, elapsed)))?;
        self.gets_on();
        Ok(done)
    }

    pub(super) fn gets_on(&self) {
        self.progress.send_modify(|steps| *steps += 1);
    }
}

fn late(step: &'static str, elapsed: Elapsed) -> SessionError {
    let source = object_store::Error::Generic { store: "roost", source: elapsed.into() };
    SessionError::Store { step, source }
}

/// The store of files puts what must not be there yet by a hard link, also where there are none.
fn is_for_want_of_links(error: &object_store::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).any(files::is_for_want_of_links)
}

/// Makes an empty file, if there is none, in the place of which an object is to be moved: at most one succeeds, as with a link.
/// Whoever reads it before sees a damaged object, and so does everybody if nothing is moved there.
async fn claim(file: Option<PathBuf>) -> Result<(), SessionError> {
    let Some(file) = file else { return Ok(()) };
    let claimed = run_blocking(move || match File::create_new(&file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(object_store::Error::AlreadyExists { path: file.display().to_string(), source: error.into() })
        }
        made => made
            .map(drop)
            .map_err(|error| object_store::Error::Generic { store: "files", source: error.into() }),
    });
    claimed.await.map_err(SessionError::store("storing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Objects {
        /// In a store of the test's.
        pub(in crate::session) fn in_store(store: Arc<dyn ObjectStore>, call_within: Duration) -> Self {
            let key = SnapshotKeys::from_hex(&"07".repeat(32)).unwrap();
            Self { call_within, ..Self::over(store, key) }
        }

        /// Of a bucket, whose condition is that it proves itself.
        pub(in crate::session) fn that_must_prove_itself(self) -> Self {
            Self { needs_proof: true, ..self }
        }

        /// Of a store whose objects are files below this directory.
        pub(in crate::session) fn in_files_below(self, dir: &Path) -> Self {
            Self { dir: Some(dir.into()), ..self }
        }
    }
}
