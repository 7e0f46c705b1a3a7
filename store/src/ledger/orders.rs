//! What operators have ordered, read in one statement and so at one moment.

use std::time::Duration;

use roost_cluster::ledger::{NodeOrder, Operation, OperationKind, Orders, Policy, Progress, RestartWindow};
use roost_model::ids::{Incarnation, NodeId, OperationId, TenantId};
use serde::Deserialize;
use sqlx::types::Json;

use super::PostgresLedger;
use crate::{StoreError, operations::count};

impl PostgresLedger {
    pub(super) async fn read_orders(&self) -> Result<Orders, StoreError> {
        let query = sqlx::query!(
            r#"select failover_paused, failover_breaker, auto_rebalance,
                extract(epoch from now() - failover_resumed_at)::float8 as resumed_ago_s,
                coalesce((
                    select jsonb_agg(jsonb_build_object(
                        'node', node, 'cordoned', cordoned,
                        'window_incarnation', case when window_until > now() then window_incarnation end,
                        'window_left_s', extract(epoch from window_until - now()),
                        'suspect_for_s', case when suspect_until > now() then extract(epoch from suspect_until - now()) end
                    ) order by node)
                    from node_orders where cordoned or window_until > now() or suspect_until > now()
                ), '[]') as "nodes!: Json<Vec<NodeRow>>",
                coalesce((
                    select jsonb_agg(jsonb_build_object(
                        'id', id, 'kind', kind, 'node', node, 'tenant', tenant_id,
                        'urgent', force or coalesce(deadline <= now(), false), 'max_concurrent', max_concurrent,
                        'max_unavailable_percent', max_unavailable_percent, 'total', total, 'done', done
                    ) order by id)
                    from operations where state = 'RUNNING'
                ), '[]') as "operations!: Json<Vec<OperationRow>>"
            from cluster_policy"#
        );
        let row = self.store.one("read the orders", query).await?;
        Ok(Orders {
            policy: Policy {
                failover_paused: row.failover_paused,
                resumed_ago: row.resumed_ago_s.map(span),
                failover_breaker: row.failover_breaker,
                auto_rebalance: row.auto_rebalance,
            },
            nodes: row.nodes.0.into_iter().map(NodeOrder::from).collect(),
            operations: row.operations.0.into_iter().map(Operation::try_from).collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Debug, Deserialize)]
struct NodeRow {
    node: NodeId,
    cordoned: bool,
    window_incarnation: Option<i64>,
    window_left_s: Option<f64>,
    suspect_for_s: Option<f64>,
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
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Drain,
    Rebalance,
    Move,
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
    total: i32,
    done: i32,
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
        };
        let progress = Progress { total: count(row.total)?, done: count(row.done)? };
        Ok(Self { id: OperationId(row.id), kind, progress })
    }
}

/// A row may be younger than the transaction that reads it.
fn span(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
