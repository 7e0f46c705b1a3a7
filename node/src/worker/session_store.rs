//! Where a worker's session lives: the profile on this node, its snapshots, and the pointer to the newest of them.
//! Everything here touches the disk, the object store or Postgres; when it happens is the state machine's business.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use roost_cluster::{lease_deadline::Standing, ledger::EventKind};
use roost_engine::{BrowserSetup, Launched, LocalStorage, Page, Versions};
use roost_model::{causes, ids::SessionNumber};
use roost_store::{Fence, SnapshotId, SnapshotPointer, Store, StoreError, WorkerSpec};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};
use tracing::{debug, info, warn};

use super::{
    launch_check::{CallOff, LaunchError},
    warm_standby::WarmStandby,
};
use crate::{
    env::NodeEnv,
    retry::until_available,
    session::{
        Damage, FetchedFiles, FoundSession, LaterSession, LockedProfile, Preparation, PreparedProfile,
        Profile, SessionError, SessionSource, SnapshotRef, SnapshotStore, SnapshotTaker,
    },
    spares::Spare,
};

/// The longest a save of a browser that runs may take: longer than two calls to an object store that hangs.
const SAVE_WITHIN: Duration = Duration::from_secs(60);
/// The longest a browser that is started anew waits for a save of the one before.
const SAVE_ENDS_WITHIN: Duration = Duration::from_secs(1);
/// The longest that the history is waited for.
const TELL_WITHIN: Duration = Duration::from_secs(2);

/// See [`SessionStore::fetch_ahead`].
pub(super) struct FetchedAhead {
    profile: Arc<LockedProfile>,
    newest: Option<SnapshotRef>,
    files: FetchedFiles,
}

/// Why a session could not be saved or forgotten.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionStoreError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it is not done within {limit:?}")]
    TimedOut { limit: Duration },
}

impl SessionStoreError {
    /// Whether it says that the tenant has another owner.
    pub fn is_fenced(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Fenced { .. }) | Self::Session(SessionError::Superseded { .. })
        )
    }

    /// Whether the same may succeed a moment later: a call that failed in the object store or in Postgres.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Unavailable { .. }) | Self::Session(SessionError::Store { .. })
        )
    }
}

/// One worker's session, shared by the futures that work on it.
pub(super) struct SessionStore {
    pub(super) store: Store,
    pub(super) fence: Fence,
    pub(super) snapshots: SnapshotStore,
    profile: Profile,
    state: Mutex<SessionState>,
    /// That the session is too large is in the history.
    told_too_large: AtomicBool,
    /// Going back to an older snapshot may be ordered.
    pub(super) hears_of_restore: AtomicBool,
}

pub(super) struct SessionState {
    profile: Option<Arc<LockedProfile>>,
    pub(super) taker: Option<SnapshotTaker>,
    /// The last snapshot taken, until the pointer names it.
    pub(super) unrecorded: Option<SnapshotRef>,
    /// The newest snapshot when the worker began; none once the session is forgotten. Those it takes itself are never
    /// newer than its own profile.
    pub(super) newest: Option<SnapshotRef>,
    /// As the database knows it.
    session: SessionNumber,
    /// Of the last save: which link of a phone to the page it was, of those that this worker has seen.
    link: u64,
}

impl SessionStore {
    /// `locked` when the profile is held already.
    pub fn new(env: &NodeEnv, fence: Fence, spec: &WorkerSpec, locked: Option<Arc<LockedProfile>>) -> Self {
        let newest = spec.snapshot.clone().map(SnapshotRef::from);
        let profile = env.profiles.of(&fence.tenant, spec.tenant.uid);
        Self {
            store: env.store.clone(),
            fence,
            snapshots: env.snapshots.with_own_progress(),
            profile,
            state: Mutex::new(SessionState {
                profile: locked,
                taker: None,
                unrecorded: None,
                newest,
                session: spec.session_number,
                link: 0,
            }),
            told_too_large: AtomicBool::new(false),
            hears_of_restore: AtomicBool::new(spec.restore_ordered),
        }
    }

    /// Takes the profile and makes it ready for a browser, from the newest snapshot if that is newer than it, or from the one that was
    /// ordered.
    pub async fn prepare(&self) -> Result<PreparedProfile, LaunchError> {
        let mut state = self.state.lock().await;
        let profile = self.lock(&mut state)?;
        self.find_newest(&mut state, &profile).await?;
        if let Some(prepared) = self.carry_out_restore(&mut state, &profile).await? {
            return Ok(prepared);
        }
        loop {
            let (newest, ours) = (state.newest.as_ref(), self.fence.generation);
            match profile.prepare_or_find_damage(&self.snapshots, newest, ours).await? {
                Preparation::Ready(prepared) => {
                    info!(source = ?prepared.source, "the profile is ready");
                    self.save_what_is_old(&mut state, &profile, &prepared).await?;
                    return Ok(prepared);
                }
                Preparation::Damaged(damage) => {
                    self.pass_over(&profile, &damage).await?;
                    state.newest = damage.newest;
                    // What it knows to be in the store may be what is damaged.
                    state.taker = None;
                }
            }
        }
    }

