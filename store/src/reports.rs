//! What the owner of a worker says about it. Fenced, and never against the operator: while the worker is to be
//! stopped, its status, its error and its tenant's status stay as [`Store::stop_worker`] left them.

use std::time::Duration;

use roost_model::{ResourceUsage, ids::TenantId};

use crate::{
    ConditionKind, Fence, SessionStatus, Store, StoreError, TenantStatus, WorkerStatus, columns::storable,
};

/// `None` leaves a status as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusReport {
    pub tenant_status: Option<TenantStatus>,
    /// `Connected` and `Disconnected` take the QR code away; a code is shown through [`Store::set_qr`].
    pub session_status: Option<SessionStatus>,
    pub worker_status: Option<WorkerStatus>,
    /// Empty when all is well.
    pub last_error: Option<String>,
    /// What it waits for, and the reason.
    pub condition: Option<(ConditionKind, String)>,
    /// Its page has just proved that it works, for the first time, and whoever hears nothing more may believe it for so long.
    pub evident_for: Option<Duration>,
    /// The worker has restarted itself; a restart that an operator asked for is counted where it is asked.
    pub restarted: bool,
}

/// That a worker was seen working, what its browser used when that was last looked at, and what it had to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub fence: Fence,
    pub usage: Option<ResourceUsage>,
    /// Taken in and sent.
    pub messages_per_minute: u32,
    /// For how long its last proof may be believed by whoever hears nothing more.
    pub evident_for: Duration,
    pub sends: SendFigures,
}

/// What came of the sends of the browser that a worker has, and which versions that was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendFigures {
    pub page_version: Option<String>,
    pub library_version: Option<String>,
    /// By WhatsApp, since the browser started.
    pub acknowledged: u64,
    pub unacknowledged: u64,
}

impl From<Fence> for Heartbeat {
    fn from(fence: Fence) -> Self {
        Self {
            fence,
            usage: None,
            messages_per_minute: 0,
            evident_for: Duration::ZERO,
            sends: SendFigures::default(),
        }
    }
}

