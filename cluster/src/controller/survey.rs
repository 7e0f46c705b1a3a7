//! The cluster as a pass would find it, for somebody who decides nothing: a dry run, an explanation, a status.
//!
//! What the controller has only in its memory is not in it: nodes and zones that it has seen fail lately, and restart
//! windows that it has seen used. Whose tenants leave because an impairment lasts, it notes in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::ids::NodeId;

use crate::{
    keys,
    ledger::{Ledger, LedgerError, Orders},
    plan::Snapshot,
    records::{LeaderRecord, NodeRecord},
    registry::{Registry, RegistryError},
};

use super::{
    failure_detector::{Assessment, RestartWindows},
    impairments::noted_shedding,
    plan_inputs::{DesiredByTenant, Mirror, PlanInputs},
};

/// One moment.
#[derive(Debug, Clone)]
pub struct Survey {
    /// None while there is no controller.
    pub leader: Option<LeaderRecord>,
    /// The live ones.
    pub nodes: BTreeMap<NodeId, NodeRecord>,
    pub orders: Orders,
    /// What a pass would plan from.
    pub snapshot: Snapshot,
}

#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    #[error(transparent)]
    Registry(RegistryError),
    #[error(transparent)]
    Ledger(LedgerError),
}

/// Reads everything anew, whoever leads.
pub async fn survey(registry: &dyn Registry, ledger: &dyn Ledger) -> Result<Survey, SurveyError> {
    let listing = registry.list(keys::ALL).await.map_err(SurveyError::Registry)?;
    let (desired_tenants, orders) = tokio::join!(ledger.desired_tenants(), ledger.orders());
    let (desired_tenants, orders) =
        (desired_tenants.map_err(SurveyError::Ledger)?, orders.map_err(SurveyError::Ledger)?);
    let leader = listing.entries.iter().find(|entry| entry.key == keys::LEADER);
    let leader = leader.map(keys::decode).transpose().map_err(SurveyError::Registry)?;
    let mut mirror = Mirror::default();
    for entry in &listing.entries {
        mirror.write(entry);
    }
    let nodes = mirror.view().nodes.clone();
    let awaited = RestartWindows::default().awaited(&orders.nodes, &nodes).nodes;
    let breaker = orders.breaker.as_ref();
    let assessment = Assessment {
        awaited,
        failover_held: breaker.is_some_and(|breaker| breaker.ramp == 0),
        impaired: impaired(&nodes),
        shedding: noted_shedding(&orders.nodes)
            .into_iter()
            .map(|(node, kind)| (node.clone(), kind))
            .collect(),
        // Whose turn it is the controller alone knows.
        failover_ramp: breaker.filter(|breaker| breaker.ramp > 0).map(|_| 0),
        ..Assessment::default()
    };
    let inputs = PlanInputs::new(&orders, &assessment, &desired_tenants);
    let by_tenant: DesiredByTenant<'_> =
        desired_tenants.iter().map(|desired| (&desired.tenant, desired)).collect();
    let snapshot = mirror.view().snapshot(&desired_tenants, &by_tenant, &inputs);
    Ok(Survey { leader, nodes, orders, snapshot })
}

fn impaired(nodes: &BTreeMap<NodeId, NodeRecord>) -> BTreeSet<NodeId> {
    let impaired = nodes.values().filter(|record| !record.impairments.is_empty());
    impaired.map(|record| record.node.clone()).collect()
}