    /// Somebody who was deposed may be removing what the session goes back to; so before anything is done in it there is a
    /// copy that is this owner's. Without one it goes on all the same: a tenant that is up is worth more.
    async fn save_what_is_old(
        &self,
        state: &mut SessionState,
        profile: &LockedProfile,
        prepared: &PreparedProfile,
    ) -> Result<(), StoreError> {
        let Some(newest) = state.newest.clone() else { return Ok(()) };
        if !matches!(prepared.source, SessionSource::Restored { .. }) || !profile.has_gone_back() {
            return Ok(());
        }
        let saved = async {
            let taker = self.taker(state).await?;
            let taken = taker.take_restored(newest.clean, prepared.local_storage.as_ref()).await?;
            state.unrecorded = Some(taken);
            self.record(state).await.map(drop)
        };
        let late = |_| Err(SessionStoreError::TimedOut { limit: SAVE_WITHIN });
        match timeout(SAVE_WITHIN, saved).await.unwrap_or_else(late) {
            Err(SessionStoreError::Store(error @ StoreError::Fenced { .. })) => return Err(error),
            Err(error) => {
                warn!(error = %causes(&error), "the older snapshot that the session goes on from is not saved anew yet")
            }
            Ok(_) => info!("the older snapshot that the session goes on from is saved anew"),
        }
        Ok(())
    }

    /// The history says so before anything is marked: one that is not told of is found again.
    async fn pass_over(&self, profile: &LockedProfile, damage: &Damage) -> Result<(), LaunchError> {
        let text = damage.to_string();
        warn!(text, "a part of the session is damaged and passed over");
        let newest = damage.newest.clone().map(SnapshotPointer::from);
        self.store.fall_back_to_snapshot(&self.fence, newest.as_ref(), &text).await?;
        Ok(profile.pass_over(&self.snapshots, damage).await?)
    }

    /// Sees to it that `state.newest` is, and that the pointer in the database goes there.
    async fn find_newest(
        &self,
        state: &mut SessionState,
        profile: &LockedProfile,
    ) -> Result<(), LaunchError> {
        let ours = self.fence.generation;
        profile.keep_session(state.session).await?;
        self.take_up_session(state, profile).await?;
        match profile.find_session(&self.snapshots, state.newest.as_ref(), ours).await? {
            FoundSession::AsPointed(newest) => state.newest = newest,
            FoundSession::Unpointed(newest) => {
                self.take_up_session(state, profile).await?;
                self.correct_pointer(&newest).await?;
                state.newest = Some(newest);
            }
            FoundSession::Later(later) => return Err(self.report_later(later).await?.into()),
        }
        Ok(())
    }

    /// The profile, or a snapshot, is of a session after the one that the database knows.
    async fn take_up_session(
        &self,
        state: &mut SessionState,
        profile: &LockedProfile,
    ) -> Result<(), StoreError> {
        let (known, found) = (state.session, profile.session());
        if found > known {
            warn!(%known, %found, "the database has gone back: there is a later session, which is taken up");
            self.store.begin_session(&self.fence, found).await?;
            (state.session, state.newest) = (found, None);
        }
        Ok(())
    }

    /// What is saved of another link than the last save is of a session of its own. First on disk: a session that is linked must not be
    /// void for a database that was told of it while its profile was not.
    async fn begin_session_of(&self, state: &mut SessionState, link: u64) -> Result<(), SessionStoreError> {
        if link <= state.link {
            return Ok(());
        }
        let next = SessionNumber(state.session.0 + 1);
        self.lock(state)?.begin_session(next, self.fence.generation)?;
        self.store.begin_session(&self.fence, next).await?;
        info!(session = %next, "a phone is linked anew");
        (state.session, state.link) = (next, link);
        (state.taker, state.unrecorded, state.newest) = (None, None, None);
        Ok(())
    }

    async fn correct_pointer(&self, newest: &SnapshotRef) -> Result<(), StoreError> {
        let SnapshotRef { generation, sequence, .. } = newest;
        warn!(%generation, sequence, "the database did not name the newest snapshot, which is restored");
        self.store.correct_snapshot(&self.fence, &newest.clone().into()).await
    }

