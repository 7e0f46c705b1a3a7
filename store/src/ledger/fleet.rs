//! The members of a fleet operation, as the controller reads them and moves them on.

use roost_cluster::ledger::{
    FleetMembers, FleetStep, MemberFailure, MemberState, MemberUnderWay, WaitingMember,
};
use roost_model::ids::{OperationId, TenantId, Term};
use serde::Deserialize;
use sqlx::types::Json;

use super::PostgresLedger;
use crate::{
    StoreError,
    columns::{span, storable, unsigned},
};

/// Failures that are told by name.
const NAMED: i64 = 10;

impl PostgresLedger {
    /// One statement, for the members of one operation that runs. What a member has done is known by what was written after its
    /// order: it is connected, or shows a code where nothing is saved; or no node has it any more, if it was to stop. One that was to
    /// move is so on another node; one that did not answer before need not answer there. An update of settings takes no worker away, so
    /// to it none answers, and its members are over when they are written.
    pub(super) async fn read_fleet(
        &self,
        operation: OperationId,
        most: u32,
    ) -> Result<FleetMembers, StoreError> {
        let query = sqlx::query!(
            r#"with members as materialized (
                select m.position, m.tenant_id, m.state, m.answered and o.action <> 'UPDATE_SETTINGS' as answered, m.ordered_at, m.error,
                    o.action <> 'MOVE' or coalesce(w.node = o.node, w.node <> m.from_node, w.node is not null) as is_there,
                    coalesce(w.desired = 'RUNNING', false) as is_to_run,
                    coalesce((w.desired = 'STOPPED') = (o.action = 'STOP'), false) as obeys,
                    coalesce(w.status = 'ERROR' or w.condition = 'FAILED', false) and (o.action <> 'MOVE' or m.answered) as in_error,
                    coalesce(s.status = 'CONNECTED' and w.status <> 'ERROR' and o.action <> 'UPDATE_SETTINGS', false) as answers,
                    case when o.action = 'STOP' then w.node is null else
                        (s.status = 'CONNECTED' and s.connected_at > m.ordered_at)
                        or (s.status = 'QR_READY' and w.condition in ('WAITING_FOR_SCAN', 'UNLINKED', 'SESSION_REFUSED') and s.snapshot_manifest is null)
                        or s.scan_paused_at > m.ordered_at
                        or (o.action = 'MOVE' and not m.answered)
                    end as is_done
                from operation_members m join (select id, action, node from operations) as o on o.id = m.operation_id
                left join worker_processes w using (tenant_id) left join whatsapp_sessions s using (tenant_id)
                where m.operation_id = $1 and m.state <> 'GONE'
            )
            select count(*) filter (where state = 'WAITING') as "waiting!", count(*) filter (where state = 'DONE') as "done!",
                count(*) filter (where state = 'FAILED') as "failed!", count(*) filter (where answered) as "answered!",
                count(*) filter (where answered and is_to_run and not answers and state in ('WAITING', 'DONE')) as "silent!",
                count(*) filter (where answered and is_to_run and not answers and state = 'FAILED') as "silent_failed!",
                coalesce((
                    select jsonb_agg(jsonb_build_object('tenant', tenant_id, 'answers', answers) order by position)
                    from (select * from members where state = 'WAITING' order by position limit $2) as next
                ), '[]') as "next!: Json<Vec<WaitingRow>>",
                coalesce((
                    select jsonb_agg(jsonb_build_object(
                        'tenant', tenant_id, 'answered', answered,
                        'ordered_ago_s', extract(epoch from now() - ordered_at),
                        'state', case when not obeys then 'GONE' when in_error then 'IN_ERROR' when is_done and is_there then 'DONE'
                            else 'UNDER_WAY' end,
                        'words', (
                            select case when in_error then coalesce(nullif(w.last_error, ''), w.condition_reason)
                                when w.desired = 'STOPPED' then 'node ' || w.node || ' has not let go of it'
                                when not is_there then coalesce('it is on node ' || w.node, 'no node has it')
                                else w.condition::text || coalesce(': ' || nullif(w.condition_reason, ''), '') end
                            from worker_processes w where w.tenant_id = members.tenant_id)
                    ) order by position)
                    from members where state = 'UNDER_WAY'
                ), '[]') as "under_way!: Json<Vec<UnderWayRow>>",
                coalesce((
                    select jsonb_agg(jsonb_build_object('tenant', tenant_id, 'error', error) order by position)
                    from (select * from members where state = 'FAILED' order by position limit $3) as first
                ), '[]') as "failures!: Json<Vec<FailureRow>>"
            from members"#,
            operation.0,
            i64::from(most),
            NAMED,
        );
        let row = self.store.one("read the members of a fleet operation", query).await?;
        let number = |column: i64| Ok::<_, StoreError>(saturating(unsigned("members", column)?));
        Ok(FleetMembers {
            waiting: number(row.waiting)?,
            next: row.next.0.into_iter().map(WaitingMember::from).collect(),
            under_way: row.under_way.0.into_iter().map(MemberUnderWay::from).collect(),
            done: number(row.done)?,
            failed: number(row.failed)?,
            failures: row.failures.0.into_iter().map(MemberFailure::from).collect(),
            answered: number(row.answered)?,
            silent: number(row.silent)?,
            silent_failed: number(row.silent_failed)?,
        })
    }

    /// Under the term and only while the operation runs. Rows of workers that another statement holds are left for the next time.
    pub(super) async fn write_fleet(
        &self,
        term: Term,
        operation: OperationId,
        step: &FleetStep,
    ) -> Result<(), StoreError> {
        let begin: Vec<&str> = step.begin.iter().map(TenantId::as_str).collect();
        let over = Over::of(step);
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), held as materialized (
                select w.tenant_id, w.node from valid_term, worker_processes w
                join operations o on o.id = $2
                where w.tenant_id = any($3) and worker_action_applies(o.action, w)
                    and (o.node is null or w.node is distinct from o.node)
                order by w.tenant_id for no key update of w skip locked
            ), policy_lock as materialized (
                -- Counted, so that the workers' rows are held before this one. Limited, so that the planner knows.
                select c.singleton from valid_term, (select count(*) from held) as first, cluster_policy c
                limit 1 for no key update of c
            ), running as materialized (
                select o.id, o.action, o.node, o.settings from policy_lock, operations o where o.id = $2 and o.state = 'RUNNING' for no key update of o
            ), begun as (
                update operation_members m set state = 'UNDER_WAY', ordered_at = now(), from_node = held.node
                from running, held
                where m.operation_id = running.id and m.tenant_id = held.tenant_id and m.state = 'WAITING'
                    and running.action <> 'UPDATE_SETTINGS'
                returning m.tenant_id
            ), turns as materialized (
                -- Apart, so that the next one is asked of these and of nobody else.
                select m.position, m.tenant_id, coalesce(m.settings_after, running.settings) as given, m.settings_before as expected
                from running join operation_members m on m.operation_id = running.id join held on held.tenant_id = m.tenant_id
                where running.action = 'UPDATE_SETTINGS' and m.state = 'WAITING'
                for no key update of m
            ), changed as materialized (
                select turns.position, change.* from turns, change_settings(turns.tenant_id, turns.given, turns.expected) as change
            ), noted as (
                update operation_members m set state = changed.state, ordered_at = now(), error = changed.error,
                    settings_before = changed.before, settings_after = changed.after
                from running, changed where m.operation_id = running.id and m.position = changed.position
            ), ordered as (
                -- Where they are to be is for the plan: it is made anew. Who has other settings is not waited for: the next ones are.
                update cluster_policy set orders_revision = orders_revision + 1
                from running where running.action = 'MOVE' and exists (select from begun)
                    or running.action = 'UPDATE_SETTINGS' and exists (select from changed)
            ), asked as (
                select told from (select array_agg(tenant_id) as tenants from begun) as all_of_them, running,
                    tell_workers(all_of_them.tenants, running.action) as told
            ), over as (
                update operation_members m set state = given.state::member_state, error = given.error
                from running, unnest($4::text[], $5::text[], $6::text[]) as given(tenant_id, state, error)
                where m.operation_id = running.id and m.tenant_id = given.tenant_id and m.state = 'UNDER_WAY'
            ), gone as (
                update operation_members m set state = 'GONE'
                from running
                where m.operation_id = running.id and m.tenant_id = any($3) and m.state = 'WAITING'
                    and not exists (
                        select from worker_processes w
                        where w.tenant_id = m.tenant_id and worker_action_applies(running.action, w)
                            and (running.node is null or w.node is distinct from running.node))
            )
            select exists(select from valid_term) as "holds_term!", (select count(*) from asked) as "asked!",
                (select count(*) from changed where after is not null) as "changed!""#,
            term.0,
            operation.0,
            &begin as &[&str],
            &over.tenants as &[&str],
            &over.states as &[&str],
            &over.errors,
        );
        let row = self.store.one("go on with a fleet operation", query).await?;
        self.check(row.holds_term).await?;
        if row.asked > 0 {
            tracing::info!(%operation, workers = row.asked, "workers are told");
        }
        if row.changed > 0 {
            tracing::info!(%operation, tenants = row.changed, "settings are changed");
        }
        Ok(())
    }
}

