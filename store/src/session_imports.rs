//! A session that is taken over from elsewhere becomes a stopped tenant's newest snapshot.
//!
//! The fence is the generation that the worker had when the import began, and that it is on no node and not to be: whoever places it
//! takes a new one, so one of the two comes after the other as everywhere ([`crate::fence`]). The snapshot has a generation of its own
//! from the sequence that all have theirs from, taken while the worker's row is held: later than whatever an owner before has saved, and
//! earlier than that of whoever is placed afterwards. So an owner that comes in between is not deposed by an import that goes on.
//!
//! It is a session of its own: what was saved before is void, on every node's disk too.

use roost_model::ids::{Generation, NodeId, SessionNumber, TenantId};
use uuid::Uuid;

use crate::{
    DesiredState, ImportRefusal, Requester, SnapshotId, SnapshotPointer, Store, StoreError,
    columns::{optional_id, storable},
    session_numbers::OF_BEFORE,
};

/// What is imported, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOrder {
    pub tenant: TenantId,
    /// Of the profile, to know it again.
    pub digest: String,
    /// Also over a session that there is.
    pub replace: bool,
    pub by: Requester,
}

/// Whether an import may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportCheck {
    Ready(ImportTicket),
    /// This profile is the session that there is.
    DoneBefore(SnapshotId),
}

/// What must still be so when the import is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportTicket {
    pub uid: Uuid,
    /// Of the import alone.
    pub import_generation: Generation,
    /// Of the worker.
    generation: Generation,
    session: SessionNumber,
}

impl ImportTicket {
    /// The number of the session that is imported.
    pub fn imported_session(&self) -> SessionNumber {
        SessionNumber(self.session.0 + 1)
    }
}

impl Store {
    /// Changes nothing, and takes a generation if there is something to import. `NotImportable` with the reason.
    pub async fn check_import(&self, order: &ImportOrder) -> Result<ImportCheck, StoreError> {
        let query = sqlx::query!(
            r#"with held as materialized (
                select tenant_id, generation, desired, node from worker_processes where tenant_id = $1 for key share
            )
            select t.uid, w.generation as "generation!", w.desired as "desired!: DesiredState", w.node as "node?", s.session_number,
                case when w.desired = 'STOPPED' and w.node is null then nextval('generations') end as import_generation,
                s.forget or s.snapshot_manifest is not null or s.account_number is not null as "has_session!",
                (s.import_session = s.session_number and s.import_digest = $2 and not s.forget
                    and s.snapshot_manifest is not null) is true as "is_done!",
                s.snapshot_generation, s.snapshot_sequence
            from held w join tenants t on t.id = w.tenant_id join whatsapp_sessions s on s.tenant_id = w.tenant_id
            where t.deleting_since is null"#,
            order.tenant.as_str(),
            order.digest,
        );
        let row = self.maybe("look at a session to be imported", query).await?;
        let row = row.ok_or_else(|| StoreError::no_tenant(&order.tenant))?;
        if row.is_done
            && let (Some(generation), Some(sequence)) = (row.snapshot_generation, row.snapshot_sequence)
        {
            return Ok(ImportCheck::DoneBefore(SnapshotId { generation: Generation(generation), sequence }));
        }
        let node = optional_id(row.node.as_deref(), NodeId::new)?;
        let refusal = match (row.desired, node) {
            (DesiredState::Running, _) => Some(ImportRefusal::ToRun),
            (DesiredState::Stopped, Some(node)) => Some(ImportRefusal::NotStopped { node }),
            (DesiredState::Stopped, None) if row.has_session && !order.replace => {
                Some(ImportRefusal::HasSession)
            }
            (DesiredState::Stopped, None) => None,
        };
        match (refusal, row.import_generation) {
            (None, Some(import_generation)) => Ok(ImportCheck::Ready(ImportTicket {
                uid: row.uid,
                import_generation: Generation(import_generation),
                generation: Generation(row.generation),
                session: SessionNumber(row.session_number),
            })),
            (refusal, _) => {
                let refusal = refusal.unwrap_or(ImportRefusal::Changed);
                Err(StoreError::NotImportable { tenant: order.tenant.clone(), refusal })
            }
        }
    }

    /// From now on the tenant has the session of which this is the snapshot, which is whole in the object store. `NotImportable` when
    /// the tenant is not as it was when the import began; nothing is written then.
    pub async fn record_import(
        &self,
        order: &ImportOrder,
        ticket: &ImportTicket,
        snapshot: &SnapshotPointer,
        node: &NodeId,
    ) -> Result<(), StoreError> {
        let (requested_by, reason) = order.by.columns();
        let query = sqlx::query!(
            r#"with held as materialized (
                select w.tenant_id from worker_processes w join tenants t on t.id = w.tenant_id
                where w.tenant_id = $1 and w.generation = $2 and w.desired = 'STOPPED' and w.node is null
                    and t.uid = $14 and t.deleting_since is null
                for no key update of w
            ), policy_lock as materialized (
                select held.* from held, cluster_policy c for no key update of c
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = $4, snapshot_generation = $5, snapshot_sequence = $6, snapshot_clean = $7, snapshot_at = $8,
                    restore_generation = null, forget = false, session_number = $3 + 1,
                    account_number = null, account_linked_at = null,
                    import_session = $3 + 1, import_at = now(), import_digest = $10, updated_at = now()
                from policy_lock where s.tenant_id = policy_lock.tenant_id and s.session_number = $3
                returning s.tenant_id
            ), listed as (
                insert into session_snapshots (tenant_id, generation, sequence, session_number, clean, taken_at, bytes, node)
                select tenant_id, $5, $6, $3 + 1, $7, $8, $9, $11 from session
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text, requested_by, reason)
                select 'SESSION_IMPORTED', $11, tenant_id,
                    format('the session of a whatsapp-web.js profile was taken over as the snapshot %s-%s', $5::bigint, $6::bigint),
                    $12, $13
                from session
            )
            select exists(select from session) as "recorded!", (select bury_replies(tenant_id, $15) from session)::text as buried"#,
            order.tenant.as_str(),
            ticket.generation.0,
            ticket.session.0,
            snapshot.manifest,
            snapshot.generation.0,
            snapshot.sequence,
            snapshot.clean,
            snapshot.at,
            snapshot.bytes_column(),
            order.digest,
            node.as_str(),
            requested_by,
            reason,
            ticket.uid,
            &*storable(OF_BEFORE),
        );
        if self.one("record an import", query).await?.recorded {
            return Ok(());
        }
        // The answer to a first try may have been lost.
        match self.check_import(order).await {
            Ok(ImportCheck::DoneBefore(done)) if done == snapshot.id() => Ok(()),
            _ => Err(StoreError::NotImportable {
                tenant: order.tenant.clone(),
                refusal: ImportRefusal::Changed,
            }),
        }
    }
}
