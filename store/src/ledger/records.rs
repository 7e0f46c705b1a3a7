//! What the controller records: one statement for all of it, like every write under a term, so that a controller that is
//! frozen in the middle of it holds nothing.

use std::{collections::BTreeMap, time::Duration};

use roost_cluster::{
    ledger::{BreakerRecord, Event, LedgerRecord, Outcome, Progress},
    records::ImpairmentKind,
};
use roost_model::ids::{NodeId, OperationId, TenantId, Term};

use super::PostgresLedger;
use crate::{
    StoreError,
    columns::storable,
    events::kind_to_column,
    operations::{DEFAULT_MAX_CONCURRENT, DEFAULT_MAX_UNAVAILABLE_PERCENT, OperationState, number_to_column},
    placements::KEPT_PLACEMENTS,
    policy::ATTEMPTS,
};

const STEP: &str = "write the records";

impl PostgresLedger {
    /// Records of one kind about one subject are taken as one, the last: a row is written once in a statement.
    pub(super) async fn write_records(&self, term: Term, records: &[LedgerRecord]) -> Result<(), StoreError> {
        let sheet = Sheet::of(records);
        for _ in 0..ATTEMPTS {
            match self.write(term, &sheet).await {
                // It has waited for a record that an earlier call left behind, and did not see what that one counted.
                Err(error) if error.unique_violation() == Some("placements_pkey") => {}
                written => return written,
            }
        }
        Err(StoreError::outrun(STEP))
    }

