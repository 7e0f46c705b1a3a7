//! Whether a tenant is still this node's: what a worker asks when WhatsApp says that the session was opened elsewhere.

use async_trait::async_trait;
use roost_cluster::{
    ids::{Generation, Incarnation, NodeId, TenantId},
    keys,
    records::{AssignmentRecord, NodeRecord},
    registry::{RegistryError, SharedRegistry},
};

use crate::worker::{OwnershipCheck, OwnershipUnknown};

/// Answers for one life of the node.
pub(super) struct Ownership {
    pub(super) registry: SharedRegistry,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
}

impl Ownership {
    async fn look(&self, tenant: &TenantId, generation: Generation) -> Result<bool, RegistryError> {
        let assigned = match self.registry.get(&keys::assignments(&self.node)).await? {
            Some(entry) => keys::decode::<AssignmentRecord>(&entry)?,
            None => return Ok(false),
        };
        let named =
            assigned.entries.iter().any(|entry| entry.tenant == *tenant && entry.generation == generation);
        if assigned.incarnation != self.incarnation || !named {
            return Ok(false);
        }
        // The assignment is the node's only while its lease lives: a dead node's entries are free to be given away.
        // Read second, so that a lease seen to live lived when the assignment was read.
        match self.registry.get(&keys::node(&self.node)).await? {
            Some(entry) => Ok(keys::decode::<NodeRecord>(&entry)?.incarnation == self.incarnation),
            None => Ok(false),
        }
    }
}

#[async_trait]
impl OwnershipCheck for Ownership {
    async fn still_owner(&self, tenant: &TenantId, generation: Generation) -> Result<bool, OwnershipUnknown> {
        self.look(tenant, generation).await.map_err(|error| OwnershipUnknown { reason: error.to_string() })
    }
}
