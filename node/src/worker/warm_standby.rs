//! A browser that was started while another node owned the tenant, waiting to be this node's worker's.

use std::sync::Arc;

use roost_cluster::lease_deadline::Standing;
use roost_engine::{Launch, Launched, WarmBrowser};
use roost_model::ids::Generation;
use roost_store::Fence;
use tokio::sync::watch;
use tracing::warn;

use super::launch_check::{LaunchError, may_launch};
use crate::session::{FetchedFiles, LockedProfile, PreparedProfile, SnapshotRef, SnapshotStore};

/// A browser that has opened nothing, on a profile that this process holds. To be ended by [`WarmStandby::kill`], or by a worker
/// that is given it.
pub struct WarmStandby {
    /// The owner's generation when this was begun.
    under: Generation,
    profile: Arc<LockedProfile>,
    fetched: FetchedFiles,
    browser: Box<dyn WarmBrowser>,
}

impl WarmStandby {
    pub fn new(
        under: Generation,
        profile: LockedProfile,
        fetched: FetchedFiles,
        browser: Box<dyn WarmBrowser>,
    ) -> Self {
        Self { under, profile: Arc::new(profile), fetched, browser }
    }

    /// Ends the browser; the profile is what it was before.
    pub async fn kill(self) {
        self.browser.kill().await;
        discard_unused(&self.profile);
    }

    pub(super) fn profile(&self) -> Arc<LockedProfile> {
        self.profile.clone()
    }

    /// Puts the session in place and opens the site. When it fails the browser is gone and the profile is ready to be used
    /// by another one.
    pub(super) async fn open(
        mut self,
        fence: &Fence,
        snapshots: &SnapshotStore,
        newest: Option<&SnapshotRef>,
        standing: &mut watch::Receiver<Standing>,
    ) -> Result<Launched, LaunchError> {
        // I1: up to the generation that it was prepared under the session is another node's, and may be open there.
        assert!(
            fence.generation > self.under,
            "I1: a warm browser of {} was to be opened as {}",
            self.under,
            fence.generation
        );
        let installed =
            self.profile.install_session(snapshots, newest, fence.generation, &mut self.fetched).await;
        let PreparedProfile { browser_dir, local_storage, .. } = match installed {
            Ok(Some(prepared)) => prepared,
            Ok(None) => {
                self.kill().await;
                return Err(LaunchError::Cold);
            }
            Err(error) => {
                self.kill().await;
                return Err(error.into());
            }
        };
        if !may_launch(standing).await {
            self.kill().await;
            return Err(LaunchError::NoStanding);
        }
        Ok(self
            .browser
            .open(Launch { tenant: fence.tenant.clone(), profile: browser_dir, local_storage })
            .await?)
    }
}

/// When the disk refuses, the next one to take the profile does it.
fn discard_unused(profile: &LockedProfile) {
    if let Err(error) = profile.discard_unused() {
        warn!(%error, "what was prepared is not cleared away");
    }
}