    async fn write(&self, term: Term, sheet: &Sheet<'_>) -> Result<(), StoreError> {
        let (placed, ended, events) = (sheet.placed(), sheet.ended(), sheet.events());
        let breaker = sheet.breaker();
        let nodes: Vec<&str> = sheet.nodes.keys().map(|node| node.as_str()).collect();
        let spans_s: Vec<Option<f64>> =
            sheet.nodes.values().map(|told| told.suspect_for.map(|span| span.as_secs_f64())).collect();
        let shedding: Vec<Option<&str>> = sheet.nodes.values().map(|told| told.shedding).collect();
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), placed as materialized (
                select w.tenant_id, given.node, given.reason, given.operation_id
                from valid_term, worker_processes w
                join unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
                    as given(tenant_id, node, reason, operation_id) using (tenant_id)
                order by w.tenant_id for key share of w skip locked
            ), policy_lock as materialized (
                -- Counted, so that the workers' rows are held before this one. Limited, so that the planner knows.
                select c.singleton from valid_term, (select count(*) from placed) as first, cluster_policy c
                limit 1 for no key update of c
            ), paused as (
                update cluster_policy c set
                    failover_paused = $6, failover_paused_by = '', failover_paused_at = now()
                from policy_lock where $6::text is not null and c.failover_paused is null
            ), resumed as (
                update cluster_policy c set
                    failover_paused = null, failover_paused_by = '', failover_paused_at = null
                from policy_lock where $22::bool and c.failover_paused is not null and c.failover_paused_by = ''
            ), opened as (
                insert into failover_breaker (lost, opened_at, held_until, ramp, survivors_lost)
                select $23::text[], now() - make_interval(secs => $24), now() + make_interval(secs => $25), $26, $27
                from policy_lock where $28::text = 'OPEN'
                on conflict (singleton) do update set
                    lost = excluded.lost, opened_at = excluded.opened_at, held_until = excluded.held_until,
                    ramp = excluded.ramp, survivors_lost = excluded.survivors_lost
            ), closed as (
                delete from failover_breaker using policy_lock where $28::text = 'CLOSED'
            ), noted as (
                insert into node_orders (node, suspect_until, shedding)
                select given.node, now() + make_interval(secs => given.span_s), coalesce(given.shedding, '')
                from policy_lock, unnest($7::text[], $8::float8[], $29::text[]) as given(node, span_s, shedding)
                on conflict (node) do update set
                    suspect_until = greatest(node_orders.suspect_until, excluded.suspect_until),
                    shedding = coalesce(
                        (select g.shedding from unnest($7::text[], $29::text[]) as g(node, shedding)
                         where g.node = node_orders.node),
                        node_orders.shedding)
            ), went_on as (
                update operations o set
                    total = given.total, done = given.done, message = given.message,
                    state = coalesce(given.state, o.state),
                    ended_at = case when given.state is not null then now() end
                from policy_lock, unnest($9::bigint[], $10::int[], $11::int[], $12::operation_state[], $13::text[])
                    as given(id, total, done, state, message)
                where o.id = given.id and o.state = 'RUNNING'
                    and (given.state is not null
                        or (o.total, o.done, o.message) is distinct from (given.total, given.done, given.message))
                returning o.id, o.state, o.node, o.tenant_id, operation_summary(o) as text
            ), started as (
                insert into operations (kind, max_concurrent, max_unavailable_percent, requested_by, reason)
                select 'REBALANCE', $15, $16, '', 'the policy of the cluster' from policy_lock where $14
                on conflict (kind) where state = 'RUNNING' and kind = 'REBALANCE' do nothing
                returning id, state, node, tenant_id, operation_summary(operations) as text
            ), remembered as (
                insert into placements (tenant_id, seq, from_node, to_node, reason, operation_id)
                select p.tenant_id, coalesce(last.seq, 0) + 1, last.to_node, p.node, p.reason, p.operation_id
                from policy_lock, placed p left join lateral (
                    select seq, to_node from placements
                    where tenant_id = p.tenant_id order by seq desc limit 1
                ) as last on true
                returning tenant_id, seq
            ), forgotten as (
                delete from placements old using remembered new
                where old.tenant_id = new.tenant_id and old.seq <= new.seq - $17
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, operation_id, text)
                select new_event.kind, new_event.node, new_event.tenant_id, new_event.operation_id, new_event.text
                from policy_lock, (
                    select kind, node, tenant_id, null::bigint as operation_id, text, position
                    from unnest($18::text[], $19::text[], $20::text[], $21::text[])
                        with ordinality as given(kind, node, tenant_id, text, position)
                    union all
                    select 'OPERATION_ENDED', node, tenant_id, id, text, null from went_on where state <> 'RUNNING'
                    union all
                    select 'OPERATION_STARTED', node, tenant_id, id, text, null from started
                ) as new_event
                order by new_event.position, new_event.operation_id
            )
            select exists(select from valid_term) as "holds_term!""#,
            term.0,
            &placed.tenants as &[&str],
            &placed.nodes as &[&str],
            &placed.reasons as &[String],
            &placed.operations as &[Option<i64>],
            sheet.pause.as_deref(),
            &nodes as &[&str],
            &spans_s as &[Option<f64>],
            &ended.operations,
            &ended.totals,
            &ended.done,
            &ended.states as &[Option<OperationState>],
            &ended.messages,
            sheet.start_rebalance,
            number_to_column(DEFAULT_MAX_CONCURRENT),
            number_to_column(DEFAULT_MAX_UNAVAILABLE_PERCENT),
            KEPT_PLACEMENTS,
            &events.kinds as &[&str],
            &events.nodes as &[Option<&str>],
            &events.tenants as &[Option<&str>],
            &events.texts,
            sheet.resume,
            &breaker.lost as &[&str],
            breaker.age_s,
            breaker.held_for_s,
            breaker.ramp,
            breaker.survivors_lost,
            breaker.state,
            &shedding as &[Option<&str>],
        );
        let row = self.store.one(STEP, query).await?;
        self.check(row.holds_term).await
    }
}

#[derive(Default)]
struct OperationNews<'a> {
    progress: Progress,
    waits_for: &'a str,
    outcome: Option<&'a Outcome>,
}

/// The records, by what they are about.
#[derive(Default)]
struct Sheet<'a> {
    placed: BTreeMap<&'a TenantId, (&'a NodeId, &'a str, Option<OperationId>)>,
    progress: BTreeMap<OperationId, OperationNews<'a>>,
    nodes: BTreeMap<&'a NodeId, NodeNote>,
    events: Vec<&'a Event>,
    pause: Option<String>,
    resume: bool,
    breaker: Option<&'a Option<BreakerRecord>>,
    start_rebalance: bool,
}

/// None where nothing is said.
#[derive(Default)]
struct NodeNote {
    suspect_for: Option<Duration>,
    /// Empty when its tenants stay again.
    shedding: Option<&'static str>,
}

