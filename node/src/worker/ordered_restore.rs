//! Carrying out the order to go back to an older snapshot: see [`crate::session::GoingBack`] for the steps. The order is in the database,
//! and what a spec says of it is a hint to look there: it may be of before it was carried out.

use std::sync::atomic::Ordering;

use roost_store::SnapshotId;
use tracing::{info, warn};

use super::{
    launch_check::LaunchError,
    session_store::{SessionState, SessionStore},
};
use crate::session::{GoingBack, LockedProfile, PreparedProfile, SnapshotRef};

impl SessionStore {
    /// The next launch is to look.
    pub fn hear_of_restore(&self) {
        self.hears_of_restore.store(true, Ordering::Relaxed);
    }

    /// The profile as it is then, or none when nothing was ordered that can be done. An error leaves the order as it is, for the next
    /// launch.
    pub(super) async fn carry_out_restore(
        &self,
        state: &mut SessionState,
        profile: &LockedProfile,
    ) -> Result<Option<PreparedProfile>, LaunchError> {
        let mut done = None;
        if !self.hears_of_restore.load(Ordering::Relaxed) {
            return Ok(done);
        }
        // Until there is none: another one may come while one is carried out.
        while let Some(to) = self.store.ordered_restore(&self.fence).await? {
            match profile.go_back(&self.snapshots, to, self.fence.generation).await? {
                GoingBack::Ready { prepared, clean } => {
                    let copy = self.leave_line(state, profile, to, &prepared, clean).await?;
                    state.newest = Some(copy);
                    done = Some(prepared);
                }
                GoingBack::Impossible { reason } => {
                    let text = format!("the snapshot {to} cannot be gone back to: {reason}");
                    warn!(text, "a restore that was ordered is not carried out");
                    self.store.not_restored(&self.fence, to, &text).await?;
                }
            }
        }
        self.hears_of_restore.store(false, Ordering::Relaxed);
        Ok(done)
    }

    /// What was saved after the chosen snapshot counts no more; answers with what does.
    async fn leave_line(
        &self,
        state: &mut SessionState,
        profile: &LockedProfile,
        chosen: SnapshotId,
        prepared: &PreparedProfile,
        clean: bool,
    ) -> Result<SnapshotRef, LaunchError> {
        // What they know is of the line that is left.
        (state.taker, state.unrecorded) = (None, None);
        let taker = self.taker(state).await?;
        let copy = taker.take_restored(clean, prepared.local_storage.as_ref()).await?;
        profile.pass_over_between(&self.snapshots, chosen, &copy).await?;
        if self.store.restored(&self.fence, chosen, &copy.clone().into()).await? {
            info!(%chosen, sequence = copy.sequence, "the session has gone back to an older snapshot, as ordered");
        } else {
            warn!(%chosen, "the order to go back has changed while it was carried out");
        }
        Ok(copy)
    }
}
