//! Sessions: a tenant's link to its phone, as far as people see it. The session itself is in the profile and in the
//! snapshots ([`crate::snapshots`]); the database never holds credentials.

use roost_model::ids::{Generation, NodeId, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Fence, LinkedAccount, Store, StoreError,
    columns::{ids_to_column, optional_id},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub tenant: TenantId,
    pub status: SessionStatus,
    /// Set while the status is `QrReady`; whoever hands it out asks [`Session::code`].
    pub qr: Option<QrCode>,
    pub connected_at: Option<OffsetDateTime>,
    pub last_seen_at: Option<OffsetDateTime>,
    /// When the newest snapshot was taken.
    pub snapshot_at: Option<OffsetDateTime>,
    /// Since when no more codes are shown, for nobody has scanned them.
    pub scan_paused_at: Option<OffsetDateTime>,
    /// None until its page has told, and once it shows codes again.
    pub account: Option<LinkedAccount>,
    /// When this session was taken over from elsewhere.
    pub imported_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "session_status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionStatus {
    Disconnected,
    QrReady,
    Connected,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCode {
    /// What the phone reads.
    pub text: String,
    /// The same as an image.
    pub data_uri: String,
    pub expires_at: OffsetDateTime,
}

/// Where a session is, for a node that had it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPlace {
    pub tenant: TenantId,
    pub uid: Uuid,
    /// The owner; none while it is placed nowhere.
    pub node: Option<NodeId>,
    pub generation: Generation,
    /// Whose owner took the newest snapshot that is recorded.
    pub snapshot: Option<Generation>,
}

impl Session {
    /// The code that may be scanned at this time: WhatsApp takes one that has expired for none.
    pub fn code(&self, now: OffsetDateTime) -> Option<&QrCode> {
        self.qr.as_ref().filter(|code| now < code.expires_at)
    }
}

impl Store {
    /// Of those of these tenants that there are. A thousand or so at once.
    pub async fn session_places(&self, tenants: &[TenantId]) -> Result<Vec<SessionPlace>, StoreError> {
        let query = sqlx::query!(
            r#"select t.id, t.uid, w.node, w.generation,
                case when s.snapshot_manifest is not null then s.snapshot_generation end as snapshot
            from tenants t join worker_processes w on w.tenant_id = t.id join whatsapp_sessions s on s.tenant_id = t.id
            where t.id = any($1) and t.deleting_since is null"#,
            &ids_to_column(tenants),
        );
        let rows = self.all("look up where sessions are", query).await?;
        rows.into_iter()
            .map(|row| {
                Ok(SessionPlace {
                    tenant: TenantId::new(&row.id).map_err(StoreError::corrupt_id)?,
                    uid: row.uid,
                    node: optional_id(row.node.as_deref(), NodeId::new)?,
                    generation: Generation(row.generation),
                    snapshot: row.snapshot.map(Generation),
                })
            })
            .collect()
    }

    pub async fn get_session(&self, id: &TenantId) -> Result<Session, StoreError> {
        self.sessions_of([id]).await?.pop().ok_or_else(|| StoreError::no_tenant(id))
    }