fn saturating(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Members that are not under way any more.
#[derive(Default)]
struct Over<'a> {
    tenants: Vec<&'a str>,
    states: Vec<&'static str>,
    errors: Vec<String>,
}

impl<'a> Over<'a> {
    fn of(step: &'a FleetStep) -> Self {
        let mut over = Self::default();
        step.done.iter().for_each(|tenant| over.add(tenant, "DONE", ""));
        step.gone.iter().for_each(|tenant| over.add(tenant, "GONE", ""));
        step.failed.iter().for_each(|failure| over.add(&failure.tenant, "FAILED", &failure.error));
        over
    }

    fn add(&mut self, tenant: &'a TenantId, state: &'static str, error: &str) {
        self.tenants.push(tenant.as_str());
        self.states.push(state);
        self.errors.push(storable(error).into_owned());
    }
}

#[derive(Debug, Deserialize)]
struct WaitingRow {
    tenant: TenantId,
    answers: bool,
}

impl From<WaitingRow> for WaitingMember {
    fn from(row: WaitingRow) -> Self {
        Self { tenant: row.tenant, answers: row.answers }
    }
}

#[derive(Debug, Deserialize)]
struct FailureRow {
    tenant: TenantId,
    error: String,
}

impl From<FailureRow> for MemberFailure {
    fn from(row: FailureRow) -> Self {
        Self { tenant: row.tenant, error: row.error }
    }
}

#[derive(Debug, Deserialize)]
struct UnderWayRow {
    tenant: TenantId,
    answered: bool,
    ordered_ago_s: f64,
    state: StateRow,
    /// None for one that is deleted.
    words: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StateRow {
    Gone,
    InError,
    Done,
    UnderWay,
}

impl From<UnderWayRow> for MemberUnderWay {
    fn from(row: UnderWayRow) -> Self {
        let words = row.words.unwrap_or_default();
        let state = match row.state {
            StateRow::Gone => MemberState::Gone,
            StateRow::InError => MemberState::InError { error: words },
            StateRow::Done => MemberState::Done,
            StateRow::UnderWay => MemberState::UnderWay { condition: words },
        };
        Self { tenant: row.tenant, answered: row.answered, ordered_ago: span(row.ordered_ago_s), state }
    }
}
