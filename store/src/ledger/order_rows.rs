//! What operators have ordered, as its rows come, and what they mean.

use std::collections::BTreeSet;

use roost_cluster::{
    ledger::{
        BreakerRecord, FleetLimits, FleetMove, NodeOrder, Operation, OperationKind, Progress, RestartWindow,
    },
    records::ImpairmentKind,
};
use roost_model::ids::{Incarnation, NodeId, OperationId, TenantId};
use serde::Deserialize;

use crate::{
    StoreError,
    columns::span,
    operations::{RolloutOrder, count},
};

#[derive(Debug, Deserialize)]
pub(super) struct BreakerRow {
    lost: BTreeSet<NodeId>,
    age_s: f64,
    held_for_s: f64,
    ramp: u32,
    survivors_lost: u32,
}

impl From<BreakerRow> for BreakerRecord {
    fn from(row: BreakerRow) -> Self {
        let BreakerRow { lost, age_s, held_for_s, ramp, survivors_lost } = row;
        Self { lost, age: span(age_s), held_for: span(held_for_s), ramp, survivors_lost }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct FleetMoveRow {
    operation: i64,
    tenant: TenantId,
    from: Option<NodeId>,
    to: Option<NodeId>,
}

impl From<FleetMoveRow> for FleetMove {
    fn from(row: FleetMoveRow) -> Self {
        let FleetMoveRow { operation, tenant, from, to } = row;
        Self { operation: OperationId(operation), tenant, from, to }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct NodeRow {
    node: NodeId,
    cordoned: bool,
    window_incarnation: Option<i64>,
    window_left_s: Option<f64>,
    suspect_for_s: Option<f64>,
    shedding: Option<ImpairmentKind>,
}

impl From<NodeRow> for NodeOrder {
    fn from(row: NodeRow) -> Self {
        let window = row.window_incarnation.zip(row.window_left_s);
        Self {
            node: row.node,
            cordoned: row.cordoned,
            restart_window: window.map(|(incarnation, left_s)| RestartWindow {
                incarnation: Incarnation(incarnation),
                left: span(left_s),
            }),
            suspect_for: row.suspect_for_s.map(span),
            shedding: row.shedding,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Drain,
    Rebalance,
    Move,
    Fleet,
    Rollout,
}

#[derive(Debug, Deserialize)]
pub(super) struct OperationRow {
    id: i64,
    kind: Kind,
    node: Option<NodeId>,
    tenant: Option<TenantId>,
    urgent: bool,
    max_concurrent: Option<u32>,
    max_unavailable_percent: Option<u32>,
    pauses_after: Option<u32>,
    rollout: Option<RolloutOrder>,
    total: i32,
    done: i32,
    message: String,
}

impl TryFrom<OperationRow> for Operation {
    type Error = StoreError;

    fn try_from(row: OperationRow) -> Result<Self, StoreError> {
        let missing = || StoreError::Corrupt {
            what: "an operation",
            reason: format!("operation {} lacks what its kind needs", row.id),
        };
        let kind = match row.kind {
            Kind::Drain => OperationKind::Drain { node: row.node.ok_or_else(missing)?, urgent: row.urgent },
            Kind::Rebalance => OperationKind::Rebalance {
                max_concurrent: row.max_concurrent.ok_or_else(missing)?,
                max_unavailable_percent: row.max_unavailable_percent.ok_or_else(missing)?,
            },
            Kind::Move => OperationKind::Move {
                tenant: row.tenant.ok_or_else(missing)?,
                to: row.node.ok_or_else(missing)?,
            },
            Kind::Fleet => OperationKind::Fleet(FleetLimits {
                max_concurrent: row.max_concurrent.ok_or_else(missing)?,
                max_unavailable_percent: row.max_unavailable_percent.ok_or_else(missing)?,
                pauses_after: row.pauses_after,
            }),
            Kind::Rollout => OperationKind::Rollout(row.rollout.as_ref().ok_or_else(missing)?.limits()),
        };
        let progress = Progress { total: count(row.total)?, done: count(row.done)? };
        Ok(Self { id: OperationId(row.id), kind, progress, waits_for: row.message })
    }
}
