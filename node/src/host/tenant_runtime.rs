//! What a supervisor has run. The decisions and their order are the supervisor's; who carries them out is its runtime: workers
//! with browsers in a node, something that only takes time in a proof.

use std::sync::Arc;

use roost_model::ids::{Generation, SpecRevision, TenantId};
use roost_store::Fence;
use tokio::sync::{oneshot, watch};

use super::assignments::Published;
use crate::worker::StopMode;

pub trait TenantRuntime: Send + Sync + 'static {
    /// A browser that opens nothing until a run has it.
    type Standby: Send + 'static;

    /// Runs the tenant. When it returns, the tenant's browser is dead.
    fn run(self: &Arc<Self>, request: RunRequest<Self::Standby>)
    -> impl Future<Output = ()> + Send + 'static;

    /// Gets ready for a tenant that is another node's. When it returns, nothing of it is left but what was handed over.
    fn prepare(
        self: &Arc<Self>,
        request: PrepareRequest<Self::Standby>,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// One tenant under one generation.
pub struct RunRequest<W> {
    pub fence: Fence,
    /// That the tenant is held: nothing may be launched before.
    pub published: Published,
    /// The browser that was prepared, if there was a preparation.
    pub warm: Option<oneshot::Receiver<Option<W>>>,
    /// Of the assignment: a change means that the spec must be read again.
    pub spec_revision: watch::Receiver<SpecRevision>,
    /// Set once the run is to end; it may become stricter.
    pub stop: watch::Receiver<Option<StopMode>>,
}

impl<W> RunRequest<W> {
    /// Resolves once the run is to end: asked for, or with nobody left to ask.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<W> {
        let mut stop = self.stop.clone();
        async move { drop(stop.wait_for(Option::is_some).await) }
    }

    /// Resolves once the run is to end at once.
    pub fn killed(&self) -> impl Future<Output = ()> + Send + use<W> {
        let mut stop = self.stop.clone();
        async move { drop(stop.wait_for(|mode| *mode == Some(StopMode::Kill)).await) }
    }

    pub async fn take_warm(&mut self) -> Option<W> {
        // An error says that the preparation ended before it heard of this.
        self.warm.take()?.await.ok().flatten()
    }
}

/// A tenant that may come here.
pub struct PrepareRequest<W> {
    pub tenant: TenantId,
    /// The owner's.
    pub generation: Generation,
    /// Set once, when it is known.
    pub readiness: watch::Sender<Readiness>,
    /// What is to become of it.
    pub disposition: oneshot::Receiver<Disposition<W>>,
}

/// How far a preparation is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Readiness {
    #[default]
    Pending,
    /// All is done that can be done ahead.
    Ready,
    /// Nothing has come of it.
    Failed { reason: String },
}

/// Dropping the sender gives the preparation up.
pub enum Disposition<W> {
    /// The tenant is this node's now. The answer is `None` when there is no browser to hand over.
    HandOver(oneshot::Sender<Option<W>>),
    GiveUp,
}
