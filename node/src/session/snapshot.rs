//! Taking snapshots of one worker's session.

use std::sync::Arc;
use std::time::Instant;

use roost_engine::{Frozen, LocalStorage, Page};
use roost_model::ids::Generation;
use time::OffsetDateTime;

use super::manifest::{Manifest, VERSION};
use super::profile::{LockedProfile, ProfileStamp};
use super::staging::{self, SessionFile};
use super::upload::Uploads;
use super::{SessionError, SnapshotRef, SnapshotStore, files, leveldb};
use crate::blocking::run_blocking;

/// Takes the snapshots of one browser, for as long as one generation owns it. A snapshot counts once the caller has
/// written its reference to the pointer row; then it calls [`SnapshotTaker::recorded`].
pub struct SnapshotTaker {
    snapshots: SnapshotStore,
    profile: Arc<LockedProfile>,
    generation: Generation,
    sequence: i64,
    uploads: Uploads,
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
        let names = snapshots.manifests(profile.uid()).await?;
        let taken = names.iter().filter(|name| name.generation == generation).map(|name| name.sequence).max();
        let stamped =
            profile.stamp().filter(|stamp| stamp.generation == generation).map(|stamp| stamp.sequence);
        let uploads = Uploads::new(profile.uid(), generation);
        Ok(Self {
            sequence: taken.max(stamped).unwrap_or(0),
            snapshots,
            profile,
            generation,
            uploads,
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
        let staged = self.stage(Some(page.clone())).await?;
        let contents = SnapshotContents { files: staged, local_storage: now.local_storage };
        self.profile.save_local_storage(&contents.local_storage)?;
        let taken = self.save(&contents.files, Some(&contents.local_storage), false).await?;
        self.last = Some(contents);
        Ok(Some(taken))
    }

    /// From a browser that has closed: `clean` is what [`Page::close`] returned, `local_storage` was read just before. For a
    /// browser that had to be killed before it could be read the copy of the last snapshot stands in.
    pub async fn take_stopped(
        &mut self,
        clean: bool,
        local_storage: Option<LocalStorage>,
    ) -> Result<SnapshotRef, SessionError> {
        // First, so that the profile counts as clean also when the object store cannot be reached.
        self.stamp(clean)?;
        let staged = self.stage(None).await?;
        let local_storage = match local_storage {
            Some(values) => {
                self.profile.save_local_storage(&values)?;
                Some(values)
            }
            None if clean => None,
            None => self.profile.saved_local_storage()?,
        };
        self.last = None;
        self.save(&staged, local_storage.as_ref(), clean).await
    }

    /// The pointer row names the last snapshot taken: older ones may go.
    pub async fn recorded(&mut self) -> Result<(), SessionError> {
        self.snapshots.prune(self.profile.uid(), self.generation).await?;
        self.uploads.pruned();
        Ok(())
    }

    /// Copies the files, with the page frozen if there is one. On a thread of its own, which no cancellation ends
    /// between freezing and thawing.
    async fn stage(&self, page: Option<Arc<dyn Page>>) -> Result<Vec<SessionFile>, SessionError> {
        let (browser_dir, staging) = (self.profile.browser_dir(), self.profile.staging());
        self.profile.settle().await;
        let work = move || {
            staging::prepare(&staging)?;
            let frozen: Option<Frozen> = page.map(|page| page.freeze()).transpose()?;
            let since = Instant::now();
            let staged = staging::stage(&browser_dir, &staging);
            drop(frozen);
            tracing::debug!(
                frozen_ms = since.elapsed().as_secs_f64() * 1e3,
                "the session's files are staged"
            );
            let staged = staged?;
            leveldb::check(&staging, &staged)?;
            Ok::<_, SessionError>(staged)
        };
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
        let files = self.uploads.upload(&self.snapshots, &staging, staged.to_vec()).await?;
        let local_storage = match local_storage {
            Some(values) => Some(self.uploads.upload_local_storage(&self.snapshots, values).await?),
            None => None,
        };
        let manifest = Manifest {
            version: VERSION,
            uid: self.profile.uid(),
            generation: self.generation,
            sequence: self.sequence + 1,
            clean,
            taken_at: OffsetDateTime::now_utc(),
            files,
            local_storage,
        };
        self.snapshots.put_manifest(&manifest).await?;
        self.sequence = manifest.sequence;
        self.stamp(clean)?;
        files::remove_dir(&staging)?;
        Ok(manifest.reference())
    }

    fn stamp(&self, clean: bool) -> Result<(), SessionError> {
        let (uid, generation, sequence) = (self.profile.uid(), self.generation, self.sequence);
        self.profile.write_stamp(&ProfileStamp { uid, generation, sequence, clean })
    }
}
