//! A node's surroundings in a directory of the test's own: what a check needs can be spoiled and mended.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use roost_cluster::records::ImpairmentKind;
use roost_engine::{BrowserSetup, Engine, EngineError, Launch, Launched, WarmBrowser, null::NullEngine};
use roost_model::ids::{NodeId, TenantId};
use tokio::sync::watch;

use super::checks::{Finding, check};
use crate::{env::NodeEnv, session::SnapshotKeys, spares::Spares};

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) env: Arc<NodeEnv>,
    pub(super) browsers: Arc<Browsers>,
}

impl Bench {
    /// All is well but Postgres, which is away.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("key");
        fs::write(&key_file, "ab".repeat(32)).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        let key = SnapshotKeys::from_file(&key_file).unwrap();
        let browsers = Arc::new(Browsers::default());
        let env = NodeEnv::without_postgres(dir.path(), browsers.clone(), key, Spares::none());
        Self { dir, env: Arc::new(env), browsers }
    }

    pub(super) async fn finds(&self, kind: ImpairmentKind, site: &[String]) -> Finding {
        check(kind, &self.env, &NodeId::new("a").unwrap(), site).await
    }

    /// A file is where the directory was; even root can write nothing below it.
    pub(super) fn spoil(&self, name: &str) {
        let dir = self.dir.path().join(name);
        fs::remove_dir_all(&dir).unwrap();
        fs::write(dir, "").unwrap();
    }

    pub(super) fn mend(&self, name: &str) {
        let dir = self.dir.path().join(name);
        fs::remove_file(&dir).unwrap();
        fs::create_dir(dir).unwrap();
    }

    pub(super) fn files_in(&self, name: &str) -> usize {
        fs::read_dir(self.dir.path().join(name)).unwrap().count()
    }
}

/// What becomes of a browser that is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrowserFault {
    None,
    Fails,
    Hangs,
}

/// Browsers that are pretended, and counted.
pub(super) struct Browsers {
    null: NullEngine,
    fault: watch::Sender<BrowserFault>,
    started: AtomicU32,
}

impl Default for Browsers {
    fn default() -> Self {
        let (fault, _) = watch::channel(BrowserFault::None);
        Self { null: NullEngine::default(), fault, started: AtomicU32::new(0) }
    }
}

impl Browsers {
    pub(super) fn set(&self, fault: BrowserFault) {
        self.fault.send_replace(fault);
    }

    pub(super) fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Engine for Browsers {
    async fn check_way(&self, setup: &BrowserSetup) -> Result<(), EngineError> {
        self.null.check_way(setup).await
    }

    async fn launch(&self, launch: Launch) -> Result<Launched, EngineError> {
        self.null.launch(launch).await
    }

    async fn warm(
        &self,
        tenant: Option<&TenantId>,
        profile: &Path,
        setup: &BrowserSetup,
    ) -> Result<Box<dyn WarmBrowser>, EngineError> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let mut fault = self.fault.subscribe();
        // An error cannot be: the sender is this engine's own.
        let _ = fault.wait_for(|fault| *fault != BrowserFault::Hangs).await;
        if *self.fault.borrow() == BrowserFault::Fails {
            return Err(EngineError::Ended { reason: "no memory".to_owned() });
        }
        self.null.warm(tenant, profile, setup).await
    }
}
