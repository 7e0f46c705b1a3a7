//! The cluster as a pass would find it, for somebody who decides nothing: a dry run, an explanation, a status.
//!
//! What the controller has only in its memory is not in it: nodes and zones that it has seen fail lately, and restart
//! windows that it has seen used.

use std::collections::BTreeMap;

use roost_model::ids::NodeId;

use crate::{
    keys,
    ledger::{Ledger, LedgerError, Orders},
    plan::Snapshot,
    records::{LeaderRecord, NodeRecord},
    registry::{Registry, RegistryError},
};

use super::{directions::Directions, mirror::Mirror, senses::Findings, view::Demands, windows::Windows};

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
    let (demands, orders) = tokio::join!(ledger.demands(), ledger.orders());
    let (demands, orders) = (demands.map_err(SurveyError::Ledger)?, orders.map_err(SurveyError::Ledger)?);
    let leader = listing.entries.iter().find(|entry| entry.key == keys::LEADER);
    let leader = leader.map(keys::decode).transpose().map_err(SurveyError::Registry)?;
    let mut mirror = Mirror::default();
    for entry in &listing.entries {
        mirror.write(entry).map_err(SurveyError::Registry)?;
    }
    let nodes = mirror.view().nodes.clone();
    let awaited = Windows::default().awaited(&orders.nodes, &nodes).nodes;
    let given = Directions::new(&orders, &Findings { awaited, ..Findings::default() }, &demands);
    let by_tenant: Demands<'_> = demands.iter().map(|demand| (&demand.tenant, demand)).collect();
    let snapshot = mirror.view().snapshot(&demands, &by_tenant, &given);
    Ok(Survey { leader, nodes, orders, snapshot })
}
