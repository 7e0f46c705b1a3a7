//! What the owner of a worker says about it. Fenced, and never against the operator: while the worker is to be
//! stopped, its status, its error and its tenant's status stay as [`Store::stop_worker`] left them.

use crate::{Fence, SessionStatus, Store, StoreError, TenantStatus, WorkerStatus, columns::storable};

/// `None` leaves a status as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusReport {
    pub tenant_status: Option<TenantStatus>,
    /// `Connected` and `Disconnected` take the QR code away; a code is shown through [`Store::set_qr`].
    pub session_status: Option<SessionStatus>,
    pub worker_status: Option<WorkerStatus>,
    /// Empty when all is well.
    pub last_error: Option<String>,
    /// The worker has restarted itself; a restart that an operator asked for is counted where it is asked.
    pub restarted: bool,
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
                    stale = w.stale and $3::worker_status is null,
                    restarts = w.restarts + $5::boolean::int, updated_at = now()
                from owner where w.tenant_id = owner.tenant_id
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
        );
        fence.check(self.one("report the worker's status", query).await?.owns)
    }
}
