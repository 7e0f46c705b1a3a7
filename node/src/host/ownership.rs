//! Whether a tenant is still this node's: what a worker asks when WhatsApp says that the session was opened elsewhere.

use async_trait::async_trait;
use roost_cluster::{
    keys,
    records::{AssignmentRecord, NodeRecord, Phase},
    registry::{RegistryError, SharedRegistry},
};
use roost_model::{
    causes,
    ids::{Generation, Incarnation, NodeId, TenantId},
};

use crate::worker::{OwnershipCheck, OwnershipUnknown};

/// Answers for one life of the node.
pub(super) struct RegistryOwnership {
    pub(super) registry: SharedRegistry,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
}

impl RegistryOwnership {
    async fn look(&self, tenant: &TenantId, generation: Generation) -> Result<bool, RegistryError> {
        let assigned = match self.registry.get(&keys::assignments(&self.node)).await? {
            Some(entry) => keys::decode::<AssignmentRecord>(&entry)?,
            None => return Ok(false),
        };
        let named = assigned.entries.iter().any(|entry| {
            // A preparation has the generation of the owner that it prepares to take over from.
            entry.tenant == *tenant && entry.generation == generation && entry.phase != Phase::Preparing
        });
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
impl OwnershipCheck for RegistryOwnership {
    async fn still_owner(&self, tenant: &TenantId, generation: Generation) -> Result<bool, OwnershipUnknown> {
        self.look(tenant, generation)
            .await
            .map_err(|error| OwnershipUnknown { reason: causes(&error).to_string() })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use roost_cluster::{
        records::AssignmentEntry,
        registry::{MemoryRegistry, Op, Registry},
    };
    use roost_model::ids::SpecRevision;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_is_owned_under_its_generation_by_a_life_that_lives() {
        let registry = Arc::new(MemoryRegistry::new("m"));
        let (node, tenant) = (NodeId::new("a").unwrap(), TenantId::new("t").unwrap());
        let incarnation = registry.grant(Duration::from_secs(60)).await.unwrap();
        let entry = AssignmentEntry {
            tenant: tenant.clone(),
            generation: Generation(2),
            phase: Phase::Releasing,
            spec_revision: SpecRevision(1),
        };
        let prepared =
            AssignmentEntry { tenant: TenantId::new("p").unwrap(), phase: Phase::Preparing, ..entry.clone() };
        let assigned = AssignmentRecord { incarnation, entries: vec![entry, prepared] };
        let record = NodeRecord {
            node: node.clone(),
            incarnation,
            address: String::new(),
            capacity: 1,
            weight: 100,
            zone: String::new(),
            version: String::new(),
            leaving: false,
            rpc_address: String::new(),
            spare_browsers: 0,
            started_at_ms: 0,
            impairments: Vec::new(),
            memory: None,
        };
        let put = |key, value, lease| Op::Put { key, value, lease };
        let ops = [
            put(keys::assignments(&node), keys::encode(&assigned), None),
            put(keys::node(&node), keys::encode(&record), Some(incarnation)),
        ];
        registry.commit(&[], &ops).await.unwrap();
        let ownership = RegistryOwnership { registry: registry.clone(), node, incarnation };
        let owns = async |generation| ownership.still_owner(&tenant, Generation(generation)).await;

        assert!(owns(2).await.unwrap());
        assert!(!owns(1).await.unwrap(), "an earlier generation");
        assert!(!ownership.still_owner(&TenantId::new("u").unwrap(), Generation(2)).await.unwrap());
        let prepared = ownership.still_owner(&TenantId::new("p").unwrap(), Generation(2)).await.unwrap();
        assert!(!prepared, "it is another node's");
        registry.cut_off();
        owns(2).await.unwrap_err();
        registry.reconnect();
        registry.revoke(incarnation).await.unwrap();
        assert!(!owns(2).await.unwrap(), "its life is over");
    }
}