impl<'a> Sheet<'a> {
    fn of(records: &'a [LedgerRecord]) -> Self {
        let mut sheet = Self::default();
        for record in records {
            match record {
                LedgerRecord::Event(event) => sheet.events.push(event),
                LedgerRecord::Placed { tenant, node, because, operation } => {
                    sheet.placed.insert(tenant, (node, because, *operation));
                }
                // An end is not taken back by a progress that was noted after it.
                LedgerRecord::Progress { operation, progress, waits_for } => {
                    let news = sheet.progress.entry(*operation).or_default();
                    (news.progress, news.waits_for) = (*progress, waits_for);
                }
                LedgerRecord::Ended { operation, progress, outcome } => {
                    let news = OperationNews { progress: *progress, waits_for: "", outcome: Some(outcome) };
                    sheet.progress.insert(*operation, news);
                }
                LedgerRecord::PauseFailover { reason } => sheet.pause = Some(storable(reason).into_owned()),
                LedgerRecord::ResumeFailover => sheet.resume = true,
                LedgerRecord::Breaker(record) => sheet.breaker = Some(record),
                LedgerRecord::Suspect { node, span } => {
                    sheet.nodes.entry(node).or_default().suspect_for = Some(*span);
                }
                LedgerRecord::Shedding { node, because } => {
                    sheet.nodes.entry(node).or_default().shedding =
                        Some(because.map_or("", ImpairmentKind::as_str));
                }
                LedgerRecord::StartRebalance => sheet.start_rebalance = true,
            }
        }
        sheet
    }

    fn placed(&self) -> PlacedColumns<'a> {
        let mut columns = PlacedColumns::default();
        for (tenant, (node, because, operation)) in &self.placed {
            columns.tenants.push(tenant.as_str());
            columns.nodes.push(node.as_str());
            columns.reasons.push(storable(because).into_owned());
            columns.operations.push(operation.map(|operation| operation.0));
        }
        columns
    }

    fn breaker(&self) -> BreakerColumns<'a> {
        match self.breaker {
            None => BreakerColumns::default(),
            Some(None) => BreakerColumns { state: "CLOSED", ..BreakerColumns::default() },
            Some(Some(record)) => BreakerColumns {
                state: "OPEN",
                lost: record.lost.iter().map(NodeId::as_str).collect(),
                age_s: record.age.as_secs_f64(),
                held_for_s: record.held_for.as_secs_f64(),
                ramp: number_to_column(record.ramp),
                survivors_lost: number_to_column(record.survivors_lost),
            },
        }
    }

    fn ended(&self) -> ProgressColumns {
        let mut columns = ProgressColumns::default();
        for (operation, OperationNews { progress, waits_for, outcome }) in &self.progress {
            let (state, message) = match outcome {
                None => (None, *waits_for),
                Some(Outcome::Done) => (Some(OperationState::Done), ""),
                Some(Outcome::Failed { reason }) => (Some(OperationState::Failed), reason.as_str()),
            };
            columns.operations.push(operation.0);
            columns.totals.push(number_to_column(progress.total));
            columns.done.push(number_to_column(progress.done));
            columns.states.push(state);
            columns.messages.push(storable(message).into_owned());
        }
        columns
    }

    fn events(&self) -> EventColumns<'a> {
        let mut columns = EventColumns::default();
        for event in &self.events {
            columns.kinds.push(kind_to_column(event.kind));
            columns.nodes.push(event.node.as_ref().map(NodeId::as_str));
            columns.tenants.push(event.tenant.as_ref().map(TenantId::as_str));
            columns.texts.push(storable(&event.text).into_owned());
        }
        columns
    }
}

/// `state` is empty when nothing is said of the breaker.
#[derive(Default)]
struct BreakerColumns<'a> {
    state: &'static str,
    lost: Vec<&'a str>,
    age_s: f64,
    held_for_s: f64,
    ramp: i32,
    survivors_lost: i32,
}

#[derive(Default)]
struct PlacedColumns<'a> {
    tenants: Vec<&'a str>,
    nodes: Vec<&'a str>,
    reasons: Vec<String>,
    operations: Vec<Option<i64>>,
}

#[derive(Default)]
struct ProgressColumns {
    operations: Vec<i64>,
    totals: Vec<i32>,
    done: Vec<i32>,
    states: Vec<Option<OperationState>>,
    messages: Vec<String>,
}

#[derive(Default)]
struct EventColumns<'a> {
    kinds: Vec<&'static str>,
    nodes: Vec<Option<&'a str>>,
    tenants: Vec<Option<&'a str>>,
    texts: Vec<String>,
}