    /// Of those of these tenants that there are, in no order. A thousand or so at once.
    pub async fn sessions_of<'a>(
        &self,
        tenants: impl IntoIterator<Item = &'a TenantId>,
    ) -> Result<Vec<Session>, StoreError> {
        let query = sqlx::query!(
            r#"select s.tenant_id, s.status as "status: SessionStatus", s.qr_text, s.qr_data_uri, s.qr_expires_at,
                s.connected_at, h.last_seen_at, s.scan_paused_at, s.account_number,
                s.account_push_name, s.account_platform, s.account_linked_at,
                case when s.snapshot_manifest is not null then s.snapshot_at end as snapshot_at,
                case when s.import_session = s.session_number and not s.forget then s.import_at end as imported_at
            from whatsapp_sessions s join worker_heartbeats h using (tenant_id)
            where s.tenant_id = any($1)"#,
            &ids_to_column(tenants),
        );
        let rows = self.all("get sessions", query).await?;
        rows.into_iter()
            .map(|row| {
                let qr = match (row.qr_text, row.qr_data_uri, row.qr_expires_at) {
                    (Some(text), Some(data_uri), Some(expires_at)) => {
                        Some(QrCode { text, data_uri, expires_at })
                    }
                    _none => None,
                };
                Ok(Session {
                    tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
                    status: row.status,
                    qr,
                    connected_at: row.connected_at,
                    last_seen_at: row.last_seen_at,
                    snapshot_at: row.snapshot_at,
                    scan_paused_at: row.scan_paused_at,
                    imported_at: row.imported_at,
                    account: LinkedAccount::from_columns(
                        row.account_number,
                        row.account_push_name,
                        row.account_platform,
                        row.account_linked_at,
                    ),
                })
            })
            .collect()
    }

    /// Shows a QR code (session QR_READY, tenant QR_PENDING), or takes it away (session DISCONNECTED). A page that
    /// asks for a scan has no session, so whatever was to be forgotten is, and what was written before is not of the session
    /// that a phone links now. Shows nothing for a worker that is to stop;
    /// the lock is one that a stop waits for, so that what is read of that is still true at the commit.
    pub async fn set_qr(&self, fence: &Fence, qr: Option<QrCode>) -> Result<(), StoreError> {
        let shown = qr.is_some();
        let (text, data_uri, expires_at) = match qr {
            Some(qr) => (Some(qr.text), Some(qr.data_uri), Some(qr.expires_at)),
            None => (None, None, None),
        };
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, desired = 'RUNNING' as wanted from worker_processes
                where tenant_id = $1 and generation = $2 for no key update
            ), session as (
                update whatsapp_sessions s set
                    status = case when $3 then 'QR_READY'::session_status else 'DISCONNECTED' end,
                    qr_text = $4, qr_data_uri = $5, qr_expires_at = $6,
                    scan_paused_at = case when not $3 then s.scan_paused_at end,
                    account_number = case when not $3 then s.account_number end,
                    account_linked_at = case when not $3 then s.account_linked_at end,
                    forget = s.forget and not $3, linked_at = case when $3 then now() else s.linked_at end, updated_at = now()
                from owner where s.tenant_id = owner.tenant_id and (owner.wanted or not $3)
            ), tenant as (
                update tenants t set status = 'QR_PENDING', updated_at = now()
                from owner where t.id = owner.tenant_id and owner.wanted and $3 and t.status <> 'QR_PENDING'
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            shown,
            text,
            data_uri,
            expires_at,
        );
        fence.check(self.one("show the QR code", query).await?.owns)
    }

    /// Asks the owner to unlink the device and to forget the session. `NotConnected` when there is none to unlink.
    pub async fn request_logout(&self, id: &TenantId) -> Result<Session, StoreError> {
        let query = sqlx::query!(
            r#"with held as materialized (
                select tenant_id from worker_processes where tenant_id = $1 for no key update
            ), linked as (
                update whatsapp_sessions s set forget = true, restore_generation = null, updated_at = now()
                from held where s.tenant_id = held.tenant_id and s.status = 'CONNECTED'
                returning s.tenant_id
            ), asked as (
                update worker_processes w set
                    restart_seq = w.restart_seq + 1, restart_mode = 'LOGOUT',
                    spec_revision = nextval('spec_revisions'), updated_at = now()
                from linked where w.tenant_id = linked.tenant_id
            )
            select exists(select from linked) as "linked!" from held"#,
            id.as_str(),
        );
        let row = self.maybe("ask for the logout", query).await?.ok_or_else(|| StoreError::no_tenant(id))?;
        if !row.linked {
            return Err(StoreError::NotConnected { tenant: id.clone() });
        }
        self.get_session(id).await
    }
}
