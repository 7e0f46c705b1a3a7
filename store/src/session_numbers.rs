//! Where one session of a tenant ends and the next begins: it was forgotten, or a phone was linked anew. What was saved of the one
//! before is void, and replies that wait were decided for it: another phone may be linked now, so they become dead letters.

use roost_model::ids::SessionNumber;

use crate::{Fence, Store, StoreError};

/// Why such replies are dead letters.
pub(crate) const OF_BEFORE: &str = "decided for the session before";

impl Store {
    /// The session is forgotten: nothing is left to restore, and a request to forget it has been carried out. Answers with the
    /// number of the next one. Repeating it is fine, and costs a number.
    pub async fn clear_snapshot(&self, fence: &Fence) -> Result<SessionNumber, StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = null, snapshot_generation = null, restore_generation = null, forget = false,
                    account_number = null, account_linked_at = null, session_number = s.session_number + 1, updated_at = now()
                from owner where s.tenant_id = owner.tenant_id
                returning s.tenant_id, s.session_number
            ), waiting as materialized (
                select b.id from session join bm_pending w using (tenant_id) join bm_out b on b.id = w.id
                where w.direction = 'OUT' and b.state = 'PENDING'
                order by b.id for no key update of b
            ), buried as (
                update bm_out b set state = 'DEAD', last_error = $3 from waiting where b.id = waiting.id
            ), settled as (
                delete from bm_pending
                where tenant_id = $1 and direction = 'OUT' and id = any(array(select id from waiting))
            )
            select exists(select from owner) as "owns!", (select session_number from session) as "number?""#,
            fence.tenant.as_str(),
            fence.generation.0,
            OF_BEFORE,
        );
        let row = self.one("forget the snapshot", query).await?;
        fence.check(row.owns)?;
        row.number.map(SessionNumber).ok_or_else(|| StoreError::no_tenant(&fence.tenant))
    }

    /// A phone was linked anew, or the owner has found a session that is later than the database knows: this one counts from now
    /// on, and what the pointer named is of one before. Repeating it changes nothing.
    pub async fn begin_session(&self, fence: &Fence, number: SessionNumber) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = null, snapshot_generation = null, restore_generation = null, session_number = $3, updated_at = now()
                from owner where s.tenant_id = owner.tenant_id and s.session_number < $3
                returning s.tenant_id
            ), waiting as materialized (
                select b.id from session join bm_pending w using (tenant_id) join bm_out b on b.id = w.id
                where w.direction = 'OUT' and b.state = 'PENDING'
                order by b.id for no key update of b
            ), buried as (
                update bm_out b set state = 'DEAD', last_error = $4 from waiting where b.id = waiting.id
            ), settled as (
                delete from bm_pending
                where tenant_id = $1 and direction = 'OUT' and id = any(array(select id from waiting))
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            number.0,
            OF_BEFORE,
        );
        fence.check(self.one("begin a session", query).await?.owns)
    }
}