    /// The controller places the tenant anew, above what was found; the pointer goes there already. Answers with why this
    /// owner does not start.
    async fn report_later(&self, later: LaterSession) -> Result<SessionError, StoreError> {
        let LaterSession { generation: newest, snapshot } = later;
        if let Some(snapshot) = snapshot {
            self.correct_pointer(&snapshot).await?;
        }
        self.store.report_outrun(&self.fence, newest).await?;
        let ours = self.fence.generation;
        warn!(%ours, %newest, "the database has gone back: the session is of a later generation; it is to be placed anew");
        Ok(SessionError::Superseded { ours, newest })
    }

    /// What a browser that runs already is to have of the session, fetched beside the profile; `None` when only one that is started
    /// with the session can have it.
    pub async fn fetch_ahead(&self) -> Result<Option<FetchedAhead>, LaunchError> {
        if self.hears_of_restore.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut state = self.state.lock().await;
        let profile = self.lock(&mut state)?;
        // What an attempt before this one has left.
        profile.discard_unused()?;
        self.find_newest(&mut state, &profile).await?;
        if !profile.is_fit_for_spare(state.newest.as_ref()) {
            return Ok(None);
        }
        let (newest, mut files) = (state.newest.clone(), FetchedFiles::default());
        if let Some(newest) = &newest {
            profile.prefetch(&self.snapshots, newest, &mut files).await?;
        }
        Ok(Some(FetchedAhead { profile, newest, files }))
    }

    /// Opens the session in a spare browser, for which it was fetched.
    pub async fn adopt(
        &self,
        spare: Spare,
        setup: BrowserSetup,
        versions: Versions,
        fetched: FetchedAhead,
        standing: &mut watch::Receiver<Standing>,
        call_off: &CallOff,
    ) -> Result<Launched, LaunchError> {
        let FetchedAhead { profile, newest, files } = fetched;
        let warm = WarmStandby::adopting(spare, profile, files, setup).await?;
        warm.open(&self.fence, &self.snapshots, newest.as_ref(), versions, standing, call_off).await
    }

    /// Opens the session in a browser that runs already; what is gone back to is for one that starts with it.
    pub async fn open(
        &self,
        warm: WarmStandby,
        versions: Versions,
        standing: &mut watch::Receiver<Standing>,
        call_off: &CallOff,
    ) -> Result<Launched, LaunchError> {
        let found = async {
            if self.hears_of_restore.load(Ordering::Relaxed) {
                return Err(LaunchError::Cold);
            }
            let mut state = self.state.lock().await;
            self.find_newest(&mut state, &warm.profile()).await?;
            Ok(state.newest.clone())
        };
        match call_off.or(found).await.flatten() {
            Ok(newest) => {
                warm.open(&self.fence, &self.snapshots, newest.as_ref(), versions, standing, call_off).await
            }
            Err(error) => {
                warm.kill().await;
                Err(error)
            }
        }
    }

    /// Saves the session of a browser that runs, or gives it up when that takes too long: what was uploaded is not uploaded
    /// again. `link` tells one link of a phone to this worker's page from another. `false` when nothing has changed since the
    /// last time.
    pub async fn save_running(&self, page: &Arc<dyn Page>, link: u64) -> Result<bool, SessionStoreError> {
        let late = |_| Err(SessionStoreError::TimedOut { limit: SAVE_WITHIN });
        let saved = timeout(SAVE_WITHIN, self.try_to_save_running(page, link)).await.unwrap_or_else(late);
        if let Err(SessionStoreError::Session(error @ SessionError::TooLarge { .. })) = &saved
            && !self.told_too_large.swap(true, Ordering::Relaxed)
        {
            let reason = causes(error).to_string();
            warn!(reason, "the session is too large to be saved");
            self.tell_unsaved(&format!("the session is not saved any more: {reason}")).await;
        }
        saved
    }

