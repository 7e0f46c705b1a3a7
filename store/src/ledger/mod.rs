//! The controller's view of the database: what is wanted, and the fence of the controller itself.
//!
//! Every write names its term and begins, in the same statement, with
//!
//! ```sql
//! valid_term as materialized (select term from controller_term where term = $1 for share)
//! ```
//!
//! [`Ledger::begin_term`] updates that row. It waits for placements under way, and from its commit on those of earlier
//! terms find no `valid_term` and write nothing: the argument of [`crate::fence`], one level up.

use std::time::Duration;

use async_trait::async_trait;
use roost_cluster::ledger::{
    Complaint, DesiredTenant, FailoverFacts, FleetMembers, FleetMove, FleetStep, GENERATIONS_LEFT_OUT,
    Ledger, LedgerError, LedgerRecord, NodeOrder, NotBack, Operation, Orders, Policy, RolloutMember,
    RolloutStep, Seal, StoreClaim,
};
use roost_model::{
    causes,
    ids::{Generation, NodeId, OperationId, Revision, TenantId, Term},
};
use sqlx::types::Json;
use tokio::sync::{Mutex, broadcast};

use crate::{Change, ChangeKind, ClusterChange, Store, StoreError, columns::span};

mod complaint;
mod demands;
mod failover;
mod fleet;
mod order_rows;
mod records;
mod rollout;
mod seal;
mod stale;
mod unplacing;

pub use complaint::PresentController;
use demands::Demands;
use order_rows::{BreakerRow, FleetMoveRow, NodeRow, OperationRow};

/// [`Ledger`] on Postgres.
pub struct PostgresLedger {
    store: Store,
    changes: Mutex<Changes>,
    demands: Mutex<Demands>,
}

/// What the controller is told of.
struct Changes {
    tenants: broadcast::Receiver<Change>,
    cluster: broadcast::Receiver<ClusterChange>,
}

impl PostgresLedger {
    pub fn new(store: Store) -> Self {
        let changes = Mutex::new(Changes { tenants: store.changes(), cluster: store.cluster_changes() });
        Self { store, changes, demands: Mutex::default() }
    }

    /// Turns a statement's answer whether `valid_term` was there into a result.
    async fn check(&self, holds_term: bool) -> Result<(), StoreError> {
        if holds_term { Ok(()) } else { Err(StoreError::Deposed { term: self.store.present_term().await? }) }
    }

