//! Browsers that are pretended to run ahead of their sessions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use roost_model::ids::TenantId;
use tokio::sync::watch;

use crate::{Engine, EngineError, Launch, Launched, WarmBrowser};

/// Those of an engine. All clones are the same.
#[derive(Clone, Default)]
pub(super) struct WarmBrowsers {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    of_tenants: HashSet<TenantId>,
    /// Those for nobody yet, and what ends with each.
    spares: HashMap<u64, watch::Sender<()>>,
    started: u64,
}

impl WarmBrowsers {
    pub fn is_warm(&self, tenant: &TenantId) -> bool {
        self.shared.lock().of_tenants.contains(tenant)
    }

    pub fn spares(&self) -> usize {
        self.shared.lock().spares.len()
    }

    pub fn end_spares(&self) {
        self.shared.lock().spares.clear();
    }

    pub fn start<E: Engine + Clone + 'static>(
        &self,
        engine: &E,
        tenant: Option<&TenantId>,
    ) -> Box<dyn WarmBrowser> {
        let (lives, ended) = watch::channel(());
        let mut shared = self.shared.lock();
        let whose = match tenant {
            Some(tenant) => {
                shared.of_tenants.insert(tenant.clone());
                Whose::Tenants { tenant: tenant.clone(), _lives: lives }
            }
            None => {
                shared.started += 1;
                let id = shared.started;
                shared.spares.insert(id, lives);
                Whose::Nobodys { id }
            }
        };
        Box::new(WarmNullBrowser { engine: engine.clone(), all: self.clone(), whose, ended })
    }
}

/// A browser that is pretended to run.
struct WarmNullBrowser<E> {
    engine: E,
    all: WarmBrowsers,
    whose: Whose,
    ended: watch::Receiver<()>,
}

enum Whose {
    Tenants { tenant: TenantId, _lives: watch::Sender<()> },
    Nobodys { id: u64 },
}

#[async_trait]
impl<E: Engine> WarmBrowser for WarmNullBrowser<E> {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn ended(&self) -> BoxFuture<'static, ()> {
        let mut ended = self.ended.clone();
        // Nothing is sent: the channel ends with the browser.
        Box::pin(async move { while ended.changed().await.is_ok() {} })
    }

    fn check(&self) -> BoxFuture<'static, Result<(), EngineError>> {
        let lives = self.ended.has_changed().is_ok();
        Box::pin(std::future::ready(if lives { Ok(()) } else { Err(EngineError::Gone) }))
    }

    async fn open(self: Box<Self>, launch: Launch) -> Result<Launched, EngineError> {
        self.engine.launch(launch).await
    }

    async fn kill(self: Box<Self>) {}
}

impl<E> Drop for WarmNullBrowser<E> {
    fn drop(&mut self) {
        let mut shared = self.all.shared.lock();
        match &self.whose {
            Whose::Tenants { tenant, .. } => drop(shared.of_tenants.remove(tenant)),
            Whose::Nobodys { id } => drop(shared.spares.remove(id)),
        }
    }
}
