//! Going back to an older snapshot by an operator's order. The order stands in the session's row, so that whoever owns the tenant
//! next finds it, whatever dies meanwhile, until an owner has a copy of that snapshot which is its own: the pointer goes to the copy
//! by the same statement that ends the order. What is later than the chosen one and before the copy is passed over.

use roost_model::ids::{Generation, TenantId};

use crate::{
    Fence, Requester, RestoreRefusal, SnapshotId, SnapshotPointer, SnapshotState, Store, StoreError,
    columns::storable,
};

impl Store {
    /// The tenant's next start begins from this snapshot; a worker that is to run is started anew at once, by force, so that it does
    /// not save over it. Replaces an order that nobody has carried out. `NotRestorable` with the reason.
    pub async fn order_restore(
        &self,
        id: &TenantId,
        snapshot: SnapshotId,
        by: &Requester,
    ) -> Result<(), StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with held as materialized (
                select tenant_id, desired from worker_processes where tenant_id = $1 for no key update
            ), policy_lock as materialized (
                select held.* from held, cluster_policy c for no key update of c
            ), session as materialized (
                select s.tenant_id, s.session_number, s.forget, policy_lock.desired
                from policy_lock join whatsapp_sessions s using (tenant_id) for no key update of s
            ), target as materialized (
                -- A save that would remove it comes before this, or sees that it is wanted.
                select session.*, l.state, l.session_number < session.session_number as is_void
                from session join session_snapshots l using (tenant_id)
                where l.generation = $2 and l.sequence = $3 for key share of l
            ), allowed as materialized (
                select tenant_id, desired from target where not forget and not is_void and state = 'KEPT'
            ), demanded as (
                update whatsapp_sessions s set
                    restore_generation = $2, restore_sequence = $3, restore_by = $4, restore_reason = $5,
                    status = 'DISCONNECTED', qr_text = null, qr_data_uri = null, qr_expires_at = null,
                    updated_at = now()
                from allowed where s.tenant_id = allowed.tenant_id
            ), asked as (
                update worker_processes w set
                    status = 'RUNNING', last_error = '', stale = false, expected_since = now(),
                    condition = 'STARTING', condition_reason = '', condition_since = now(),
                    spec_revision = nextval('spec_revisions'), restart_seq = w.restart_seq + 1,
                    restart_mode = 'FORCE', restarts = w.restarts + 1, updated_at = now()
                from allowed where w.tenant_id = allowed.tenant_id and allowed.desired = 'RUNNING'
                returning w.tenant_id
            ), tenant as (
                update tenants t set status = running_tenant_status(s), updated_at = now()
                from asked join whatsapp_sessions s using (tenant_id) where t.id = asked.tenant_id
            ), logged as (
                insert into cluster_events (kind, tenant_id, text, requested_by, reason)
                select 'SESSION_RESTORE_ORDERED', tenant_id,
                    format('the next start begins from the snapshot %s-%s', $2::bigint, $3::bigint), $4, $5
                from allowed
            )
            select session.forget as "forget!", target.state as "state?: SnapshotState", target.is_void as "is_void?"
            from session left join target using (tenant_id)"#,
            id.as_str(),
            snapshot.generation.0,
            snapshot.sequence,
            requested_by,
            reason,
        );
        let row = self.maybe("order a restore", query).await?.ok_or_else(|| StoreError::no_tenant(id))?;
        let refusal = match (row.state, row.is_void) {
            _ if row.forget => Some(RestoreRefusal::BeingForgotten),
            (None, _) => Some(RestoreRefusal::NotListed),
            (Some(_), Some(true)) => Some(RestoreRefusal::OfSessionBefore),
            (Some(SnapshotState::Damaged), _) => Some(RestoreRefusal::Damaged),
            (Some(SnapshotState::PassedOver), _) => Some(RestoreRefusal::PassedOver),
            (Some(SnapshotState::Kept), _) => None,
        };
        refusal.map_or(Ok(()), |refusal| {
            Err(StoreError::NotRestorable { tenant: id.clone(), snapshot, refusal })
        })
    }

    /// What the next start is ordered to begin from, for the owner alone.
    pub async fn ordered_restore(&self, fence: &Fence) -> Result<Option<SnapshotId>, StoreError> {
        let query = sqlx::query!(
            r#"select s.restore_generation, s.restore_sequence
            from worker_processes w join whatsapp_sessions s using (tenant_id)
            where w.tenant_id = $1 and w.generation = $2"#,
            fence.tenant.as_str(),
            fence.generation.0,
        );
        let row = self.maybe("read the restore that is ordered", query).await?;
        fence.check(row.is_some())?;
        let ordered = row.and_then(|row| row.restore_generation.zip(row.restore_sequence));
        Ok(ordered.map(|(generation, sequence)| SnapshotId { generation: Generation(generation), sequence }))
    }

    /// The owner has gone back to a snapshot and stored a copy of it: the pointer goes there, the order ends, and what is later than
    /// the one and before the other is passed over. `false`, and nothing is written, when the order is another one by now, or none.
    pub async fn restored(
        &self,
        fence: &Fence,
        from: SnapshotId,
        copy: &SnapshotPointer,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c for no key update of c
            ), ordered as materialized (
                select s.tenant_id, s.restore_by, s.restore_reason, s.session_number, policy_lock.node
                from whatsapp_sessions s join policy_lock using (tenant_id)
                where s.restore_generation = $9 and s.restore_sequence = $10 for no key update of s
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = $3, snapshot_generation = $4, snapshot_sequence = $5, snapshot_clean = $6,
                    snapshot_at = $7, restore_generation = null, restore_sequence = null, restore_by = null,
                    restore_reason = null, updated_at = now()
                from ordered where s.tenant_id = ordered.tenant_id
            ), passed_over as (
                update session_snapshots l set state = 'PASSED_OVER' from ordered
                where l.tenant_id = ordered.tenant_id and l.state = 'KEPT'
                    and (l.generation, l.sequence) > ($9, $10) and (l.generation, l.sequence) < ($4, $5)
            ), listed as (
                insert into session_snapshots (tenant_id, generation, sequence, session_number, clean, taken_at, bytes, node)
                select tenant_id, $4, $5, session_number, $6, $7, $8, node from ordered
                on conflict do nothing
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text, requested_by, reason)
                select 'SESSION_RESTORED', node, tenant_id,
                    format('went back to the snapshot %s-%s, and goes on from %s-%s, a copy of it', $9::bigint, $10::bigint,
                        $4::bigint, $5::bigint),
                    coalesce(restore_by, ''), coalesce(restore_reason, '')
                from ordered
            )
            select exists(select from owner) as "owns!", exists(select from ordered) as "ordered!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            copy.manifest,
            copy.generation.0,
            copy.sequence,
            copy.clean,
            copy.at,
            copy.bytes_column(),
            from.generation.0,
            from.sequence,
        );
        let row = self.one("note that a snapshot is restored", query).await?;
        fence.check(row.owns).map(|()| row.ordered)
    }

    /// The snapshot that was ordered cannot be restored: the order ends, the history says why, and the session goes on as it is.
    pub async fn not_restored(&self, fence: &Fence, from: SnapshotId, why: &str) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c for no key update of c
            ), ordered as materialized (
                select s.tenant_id, s.restore_by, s.restore_reason, policy_lock.node
                from whatsapp_sessions s join policy_lock using (tenant_id)
                where s.restore_generation = $3 and s.restore_sequence = $4 for no key update of s
            ), session as (
                update whatsapp_sessions s set
                    restore_generation = null, restore_sequence = null, restore_by = null, restore_reason = null,
                    updated_at = now()
                from ordered where s.tenant_id = ordered.tenant_id
            ), listed as (
                update session_snapshots l set state = 'DAMAGED' from ordered
                where l.tenant_id = ordered.tenant_id and l.generation = $3 and l.sequence = $4
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text, requested_by, reason)
                select 'SESSION_RESTORE_FAILED', node, tenant_id, $5, coalesce(restore_by, ''), coalesce(restore_reason, '')
                from ordered
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            from.generation.0,
            from.sequence,
            &*storable(why),
        );
        fence.check(self.one("note that a snapshot is not restored", query).await?.owns)
    }
}
