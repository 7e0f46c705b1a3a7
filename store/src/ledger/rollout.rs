//! The members of a rollout, as the controller reads them and moves them on.

use roost_cluster::ledger::{Outcome, RolloutMember};
use roost_model::ids::{OperationId, TenantId, Term};

use super::PostgresLedger;
use crate::{
    StoreError,
    columns::{ids_to_column, span, storable},
    operations::{OperationState, number_to_column},
};

impl PostgresLedger {
    /// One statement, for the members of the one that runs. Who was given the version answers once it is connected again, by a browser
    /// that was seen with it. Trouble is whatever its worker has waited for, or done about a fault, since: what is not the version's
    /// fault meets both sides. Of one that was given the version only what came after that.
    pub(super) async fn read_rollout(
        &self,
        operation: OperationId,
    ) -> Result<Vec<RolloutMember>, StoreError> {
        let query = sqlx::query!(
            r#"select m.tenant_id, m.is_control, extract(epoch from now() - m.given_at)::float8 as given_ago_s,
                coalesce(s.status = 'CONNECTED' and w.status <> 'ERROR' and (m.is_control or m.state = 'WAITING' or (
                    s.connected_at > m.given_at
                    and o.rollout ->> 'version' = case o.rollout ->> 'kind' when 'PAGE' then h.page_version else h.library_version end
                )), false) as "answers!",
                coalesce(h.acknowledged, 0) as "acknowledged!", coalesce(h.unacknowledged, 0) as "unacknowledged!",
                (
                    select c.condition::text || coalesce(': ' || nullif(c.reason, ''), '') from worker_conditions c
                    where c.tenant_id = m.tenant_id and c.at > m.given_at
                        and c.condition not in ('NONE', 'STARTING', 'ANSWERING')
                    order by c.seq limit 1
                ) as trouble
            from operations o join rollout_members m on m.operation_id = o.id
            join worker_processes w on w.tenant_id = m.tenant_id join whatsapp_sessions s on s.tenant_id = m.tenant_id
            join worker_heartbeats h on h.tenant_id = m.tenant_id join tenants t on t.id = m.tenant_id
            where o.id = $1 and o.state = 'RUNNING' and m.state <> 'GONE' and w.desired = 'RUNNING' and t.deleting_since is null
                and settings_at(t, jsonb_build_object(rollout_path(o.rollout), null)) -> rollout_path(o.rollout)
                    = case when m.state = 'GIVEN' and not m.is_control then o.rollout -> 'version' else 'null' end
            order by m.position"#,
            operation.0,
        );
        let rows = self.store.all("read the members of a rollout", query).await?;
        let members = rows.into_iter().map(|row| {
            // Of a browser that started before it was given anything they say nothing.
            let count = |sends: i64| u32::try_from(sends).unwrap_or(u32::MAX);
            let counts = row.answers && row.given_ago_s.is_some();
            Ok(RolloutMember {
                tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
                is_control: row.is_control,
                given_ago: row.given_ago_s.map(span),
                answers: row.answers,
                acknowledged: if counts { count(row.acknowledged) } else { 0 },
                unacknowledged: if counts { count(row.unacknowledged) } else { 0 },
                trouble: row.trouble,
            })
        });
        members.collect()
    }

    /// Under the term and only while it runs. Rows of workers that another statement holds are left for the next time.
    pub(super) async fn give_version(
        &self,
        term: Term,
        operation: OperationId,
        tenants: &[TenantId],
    ) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), held as materialized (
                select w.tenant_id from valid_term, worker_processes w
                where w.tenant_id = any($3) and w.desired = 'RUNNING'
                order by w.tenant_id for no key update of w skip locked
            ), policy_lock as materialized (
                -- Counted, so that the workers' rows are held before this one. Limited, so that the planner knows.
                select c.singleton from valid_term, (select count(*) from held) as first, cluster_policy c
                limit 1 for no key update of c
            ), running as materialized (
                select o.id, o.rollout from policy_lock, operations o where o.id = $2 and o.state = 'RUNNING' for no key update of o
            ), turns as materialized (
                select m.position, m.tenant_id, rollout_path(running.rollout) as path, running.rollout -> 'version' as version
                from running join rollout_members m on m.operation_id = running.id join held on held.tenant_id = m.tenant_id
                where m.state = 'WAITING' and not m.is_control
                for no key update of m
            ), changed as materialized (
                select turns.position, turns.tenant_id, change.state = 'DONE' as is_given
                from turns, change_settings(turns.tenant_id, jsonb_build_object(turns.path, turns.version), jsonb_build_object(turns.path, null)) as change
            ), told as materialized (
                select told from (select array_agg(tenant_id) filter (where is_given) as tenants from changed) as given,
                    tell_workers(given.tenants, 'RESTART') as told
            ), noted as (
                update rollout_members m set
                    state = case when changed.is_given then 'GIVEN'::rollout_state else 'GONE' end, given_at = now()
                from running, changed where m.operation_id = running.id and m.position = changed.position
            )
            select exists(select from valid_term) as "holds_term!", (select count(*) from told) as "told!""#,
            term.0,
            operation.0,
            &ids_to_column(tenants),
        );
        let row = self.store.one("give tenants a version", query).await?;
        self.check(row.holds_term).await?;
        if row.told > 0 {
            tracing::info!(%operation, tenants = row.told, "tenants are given a version");
        }
        Ok(())
    }

    pub(super) async fn end_rollout(
        &self,
        term: Term,
        operation: OperationId,
        outcome: &Outcome,
        done: u32,
    ) -> Result<(), StoreError> {
        let (state, reason) = match outcome {
            Outcome::Done => (OperationState::Done, ""),
            Outcome::Failed { reason } => (OperationState::Failed, reason.as_str()),
        };
        let reason = storable(reason);
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), held as materialized (
                select w.tenant_id from valid_term, rollout_members m join worker_processes w using (tenant_id)
                where m.operation_id = $2 and m.state = 'GIVEN'
                order by w.tenant_id for no key update of w
            ), policy_lock as materialized (
                -- Counted, so that the workers' rows are held before this one. Limited, so that the planner knows.
                select c.singleton from valid_term, (select count(*) from held) as first, cluster_policy c
                limit 1 for no key update of c
            ), ended as materialized (
                select end_rollout($2, $3, $4, $5, '', '') is not null as ended from policy_lock
            )
            select exists(select from valid_term) as "holds_term!", (select count(*) from ended) as "ended!""#,
            term.0,
            operation.0,
            state as OperationState,
            reason.as_ref(),
            number_to_column(done),
        );
        let row = self.store.one("end a rollout", query).await?;
        self.check(row.holds_term).await?;
        tracing::info!(%operation, ?outcome, "the rollout is over");
        Ok(())
    }
}
