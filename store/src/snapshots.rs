//! The pointer to a session's newest snapshot in the object store. The snapshots themselves are never in the database.

use roost_model::ids::{Generation, TenantId};
use time::OffsetDateTime;

use crate::{Fence, Store, StoreError, columns::storable};

/// Names a snapshot; a later one has a higher (generation, sequence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPointer {
    /// The manifest's name in the object store.
    pub manifest: String,
    /// Whose owner took it.
    pub generation: Generation,
    pub sequence: i64,
    /// From a stopped browser, not from a frozen one.
    pub clean: bool,
    pub at: OffsetDateTime,
}

impl Store {
    pub async fn snapshot_pointer(&self, id: &TenantId) -> Result<Option<SnapshotPointer>, StoreError> {
        let query = sqlx::query!(
            r#"select snapshot_manifest, snapshot_generation, snapshot_sequence, snapshot_clean, snapshot_at
            from whatsapp_sessions where tenant_id = $1"#,
            id.as_str(),
        );
        let row = self
            .maybe("get the snapshot's pointer", query)
            .await?
            .ok_or_else(|| StoreError::no_tenant(id))?;
        pointer_from_columns(
            row.snapshot_manifest,
            row.snapshot_generation,
            row.snapshot_sequence,
            row.snapshot_clean,
            row.snapshot_at,
        )
    }

    /// Points to a snapshot that is whole in the object store. The pointer only moves forward: when an upload ends
    /// after a later one's, it stays at the later.
    pub async fn set_snapshot(&self, fence: &Fence, pointer: &SnapshotPointer) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = $3, snapshot_generation = $4, snapshot_sequence = $5, snapshot_clean = $6,
                    snapshot_at = $7, updated_at = now()
                from owner
                where s.tenant_id = owner.tenant_id
                    and (coalesce(s.snapshot_generation, 0), coalesce(s.snapshot_sequence, -1)) < ($4, $5)
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            pointer.manifest,
            pointer.generation.0,
            pointer.sequence,
            pointer.clean,
            pointer.at,
        );
        fence.check(self.one("point to the snapshot", query).await?.owns)
    }

    /// The object store has a later snapshot than the pointer names: it goes there, and an event says so. The same forward
    /// move as in [`Store::set_snapshot`].
    pub async fn correct_snapshot(&self, fence: &Fence, pointer: &SnapshotPointer) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c for no key update of c
            ), before as materialized (
                select s.tenant_id, s.snapshot_generation, s.snapshot_sequence, policy_lock.node
                from whatsapp_sessions s join policy_lock using (tenant_id)
                where (coalesce(s.snapshot_generation, 0), coalesce(s.snapshot_sequence, -1)) < ($4, $5)
                for no key update of s
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = $3, snapshot_generation = $4, snapshot_sequence = $5, snapshot_clean = $6,
                    snapshot_at = $7, updated_at = now()
                from before where s.tenant_id = before.tenant_id
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text)
                select 'SNAPSHOT_POINTER_BEHIND', node, tenant_id, format(
                    'the database named %s; the object store has the snapshot %s-%s, which is restored',
                    coalesce('the snapshot ' || snapshot_generation || '-' || snapshot_sequence, 'no snapshot'), $4, $5)
                from before
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            pointer.manifest,
            pointer.generation.0,
            pointer.sequence,
            pointer.clean,
            pointer.at,
        );
        fence.check(self.one("correct the snapshot's pointer", query).await?.owns)
    }

    /// What the pointer named, or the owner's profile, is damaged: the pointer goes to what the session goes on from, also when
    /// that is older, and an event says so. Whatever the owner saves next is later than both.
    pub async fn fall_back_to_snapshot(
        &self,
        fence: &Fence,
        pointer: Option<&SnapshotPointer>,
        text: &str,
    ) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c for no key update of c
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = $3, snapshot_generation = $4, snapshot_sequence = $5, snapshot_clean = $6,
                    snapshot_at = $7, updated_at = now()
                from policy_lock where s.tenant_id = policy_lock.tenant_id
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text)
                select 'SESSION_DAMAGED', node, tenant_id, $8 from policy_lock
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            pointer.map(|pointer| pointer.manifest.as_str()),
            pointer.map(|pointer| pointer.generation.0),
            pointer.map(|pointer| pointer.sequence),
            pointer.map(|pointer| pointer.clean),
            pointer.map(|pointer| pointer.at),
            &*storable(text),
        );
        fence.check(self.one("fall back to an older snapshot", query).await?.owns)
    }

    /// The owner has met a session of a later generation than its own: the database has gone back. The controller is told,
    /// and gives the tenant a later one still.
    pub async fn report_outrun(&self, fence: &Fence, by: Generation) -> Result<(), StoreError> {
        let query = sqlx::query!(
            "update worker_processes set
                outrun_by = $3, spec_revision = nextval('spec_revisions'), updated_at = now()
            where tenant_id = $1 and generation = $2 returning tenant_id",
            fence.tenant.as_str(),
            fence.generation.0,
            by.0,
        );
        fence.check(self.maybe("report a later session", query).await?.is_some())
    }
}

pub(crate) fn pointer_from_columns(
    manifest: Option<String>,
    generation: Option<i64>,
    sequence: Option<i64>,
    clean: Option<bool>,
    at: Option<OffsetDateTime>,
) -> Result<Option<SnapshotPointer>, StoreError> {
    let Some(manifest) = manifest else { return Ok(None) };
    match (generation, sequence, clean, at) {
        (Some(generation), Some(sequence), Some(clean), Some(at)) => {
            Ok(Some(SnapshotPointer { manifest, generation: Generation(generation), sequence, clean, at }))
        }
        _incomplete => {
            Err(StoreError::Corrupt { what: "a snapshot's pointer", reason: format!("of {manifest}") })
        }
    }
}
