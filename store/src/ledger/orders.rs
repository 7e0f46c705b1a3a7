//! What operators have ordered, as the controller reads it: one statement, and so one moment.

use std::collections::BTreeSet;

use roost_cluster::{
    ledger::{
        BreakerRecord, FleetLimits, FleetMove, NodeOrder, Operation, OperationKind, Orders, Policy, Progress,
        RestartWindow,
    },
    records::ImpairmentKind,
};
use roost_model::ids::{Incarnation, NodeId, OperationId, TenantId};
use serde::Deserialize;
use sqlx::types::Json;

use super::{PostgresLedger, span};
use crate::{
    StoreError,
    operations::{RolloutOrder, count},
};

impl PostgresLedger {
    pub(super) async fn read_orders(&self) -> Result<Orders, StoreError> {
        let query = sqlx::query!(
            r#"select failover_paused, failover_paused_by = '' as "paused_by_breaker!", failover_breaker, auto_rebalance,
                extract(epoch from now() - failover_resumed_at)::float8 as resumed_ago_s,
                coalesce((
                    select jsonb_agg(jsonb_build_object(
                        'node', node, 'cordoned', cordoned,
                        'window_incarnation', case when window_until > now() then window_incarnation end,
                        'window_left_s', extract(epoch from window_until - now()),
                        'shedding', nullif(shedding, ''),
                        'suspect_for_s', case when suspect_until > now() then extract(epoch from suspect_until - now()) end
                    ) order by node)
                    from node_orders
                    where cordoned or window_until > now() or suspect_until > now() or shedding <> ''
                ), '[]') as "nodes!: Json<Vec<NodeRow>>",
                coalesce((
                    select jsonb_agg(jsonb_build_object(
                        'id', id, 'kind', kind, 'node', node, 'tenant', tenant_id,
                        'urgent', force or coalesce(deadline <= now(), false), 'max_concurrent', max_concurrent,
                        'max_unavailable_percent', max_unavailable_percent, 'pauses_after', pauses_after, 'rollout', rollout, 'total', total, 'done', done, 'message', message
                    ) order by id)
                    from operations where state = 'RUNNING'
                ), '[]') as "operations!: Json<Vec<OperationRow>>",
                coalesce((
                    select jsonb_agg(jsonb_build_object(
                        'operation', o.id, 'tenant', m.tenant_id, 'from', m.from_node, 'to', o.node
                    ) order by m.position)
                    from operations o join operation_members m on m.operation_id = o.id
                    where o.state = 'RUNNING' and o.action = 'MOVE' and m.state = 'UNDER_WAY'
                ), '[]') as "fleet_moves!: Json<Vec<FleetMoveRow>>",
                (
                    select jsonb_build_object(
                        'lost', lost, 'age_s', extract(epoch from now() - opened_at),
                        'held_for_s', greatest(extract(epoch from held_until - now()), 0),
                        'ramp', ramp, 'survivors_lost', survivors_lost
                    ) from failover_breaker
                ) as "breaker: Json<BreakerRow>"
            from cluster_policy"#
        );
        let row = self.store.one("read the orders", query).await?;
        Ok(Orders {
            policy: Policy {
                paused_by_breaker: row.failover_paused.is_some() && row.paused_by_breaker,
                failover_paused: row.failover_paused,
                resumed_ago: row.resumed_ago_s.map(span),
                failover_breaker: row.failover_breaker,
                auto_rebalance: row.auto_rebalance,
            },
            nodes: row.nodes.0.into_iter().map(NodeOrder::from).collect(),
            operations: row.operations.0.into_iter().map(Operation::try_from).collect::<Result<_, _>>()?,
            fleet_moves: row.fleet_moves.0.into_iter().map(FleetMove::from).collect(),
            breaker: row.breaker.map(|breaker| breaker.0.into()),
        })
    }
}

#[derive(Debug, Deserialize)]
struct BreakerRow {
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
struct FleetMoveRow {
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
struct NodeRow {
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
struct OperationRow {
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
