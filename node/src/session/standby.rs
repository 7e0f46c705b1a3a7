//! A profile for a browser that is started before its session is here.
//!
//! A browser opens its Local Storage when it starts and an origin's IndexedDB with the first document of that origin. So a
//! warm browser gets a directory with nothing in it; the session's IndexedDB is put there before the site is opened, and
//! its localStorage through the page. What was in the directory before is set aside, and comes back when nothing comes of
//! the warm browser ([`LockedProfile::discard_unused`]): it may be newer than every snapshot.
//!
//! Which of the two directories counts is told by their stamps alone, so that a crash at any point is undone by the next
//! one who takes the profile: a directory that has no session yet is stamped with the generation 0, which is nobody's.

use std::path::{Path, PathBuf};

use roost_model::ids::Generation;

use super::manifest::ManifestName;
use super::profile::{LockedProfile, ProfileStamp, UNOWNED};
use super::restore::{FetchedFiles, choose, fetch_local_storage};
use super::{INDEXED_DB, PreparedProfile, SessionError, SessionSource, SnapshotRef, SnapshotStore, files};

impl LockedProfile {
    /// An empty directory for a browser that is to be warm.
    pub fn make_standby_dir(&self) -> Result<PathBuf, SessionError> {
        self.discard_unused()?;
        files::rename_if_there(&self.current(), &self.aside())?;
        self.make_browser_dir()?;
        self.write_stamp(&self.unused_stamp(UNOWNED))?;
        Ok(self.browser_dir())
    }

    /// Fetches the snapshot beside the browser directory, so that later only what has changed since has to be.
    pub async fn prefetch(
        &self,
        snapshots: &SnapshotStore,
        newest: &SnapshotRef,
        fetched: &mut FetchedFiles,
    ) -> Result<usize, SessionError> {
        let manifest = snapshots.manifest(&self.named(newest)).await?;
        self.fetch_files(snapshots, &manifest, &[INDEXED_DB], &self.incoming_browser_dir(), fetched).await
    }

    /// Makes the directory of a warm browser, which has not opened the site yet, hold the session for `generation`. `None`
    /// when only a browser started anew can have it: the session is the one that was set aside, or its localStorage is
    /// nowhere but in its files, or it is one that its owner went back to.
    pub async fn install_session(
        &self,
        snapshots: &SnapshotStore,
        newest: Option<&SnapshotRef>,
        generation: Generation,
        fetched: &mut FetchedFiles,
    ) -> Result<Option<PreparedProfile>, SessionError> {
        let source = choose(self.stamp_aside().as_ref(), newest);
        let local_storage = match (source, newest) {
            (SessionSource::Restored { .. }, Some(newest)) => {
                let mut manifest = snapshots.manifest(&self.named(newest)).await?;
                let Some(values) = fetch_local_storage(snapshots, &manifest).await? else { return Ok(None) };
                self.fetch_files(snapshots, &manifest, &[INDEXED_DB], &self.incoming_browser_dir(), fetched)
                    .await?;
                manifest.files.retain(|file| Path::new(&file.path).starts_with(INDEXED_DB));
                self.beginning.with(manifest);
                if self.has_gone_back() {
                    return Ok(None);
                }
                self.move_into_browser_dir(INDEXED_DB)?;
                self.save_local_storage(&values)?;
                Some(values)
            }
            (SessionSource::Fresh, _) => {
                self.forget_local_storage()?;
                None
            }
            (SessionSource::Local | SessionSource::Restored { .. }, _) => return Ok(None),
        };
        // From here on this directory is the one that counts.
        let has_session = matches!(source, SessionSource::Restored { .. });
        self.write_stamp(&ProfileStamp { has_session, ..self.unused_stamp(generation) })?;
        self.discard_unused()?;
        Ok(Some(PreparedProfile { browser_dir: self.browser_dir(), local_storage, source }))
    }

    /// Ends a preparation: of the browser directory and the one that was set aside, the one that holds a session stays. No
    /// browser may be running on the directory unless the session is installed in it.
    pub fn discard_unused(&self) -> Result<(), SessionError> {
        let is_unowned = self.stamp().is_none_or(|stamp| stamp.generation == UNOWNED);
        if is_unowned && self.stamp_aside().is_some() {
            files::remove_dir(&self.current())?;
            files::rename_if_there(&self.aside(), &self.current())?;
        } else if is_unowned && self.stamp().is_some() {
            files::remove_dir(&self.current())?;
        }
        files::remove_dir(&self.aside())?;
        files::remove_dir(&self.incoming())
    }

    pub(super) fn named(&self, snapshot: &SnapshotRef) -> ManifestName {
        ManifestName { uid: self.uid(), generation: snapshot.generation, sequence: snapshot.sequence }
    }
}
