//! What operators order of single nodes. Which nodes there are is not known here: the caller checks that.

use std::time::Duration;

use roost_model::ids::{Incarnation, NodeId, OperationId};
use time::OffsetDateTime;

use crate::{Requester, Store, StoreError, policy::ATTEMPTS};

/// What is ordered of one node now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOrders {
    pub node: NodeId,
    pub cordoned: bool,
    /// Of the last order to cordon it; empty when it is not cordoned.
    pub cordoned_by: String,
    pub cordon_reason: String,
    pub cordoned_at: Option<OffsetDateTime>,
    /// The drain that runs.
    pub drain: Option<OperationId>,
    /// The one that is open.
    pub restart_window: Option<RestartWindowUntil>,
    /// In the future.
    pub suspect_until: Option<OffsetDateTime>,
    /// The controller's note, and no order: its tenants leave, for it has been impaired for long.
    pub shedding: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartWindowUntil {
    /// The life that is to end in it.
    pub incarnation: Incarnation,
    pub until: OffsetDateTime,
}

impl Store {
    /// Whether it was not cordoned before; if it was, who and why are replaced. While it is drained it is cordoned
    /// anyway, and will be even if the drain is cancelled.
    pub async fn cordon(&self, node: &NodeId, by: &Requester) -> Result<bool, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), before as materialized (
                select n.node from policy_lock, node_orders n where n.node = $1 and n.cordoned for no key update of n
            ), cordoned as (
                insert into node_orders (node, cordoned, cordoned_by, cordon_reason, cordoned_at)
                select $1, true, $2, $3, now() from policy_lock
                on conflict (node) do update set
                    cordoned = true, cordoned_before = true, cordoned_by = $2, cordon_reason = $3, cordoned_at = now()
            ), ordered as (
                update cluster_policy c set orders_revision = c.orders_revision + 1 from policy_lock
            ), logged as (
                insert into cluster_events (kind, node, text, requested_by, reason)
                select 'NODE_CORDONED', $1, format('node %s is cordoned', $1::text), $2, $3 from policy_lock
            )
            select not exists(select from before) as "changed!""#,
            node.as_str(),
            requested_by,
            reason,
        );
        Ok(self.one("cordon the node", query).await?.changed)
    }

    /// Whether it was cordoned. `Conflict` while it is drained.
    pub async fn uncordon(&self, node: &NodeId, by: &Requester) -> Result<bool, StoreError> {
        let step = "uncordon the node";
        for _ in 0..ATTEMPTS {
            let (requested_by, reason) = by.columns();
            let query = sqlx::query!(
                r#"with policy_lock as materialized (
                    -- None if another order came first: then what is read below is not what is there now.
                    select singleton from cluster_policy
                    where orders_revision = (select orders_revision from cluster_policy) for no key update
                ), drain as materialized (
                    select id from operations where node = $1 and kind = 'DRAIN' and state = 'RUNNING'
                ), opened as (
                    update node_orders n set
                        cordoned = false, cordoned_by = '', cordon_reason = '', cordoned_at = null
                    from policy_lock where n.node = $1 and n.cordoned and not exists(select from drain)
                    returning n.node
                ), ordered as (
                    update cluster_policy c set orders_revision = c.orders_revision + 1 from opened
                ), logged as (
                    insert into cluster_events (kind, node, text, requested_by, reason)
                    select 'NODE_UNCORDONED', node, format('node %s takes tenants again', node), $2, $3 from opened
                )
                select exists(select from opened) as "changed!", (select id from drain) as drain from policy_lock"#,
                node.as_str(),
                requested_by,
                reason,
            );
            let Some(row) = self.maybe(step, query).await? else { continue };
            return match row.drain {
                None => Ok(row.changed),
                Some(id) => Err(StoreError::Conflict {
                    operation: OperationId(id),
                    what: format!("node {node} is being drained (operation {id})"),
                }),
            };
        }
        Err(StoreError::outrun(step))
    }

    /// The node's tenants keep their places while it is away, for `span` from now at most, and until it is back under
    /// another incarnation. Answers with the end. Replaces an earlier one.
    pub async fn set_restart_window(
        &self,
        node: &NodeId,
        incarnation: Incarnation,
        span: Duration,
        by: &Requester,
    ) -> Result<OffsetDateTime, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), set as (
                insert into node_orders (node, window_incarnation, window_until)
                select $1, $2, now() + make_interval(secs => $3) from policy_lock
                on conflict (node) do update set
                    window_incarnation = excluded.window_incarnation, window_until = excluded.window_until
                returning window_until
            ), ordered as (
                update cluster_policy c set orders_revision = c.orders_revision + 1 from policy_lock
            ), logged as (
                insert into cluster_events (kind, node, text, requested_by, reason)
                select 'RESTART_WINDOW_SET', $1,
                    format('node %s may restart within %s s', $1::text, round($3::float8)), $4, $5
                from policy_lock
            )
            select window_until as "until!" from set"#,
            node.as_str(),
            incarnation.0,
            span.as_secs_f64(),
            requested_by,
            reason,
        );
        Ok(self.one("set the restart window", query).await?.until)
    }

    /// Whether one was open.
    pub async fn clear_restart_window(&self, node: &NodeId, by: &Requester) -> Result<bool, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), cleared as (
                update node_orders n set window_incarnation = null, window_until = null
                from policy_lock where n.node = $1 and n.window_until > now()
                returning n.node
            ), ordered as (
                update cluster_policy c set orders_revision = c.orders_revision + 1 from cleared
            ), logged as (
                insert into cluster_events (kind, node, text, requested_by, reason)
                select 'RESTART_WINDOW_CLEARED', node, format('nobody waits for node %s to restart', node), $2, $3
                from cleared
            )
            select exists(select from cleared) as "changed!""#,
            node.as_str(),
            requested_by,
            reason,
        );
        Ok(self.one("clear the restart window", query).await?.changed)
    }

    /// Requester node. Those about which nothing is ordered are not in it.
    pub async fn node_orders(&self) -> Result<Vec<NodeOrders>, StoreError> {
        let query = sqlx::query_as!(
            NodeRow,
            r#"select n.node, n.cordoned, n.cordoned_by, n.cordon_reason, n.cordoned_at, o.id as "drain?",
                case when n.window_until > now() then n.window_incarnation end as window_incarnation,
                n.window_until,
                case when n.suspect_until > now() then n.suspect_until end as suspect_until,
                n.shedding <> '' as "shedding!"
            from node_orders n
            left join operations o on o.node = n.node and o.kind = 'DRAIN' and o.state = 'RUNNING'
            where n.cordoned or o.id is not null or n.window_until > now() or n.suspect_until > now()
                or n.shedding <> ''
            order by n.node"#
        );
        self.all("list the orders on nodes", query).await?.into_iter().map(NodeOrders::try_from).collect()
    }
}

/// As the columns come, before they are checked.
struct NodeRow {
    node: String,
    cordoned: bool,
    cordoned_by: String,
    cordon_reason: String,
    cordoned_at: Option<OffsetDateTime>,
    drain: Option<i64>,
    window_incarnation: Option<i64>,
    window_until: Option<OffsetDateTime>,
    suspect_until: Option<OffsetDateTime>,
    shedding: bool,
}

impl TryFrom<NodeRow> for NodeOrders {
    type Error = StoreError;

    fn try_from(row: NodeRow) -> Result<Self, StoreError> {
        let window = row.window_incarnation.zip(row.window_until);
        Ok(Self {
            node: NodeId::new(&row.node).map_err(StoreError::corrupt_id)?,
            cordoned: row.cordoned,
            cordoned_by: row.cordoned_by,
            cordon_reason: row.cordon_reason,
            cordoned_at: row.cordoned_at,
            drain: row.drain.map(OperationId),
            restart_window: window.map(|(incarnation, until)| RestartWindowUntil {
                incarnation: Incarnation(incarnation),
                until,
            }),
            suspect_until: row.suspect_until,
            shedding: row.shedding,
        })
    }
}