    async fn try_to_save_running(&self, page: &Arc<dyn Page>, link: u64) -> Result<bool, SessionStoreError> {
        let mut state = self.state.lock().await;
        self.begin_session_of(&mut state, link).await?;
        match self.taker(&mut state).await?.take_running(page).await {
            Ok(Some(taken)) => state.unrecorded = Some(taken),
            // Nothing has changed, or there is nothing yet that would be lost.
            Ok(None) | Err(SessionError::Empty { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(listed) = self.record(&mut state).await? else { return Ok(false) };
        if let Err(error) = self.taker(&mut state).await?.recorded(&listed).await {
            warn!(error = %causes(&error), "older snapshots are not removed yet");
        }
        Ok(true)
    }

    /// Whether the session's files are other than in the last snapshot, as far as can be told; not while one is being taken.
    pub async fn has_changed(&self) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        let changed = async { self.taker(&mut state).await?.has_changed().await };
        changed.await.unwrap_or_else(|error| {
            debug!(error = %causes(&error), "the session's files could not be looked at");
            false
        })
    }

    /// From a browser that has closed. It counts once it is recorded.
    pub(super) async fn try_to_take_stopped(
        &self,
        link: u64,
        clean: bool,
        local_storage: Option<LocalStorage>,
    ) -> Result<(), SessionStoreError> {
        let mut state = self.state.lock().await;
        self.begin_session_of(&mut state, link).await?;
        let taken = self.taker(&mut state).await?.take_stopped(clean, local_storage).await?;
        state.unrecorded = Some(taken);
        Ok(())
    }

    pub(super) async fn try_to_record_stopped(&self) -> Result<(), SessionStoreError> {
        let mut state = self.state.lock().await;
        self.record(&mut state).await.map(drop)
    }

    /// Its browser has closed in order, and is to be started anew.
    pub async fn closed_in_order(&self) {
        // A save that is under way fails with its browser, or hangs and is given up with it.
        let Ok(state) = timeout(SAVE_ENDS_WITHIN, self.state.lock()).await else { return };
        if let Some(Err(error)) = state.profile.as_ref().map(|profile| profile.closed_in_order()) {
            warn!(error = %causes(&error), "the profile counts as one of a browser that crashed");
        }
    }

    /// Forgets the session everywhere. In this order, so that a crash in between leaves no session that is half
    /// forgotten: below the tombstone nothing is restored, and the request to forget is carried out only when it is there.
    pub async fn forget(&self) -> Result<(), SessionStoreError> {
        let mut state = self.state.lock().await;
        let profile = self.lock(&mut state)?;
        (state.newest, state.unrecorded) = (None, None);
        profile.wipe().await?;
        let tombstone = self.taker(&mut state).await?.forget().await?;
        let clear = || async { self.store.clear_snapshot(&self.fence).await };
        state.session = until_available("forget the session", clear).await?;
        profile.begin_session(state.session, self.fence.generation)?;
        state.taker = None;
        self.snapshots.remove_forgotten(&tombstone).await?;
        info!("the session is forgotten");
        Ok(())
    }

    /// Counts the calls to the object store that have succeeded for this worker.
    pub(super) fn progress(&self) -> watch::Receiver<u64> {
        self.snapshots.progress()
    }

    /// The history says that something of the session is not saved.
    pub(super) async fn tell_unsaved(&self, text: &str) {
        let told = self.store.record_event(&self.fence, EventKind::SessionNotSaved, text);
        match timeout(TELL_WITHIN, told).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(error = %causes(&error), "that a session is not saved is not in the history")
            }
            Err(_elapsed) => warn!("that a session is not saved is not in the history in time"),
        }
    }

    /// The history says that a device of the tenant may still be linked.
    pub async fn note_failed_logout(&self, reason: &str) {
        let text = format!("{reason}; the device is to be removed on the phone, under Linked devices");
        let note = || async { self.store.record_event(&self.fence, EventKind::LogoutFailed, &text).await };
        if let Err(error) = until_available("note a failed log-out", note).await {
            warn!(error = %causes(&error), "a failed log-out is not in the history");
        }
    }

    /// Removes the profile for good: its tenant is deleted.
    pub async fn remove(&self) {
        let mut state = self.state.lock().await;
        state.taker = None;
        let removed = match self.lock(&mut state) {
            Ok(profile) => profile.remove().await,
            Err(error) => Err(error),
        };
        state.profile = None;
        if let Err(error) = removed {
            warn!(error = %causes(&error), "the profile of a deleted tenant is left to the sweep");
        }
    }

    fn lock(&self, state: &mut SessionState) -> Result<Arc<LockedProfile>, SessionError> {
        if let Some(profile) = &state.profile {
            return Ok(profile.clone());
        }
        let profile = Arc::new(self.profile.lock()?);
        state.profile = Some(profile.clone());
        Ok(profile)
    }

    pub(super) async fn taker<'a>(
        &self,
        state: &'a mut SessionState,
    ) -> Result<&'a mut SnapshotTaker, SessionError> {
        let taker = match state.taker.take() {
            Some(taker) => taker,
            None => {
                let profile = self.lock(state)?;
                SnapshotTaker::new(self.snapshots.clone(), profile, self.fence.generation).await?
            }
        };
        Ok(state.taker.insert(taker))
    }

    /// Makes the last snapshot the one that counts, and answers with which others are listed. None when it counts already.
    async fn record(&self, state: &mut SessionState) -> Result<Option<Vec<SnapshotId>>, SessionStoreError> {
        let Some(taken) = state.unrecorded.clone() else { return Ok(None) };
        debug!(generation = %taken.generation, sequence = taken.sequence, clean = taken.clean, "a snapshot is taken");
        let listed = self.store.set_snapshot(&self.fence, &taken.into()).await?;
        state.unrecorded = None;
        Ok(Some(listed))
    }
}
