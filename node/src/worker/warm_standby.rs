//! A browser that was started while another node owned the tenant, or while it was nobody's, waiting to be this node's worker's.

use std::sync::Arc;

use roost_cluster::lease_deadline::Standing;
use roost_engine::{BrowserSetup, Launch, Launched, Versions, WarmBrowser};
use roost_model::{causes, ids::Generation};
use roost_store::Fence;
use tokio::sync::watch;
use tracing::warn;

use super::launch_check::{CallOff, LaunchError, may_launch};
use crate::session::{FetchedFiles, LockedProfile, PreparedProfile, SnapshotRef, SnapshotStore};
use crate::spares::Spare;

/// A browser that has opened nothing, on a profile that this process holds. To be ended by [`WarmStandby::kill`], or by a worker
/// that is given it.
pub struct WarmStandby {
    /// The owner's generation when this was begun.
    under: Generation,
    profile: Arc<LockedProfile>,
    fetched: FetchedFiles,
    setup: BrowserSetup,
    browser: Box<dyn WarmBrowser>,
}

impl WarmStandby {
    pub fn new(
        under: Generation,
        profile: LockedProfile,
        fetched: FetchedFiles,
        setup: BrowserSetup,
        browser: Box<dyn WarmBrowser>,
    ) -> Self {
        Self { under, profile: Arc::new(profile), fetched, setup, browser }
    }

    /// A spare browser, on the profile of its owner. When that fails the
    /// browser is gone.
    pub(super) async fn adopting(
        spare: Spare,
        profile: Arc<LockedProfile>,
        fetched: FetchedFiles,
        setup: BrowserSetup,
    ) -> Result<Self, LaunchError> {
        let browser = spare.become_profile(&profile).await?;
        // It was nobody's before.
        Ok(Self { under: Generation(0), profile, fetched, setup, browser })
    }

    /// Ends the browser; the profile is what it was before.
    pub async fn kill(self) {
        self.browser.kill().await;
        discard_unused(&self.profile);
    }

    pub(super) fn profile(&self) -> Arc<LockedProfile> {
        self.profile.clone()
    }

    /// Whether a browser that starts now would be as this one is.
    pub(super) fn is_set_up_as(&self, setup: &BrowserSetup) -> bool {
        self.setup == *setup
    }

    /// Puts the session in place and opens the site. When it fails the browser is gone and the profile is ready to be used
    /// by another one.
    pub(super) async fn open(
        mut self,
        fence: &Fence,
        snapshots: &SnapshotStore,
        newest: Option<&SnapshotRef>,
        versions: Versions,
        standing: &mut watch::Receiver<Standing>,
        call_off: &CallOff,
    ) -> Result<Launched, LaunchError> {
        // I1: up to the generation that it was prepared under the session is another node's, and may be open there.
        assert!(
            fence.generation > self.under,
            "I1: a warm browser of {} was to be opened as {}",
            self.under,
            fence.generation
        );
        let install = self.profile.install_session(snapshots, newest, fence.generation, &mut self.fetched);
        let installed = call_off.or(install).await.and_then(|installed| Ok(installed?));
        let PreparedProfile { browser_dir, local_storage, .. } = match installed {
            Ok(Some(prepared)) => prepared,
            Ok(None) => {
                self.kill().await;
                return Err(LaunchError::Cold);
            }
            Err(error) => {
                self.kill().await;
                return Err(error);
            }
        };
        let refused = match call_off.or(may_launch(standing)).await {
            Ok(true) => None,
            Ok(false) => Some(LaunchError::NoStanding),
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            self.kill().await;
            return Err(error);
        }
        let launch = Launch {
            tenant: fence.tenant.clone(),
            profile: browser_dir,
            setup: self.setup,
            versions,
            local_storage,
            cancel: call_off.browser.clone(),
        };
        Ok(self.browser.open(launch).await?)
    }
}

/// When the disk refuses, the next one to take the profile does it.
fn discard_unused(profile: &LockedProfile) {
    if let Err(error) = profile.discard_unused() {
        warn!(error = %causes(&error), "what was prepared is not cleared away");
    }
}
