//! What a worker is given, and what it may ask.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_cluster::lease_deadline::Standing;
use roost_model::ids::{Generation, TenantId};
use roost_store::{Fence, WorkerSpec};
use tokio::sync::watch;

use super::{timing::WorkerTiming, warm_standby::WarmStandby};
use crate::env::NodeEnv;

/// Everything a worker needs; nothing in it is shared with another worker of the tenant.
pub struct WorkerContext {
    /// The tenant and the generation under which this worker writes.
    pub fence: Fence,
    /// The spec as read when the tenant was assigned; later ones come through [`super::WorkerHandle::update`].
    pub spec: WorkerSpec,
    pub env: Arc<NodeEnv>,
    /// Workers of the tenant that ended by themselves here, one after the other, until now.
    pub failures: u32,
    /// A browser that waits for this worker's session.
    pub warm: Option<WarmStandby>,
    /// The node's own standing: soft stop pauses the messages, expiry kills the browser.
    pub standing: watch::Receiver<Standing>,
    pub ownership: Arc<dyn OwnershipCheck>,
    pub timing: WorkerTiming,
    /// How often the node tells which of its workers have proved themselves.
    pub reported_every: Duration,
}

/// Asked when WhatsApp says that the session was opened elsewhere.
#[async_trait]
pub trait OwnershipCheck: Send + Sync {
    /// Whether this node still owns the tenant at this generation, by a linearizable read made after this call.
    async fn still_owner(&self, tenant: &TenantId, generation: Generation) -> Result<bool, OwnershipUnknown>;
}

/// The registry could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("ownership could not be checked: {reason}")]
pub struct OwnershipUnknown {
    pub reason: String,
}