    /// What operators have ordered, read in one statement and so at one moment.
    async fn read_orders(&self) -> Result<Orders, StoreError> {
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

impl Store {
    /// The term of the present controller, or of the last one.
    pub(crate) async fn present_term(&self) -> Result<Term, StoreError> {
        let row = self.one("read the term", sqlx::query!("select term from controller_term")).await?;
        Ok(Term(row.term))
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn seal(&self) -> Result<Seal, LedgerError> {
        self.read_seal().await.map_err(to_ledger)
    }

    async fn take_store(&self, claim: &StoreClaim) -> Result<bool, LedgerError> {
        self.write_seal(claim).await.map_err(to_ledger)
    }

    async fn begin_term(
        &self,
        etcd_cluster: &str,
        leader_revision: Revision,
        holder: &str,
    ) -> Result<Term, LedgerError> {
        // The same key of the same holder gets the same term again: the answer to its first call may have been lost.
        let query = sqlx::query!(
            r#"update controller_term set
                term = case when etcd_cluster = $1 and leader_revision = $2 then term else term + 1 end,
                holder = $3, etcd_cluster = $1, leader_revision = $2, begun_at = now(), seen_at = now(),
                registry_revision = case when etcd_cluster = $1 then greatest(registry_revision, $2) else $2 end
            where store in ('', $1) and (
                etcd_cluster <> $1 or greatest(leader_revision, registry_revision) < $2
                or (leader_revision = $2 and holder = $3)
            )
            returning term"#,
            etcd_cluster,
            leader_revision.0,
            holder,
        );
        self.demands.lock().await.forget();
        match self.store.maybe("begin the term", query).await.map_err(to_ledger)? {
            Some(row) => Ok(Term(row.term)),
            None => Err(LedgerError::Deposed { term: self.store.present_term().await.map_err(to_ledger)? }),
        }
    }

    async fn registry_was_at(&self, term: Term, revision: Revision) -> Result<(), LedgerError> {
        let query = sqlx::query!(
            r#"update controller_term set registry_revision = greatest(registry_revision, $2), seen_at = now()
            where term = $1 returning term"#,
            term.0,
            revision.0,
        );
        let row = self.store.maybe("note the registry's revision", query).await.map_err(to_ledger)?;
        self.check(row.is_some()).await.map_err(to_ledger)
    }

    async fn complain(&self, term: Term, complaint: Option<&Complaint>) -> Result<(), LedgerError> {
        self.write_complaint(term, complaint).await.map_err(to_ledger)
    }

    async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, LedgerError> {
        self.demands.lock().await.read(&self.store).await.map_err(to_ledger)
    }

    async fn orders(&self) -> Result<Orders, LedgerError> {
        self.read_orders().await.map_err(to_ledger)
    }

    async fn record(&self, term: Term, records: &[LedgerRecord]) -> Result<(), LedgerError> {
        self.write_records(term, records).await.map_err(to_ledger)
    }

    async fn place(
        &self,
        term: Term,
        placements: &[(TenantId, NodeId)],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        let tenants: Vec<&str> = placements.iter().map(|(tenant, _)| tenant.as_str()).collect();
        let nodes: Vec<&str> = placements.iter().map(|(_, node)| node.as_str()).collect();
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), held as materialized (
                select w.tenant_id, given.node, h.last_seen_at >= w.expected_since as was_seen
                from valid_term, worker_processes w
                join whatsapp_sessions s using (tenant_id)
                left join worker_heartbeats h using (tenant_id)
                join unnest($2::text[], $3::text[]) as given(tenant_id, node) using (tenant_id)
                order by w.tenant_id for update of w skip locked for no key update of s skip locked
            ), placed as (
                update worker_processes w set
                    node = held.node, generation = nextval('generations'), updated_at = now(),
                    -- That was said of the owner before.
                    condition = case when w.condition = 'ANSWERING' then 'STARTING' else w.condition end,
                    condition_reason = case when w.condition = 'ANSWERING' then format('it goes to %s', held.node) else w.condition_reason end,
                    condition_since = case when w.condition = 'ANSWERING' then now() else w.condition_since end,
                    -- One that was not seen under its last placement is no less overdue for another.
                    expected_since = case when held.was_seen then now() else w.expected_since end
                from held where w.tenant_id = held.tenant_id
                returning w.tenant_id, w.generation
            ), moved as (
                update whatsapp_sessions s set
                    status = 'DISCONNECTED', qr_text = null, qr_data_uri = null, qr_expires_at = null,
                    updated_at = now()
                from placed where s.tenant_id = placed.tenant_id and s.status <> 'DISCONNECTED'
            )
            select exists(select from valid_term) as "holds_term!", placed.tenant_id as "tenant_id?",
                placed.generation as "generation?"
            from (select) as once left join placed on true
            order by placed.tenant_id"#,
            term.0,
            &tenants as &[&str],
            &nodes as &[&str],
        );
        let rows = self.store.all("place the tenants", query).await.map_err(to_ledger)?;
        self.check(rows.iter().any(|row| row.holds_term)).await.map_err(to_ledger)?;
        generations(rows.into_iter().filter_map(|row| row.tenant_id.zip(row.generation)))
    }

    async fn outrun(
        &self,
        term: Term,
        found: Generation,
        tenants: &[TenantId],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
        // The sequence is set before `outran` takes from it: the count has to be known before there is a row to write.
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), raised as materialized (
                select setval('generations', $2 + $4::bigint) from valid_term, generations
                where last_value < $2 or (last_value = $2 and not is_called)
            ), held as materialized (
                select w.tenant_id from valid_term, worker_processes w
                where w.tenant_id = any($3) order by w.tenant_id for update of w skip locked
            ), outran as (
                update worker_processes w set
                    generation = nextval('generations'), outrun_by = null, expected_since = now(), updated_at = now()
                from held, (select count(*) from raised) as raised
                where w.tenant_id = held.tenant_id
                returning w.tenant_id, w.generation
            )
            select exists(select from valid_term) as "holds_term!", (select count(*) from raised) as "raised!",
                outran.tenant_id as "tenant_id?", outran.generation as "generation?"
            from (select) as once left join outran on true
            order by outran.tenant_id"#,
            term.0,
            found.0,
            &tenants as &[&str],
            GENERATIONS_LEFT_OUT,
        );
        let rows = self.store.all("outrun later generations", query).await.map_err(to_ledger)?;
        self.check(rows.iter().any(|row| row.holds_term)).await.map_err(to_ledger)?;
        if rows.iter().any(|row| row.raised > 0) {
            tracing::error!(%found, "the database has gone back: generations go on above those that it has forgotten");
        }
        generations(rows.into_iter().filter_map(|row| row.tenant_id.zip(row.generation)))
    }

    async fn failover_facts(
        &self,
        placed_within: Duration,
        cut_off_within: Duration,
    ) -> Result<FailoverFacts, LedgerError> {
        self.read_failover_facts(placed_within, cut_off_within).await
    }

    async fn not_back(&self, operation: OperationId) -> Result<Vec<NotBack>, LedgerError> {
        self.read_not_back(operation).await
    }

    async fn fleet_members(&self, operation: OperationId, most: u32) -> Result<FleetMembers, LedgerError> {
        self.read_fleet(operation, most).await.map_err(to_ledger)
    }

    async fn step_fleet(
        &self,
        term: Term,
        operation: OperationId,
        step: &FleetStep,
    ) -> Result<(), LedgerError> {
        self.write_fleet(term, operation, step).await.map_err(to_ledger)
    }

    async fn rollout_members(&self, operation: OperationId) -> Result<Vec<RolloutMember>, LedgerError> {
        self.read_rollout(operation).await.map_err(to_ledger)
    }

    async fn step_rollout(
        &self,
        term: Term,
        operation: OperationId,
        step: &RolloutStep,
    ) -> Result<(), LedgerError> {
        let written = match step {
            RolloutStep::Give(tenants) => self.give_version(term, operation, tenants).await,
            RolloutStep::End { outcome, done } => self.end_rollout(term, operation, outcome, *done).await,
        };
        written.map_err(to_ledger)
    }

    async fn unplace(&self, term: Term, tenants: &[TenantId]) -> Result<usize, LedgerError> {
        self.take_off_their_nodes(term, tenants).await
    }

    async fn mark_stale(&self, term: Term, older_than: Duration) -> Result<Vec<TenantId>, LedgerError> {
        self.mark_stale_workers(term, older_than).await
    }

    async fn changed(&self) {
        let mut changes = self.changes.lock().await;
        loop {
            let Changes { tenants, cluster } = &mut *changes;
            // Cancelling a receive loses nothing.
            let concerns = tokio::select! {
                change = tenants.recv() => concerns(change, |change| change.kind == ChangeKind::Spec),
                change = cluster.recv() => concerns(change, |change| *change == ClusterChange::Orders),
            };
            match concerns {
                Some(true) => return,
                Some(false) => {}
                // The listener lives as long as the store, which this holds.
                None => std::future::pending().await,
            }
        }
    }
}

/// Whether the notification is for the controller; what was missed may have been.
fn concerns<T>(received: Result<T, broadcast::error::RecvError>, is_it: impl Fn(&T) -> bool) -> Option<bool> {
    match received {
        Ok(change) => Some(is_it(&change)),
        Err(broadcast::error::RecvError::Lagged(_)) => Some(true),
        Err(broadcast::error::RecvError::Closed) => None,
    }
}

fn generations(
    rows: impl Iterator<Item = (String, i64)>,
) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
    rows.map(|(tenant, generation)| Ok((TenantId::new(&tenant)?, Generation(generation))))
        .collect::<Result<_, _>>()
        .map_err(|reason| to_ledger(StoreError::corrupt_id(reason)))
}

fn to_ledger(error: StoreError) -> LedgerError {
    if let StoreError::Deposed { term } = error {
        return LedgerError::Deposed { term };
    }
    let reason = causes(&error).to_string();
    match error.refusal() {
        Some(kind) => LedgerError::Refused { kind, reason },
        None if matches!(error, StoreError::Corrupt { .. }) => LedgerError::Corrupt { reason },
        None => LedgerError::Unavailable { reason },
    }
}