impl Store {
    pub async fn report(&self, fence: &Fence, report: &StatusReport) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, desired = 'RUNNING' as wanted from worker_processes
                where tenant_id = $1 and generation = $2 for no key update
            ), worker as (
                update worker_processes w set
                    status = case when owner.wanted then coalesce($3, w.status) else w.status end,
                    last_error = case when owner.wanted then coalesce($4, w.last_error) else w.last_error end,
                    condition = case when owner.wanted then coalesce($8, w.condition) else w.condition end,
                    condition_reason = case when owner.wanted then coalesce($9, w.condition_reason) else w.condition_reason end,
                    condition_since = case
                        when owner.wanted and $8::worker_condition <> w.condition then now() else w.condition_since end,
                    stale = w.stale and $3::worker_status is null,
                    restarts = w.restarts + $5::boolean::int, updated_at = now()
                from owner where w.tenant_id = owner.tenant_id
            ), evident as (
                update worker_heartbeats h set
                    last_seen_at = greatest(h.last_seen_at, now()),
                    evident_since = case when h.evident_until > now() then h.evident_since else now() end,
                    evident_until = now() + make_interval(secs => $10::float8)
                from owner where h.tenant_id = owner.tenant_id and owner.wanted and $10::float8 is not null
            ), session as (
                update whatsapp_sessions s set
                    status = $6,
                    connected_at = case
                        when $6 = 'CONNECTED' and s.status <> 'CONNECTED' then now() else s.connected_at end,
                    qr_text = case when $6 = 'QR_READY' then s.qr_text end,
                    qr_data_uri = case when $6 = 'QR_READY' then s.qr_data_uri end,
                    qr_expires_at = case when $6 = 'QR_READY' then s.qr_expires_at end,
                    updated_at = now()
                from owner where s.tenant_id = owner.tenant_id and $6::session_status is not null
            ), tenant as (
                update tenants t set status = $7, updated_at = now()
                from owner
                where t.id = owner.tenant_id and owner.wanted and $7::tenant_status is not null and t.status <> $7
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            report.worker_status as Option<WorkerStatus>,
            report.last_error.as_deref().map(storable) as Option<std::borrow::Cow<'_, str>>,
            report.restarted,
            report.session_status as Option<SessionStatus>,
            report.tenant_status as Option<TenantStatus>,
            report.condition.as_ref().map(|(kind, _)| *kind) as Option<ConditionKind>,
            report.condition.as_ref().map(|(_, reason)| storable(reason))
                as Option<std::borrow::Cow<'_, str>>,
            report.evident_for.map(|span| span.as_secs_f64()),
        );
        fence.check(self.one("report the worker's status", query).await?.owns)
    }

    /// The flush of what a node's workers have proved: one statement per node and interval, whatever the number of tenants.
    /// Notes that these workers were seen working just now, and answers with those that are not the caller's any more.
    ///
    /// The row that every pass of the controller reads is written only for a worker that stale detection had given up:
    /// it is taken back, for the heartbeat is the evidence that was missing. Nor is it locked otherwise. What is written
    /// is the time at which this statement began and found the generation to be the caller's, and a placement that
    /// commits before it does leaves that true; a later time, which can only be a newer owner's, stays.
    ///
    /// Rows that another statement holds are skipped: a heartbeat that waits for one tenant would be late for all the
    /// others, and the next one comes soon.
    pub async fn heartbeat(&self, seen: &[Heartbeat]) -> Result<Vec<TenantId>, StoreError> {
        let tenants: Vec<&str> = seen.iter().map(|seen| seen.fence.tenant.as_str()).collect();
        let generations: Vec<i64> = seen.iter().map(|seen| seen.fence.generation.0).collect();
        let used = |amount: fn(&ResourceUsage) -> u64| -> Vec<Option<i64>> {
            let amounts = seen.iter().map(|seen| seen.usage.as_ref().map(amount));
            amounts.map(|amount| amount.map(|amount| i64::try_from(amount).unwrap_or(i64::MAX))).collect()
        };
        let messages: Vec<i32> =
            seen.iter().map(|seen| i32::try_from(seen.messages_per_minute).unwrap_or(i32::MAX)).collect();
        let sends = |amount: fn(&SendFigures) -> u64| -> Vec<i64> {
            seen.iter().map(|seen| i64::try_from(amount(&seen.sends)).unwrap_or(i64::MAX)).collect()
        };
        let versions = |version: fn(&SendFigures) -> &Option<String>| -> Vec<Option<&str>> {
            seen.iter().map(|seen| version(&seen.sends).as_deref()).collect()
        };
        let evident_s: Vec<f64> = seen.iter().map(|seen| seen.evident_for.as_secs_f64()).collect();
        let query = sqlx::query!(
            r#"with given as (
                select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[], $7::float8[],
                        $8::text[], $9::text[], $10::bigint[], $11::bigint[])
                    as given(tenant_id, generation, memory_bytes, cpu_millicores, processes, messages_per_minute, evident_s,
                        page_version, library_version, acknowledged, unacknowledged)
            ), stale as materialized (
                select w.tenant_id from worker_processes w join given using (tenant_id)
                where w.generation = given.generation and w.stale
                order by w.tenant_id for no key update of w skip locked
            ), recovered as (
                update worker_processes w set stale = false, status = 'RUNNING', last_error = ''
                from stale where w.tenant_id = stale.tenant_id
            ), revived as (
                update tenants t set status = running_tenant_status(s), updated_at = now()
                from stale join whatsapp_sessions s using (tenant_id)
                where t.id = stale.tenant_id and t.status = 'ERROR'
            ), held as materialized (
                select given.*
                from worker_heartbeats h join worker_processes w using (tenant_id) join given using (tenant_id)
                where w.generation = given.generation
                order by h.tenant_id for no key update of h skip locked
            ), seen as (
                update worker_heartbeats h set last_seen_at = greatest(h.last_seen_at, now()),
                    memory_bytes = held.memory_bytes, cpu_millicores = held.cpu_millicores::integer,
                    processes = held.processes::integer, messages_per_minute = held.messages_per_minute,
                    page_version = held.page_version, library_version = held.library_version,
                    acknowledged = held.acknowledged, unacknowledged = held.unacknowledged,
                    evident_since = case when h.evident_until > now() then h.evident_since else now() end,
                    evident_until = now() + make_interval(secs => held.evident_s)
                from held where h.tenant_id = held.tenant_id
            )
            select given.tenant_id as "tenant_id!" from given left join worker_processes w using (tenant_id)
            where w.generation is distinct from given.generation"#,
            &tenants as &[&str],
            &generations,
            &used(|usage| usage.memory_bytes) as &[Option<i64>],
            &used(|usage| usage.cpu_millicores.into()) as &[Option<i64>],
            &used(|usage| usage.processes.into()) as &[Option<i64>],
            &messages,
            &evident_s,
            &versions(|sends| &sends.page_version) as &[Option<&str>],
            &versions(|sends| &sends.library_version) as &[Option<&str>],
            &sends(|sends| sends.acknowledged),
            &sends(|sends| sends.unacknowledged),
        );
        let refused = self.all("flush the heartbeats", query).await?;
        refused.iter().map(|row| TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)).collect()
    }
}
