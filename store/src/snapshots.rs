//! The pointer to a session's newest snapshot in the object store. The snapshots themselves are never in the database.

use roost_model::ids::{Generation, TenantId};
use time::OffsetDateTime;

use crate::{Fence, SNAPSHOTS_KEPT, SnapshotId, Store, StoreError, columns::storable};

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
    /// Of its files; for the list, and not in the pointer's row.
    pub bytes: Option<u64>,
}

impl SnapshotPointer {
    pub fn id(&self) -> SnapshotId {
        SnapshotId { generation: self.generation, sequence: self.sequence }
    }

    pub(crate) fn bytes_column(&self) -> Option<i64> {
        self.bytes.and_then(|bytes| i64::try_from(bytes).ok())
    }
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
    /// after a later one's, it stays at the later. The list ([`crate::snapshot_list`]) is that with it; answers with which others
    /// are left in it.
    pub async fn set_snapshot(
        &self,
        fence: &Fence,
        pointer: &SnapshotPointer,
    ) -> Result<Vec<SnapshotId>, StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = $3, snapshot_generation = $4, snapshot_sequence = $5, snapshot_clean = $6,
                    snapshot_at = $7, updated_at = now()
                from owner
                where s.tenant_id = owner.tenant_id
                    and (coalesce(s.snapshot_generation, 0), coalesce(s.snapshot_sequence, -1)) < ($4, $5)
                returning s.tenant_id, s.session_number, s.restore_generation, s.restore_sequence, owner.node
            ), listed as (
                insert into session_snapshots (tenant_id, generation, sequence, session_number, clean, taken_at, bytes, node)
                select tenant_id, $4, $5, session_number, $6, $7, $8, node from session
                on conflict do nothing
            ), ranked as materialized (
                select l.generation, l.sequence, l.state, l.clean, l.session_number,
                    count(*) filter (where l.state = 'KEPT') over newest_first as kept,
                    count(*) filter (where l.state = 'KEPT' and l.clean) over newest_first as kept_clean,
                    count(*) filter (where l.state <> 'KEPT') over newest_first as passed_over
                from owner join session_snapshots l using (tenant_id) where (l.generation, l.sequence) <> ($4, $5)
                window newest_first as (order by l.generation desc, l.sequence desc)
            ), kept as materialized (
                -- The one that is pointed to is the first of them.
                select r.generation, r.sequence from ranked r left join session on true
                where coalesce((r.generation, r.sequence) = (session.restore_generation, session.restore_sequence), false)
                    or coalesce(r.session_number >= session.session_number, true) and case r.state
                        when 'KEPT' then r.kept < $9 or r.clean and r.kept_clean = 1 and not $6
                        else r.kept < $9 - 1 and r.passed_over <= $9
                    end
            ), cut as (
                delete from session_snapshots l using session
                where l.tenant_id = session.tenant_id and (l.generation, l.sequence) <> ($4, $5)
                    and not exists (select from kept k where (k.generation, k.sequence) = (l.generation, l.sequence))
            )
            select exists(select from owner) as "owns!",
                array(select generation from kept order by generation, sequence) as "generations!",
                array(select sequence from kept order by generation, sequence) as "sequences!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            pointer.manifest,
            pointer.generation.0,
            pointer.sequence,
            pointer.clean,
            pointer.at,
            pointer.bytes_column(),
            i64::try_from(SNAPSHOTS_KEPT).unwrap_or(i64::MAX),
        );
        let row = self.one("point to the snapshot", query).await?;
        fence.check(row.owns)?;
        let names = row.generations.into_iter().zip(row.sequences);
        Ok(names
            .map(|(generation, sequence)| SnapshotId { generation: Generation(generation), sequence })
            .collect())
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
                select s.tenant_id, s.snapshot_generation, s.snapshot_sequence, s.session_number, policy_lock.node
                from whatsapp_sessions s join policy_lock using (tenant_id)
                where (coalesce(s.snapshot_generation, 0), coalesce(s.snapshot_sequence, -1)) < ($4, $5)
                for no key update of s
            ), session as (
                update whatsapp_sessions s set
                    snapshot_manifest = $3, snapshot_generation = $4, snapshot_sequence = $5, snapshot_clean = $6,
                    snapshot_at = $7, updated_at = now()
                from before where s.tenant_id = before.tenant_id
            ), listed as (
                -- The node of the owner that took it is not known.
                insert into session_snapshots (tenant_id, generation, sequence, session_number, clean, taken_at, bytes)
                select tenant_id, $4, $5, session_number, $6, $7, $8 from before
                on conflict do nothing
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
            pointer.bytes_column(),
        );
        fence.check(self.one("correct the snapshot's pointer", query).await?.owns)
    }

    /// What the pointer named, or the owner's profile, is damaged: the pointer goes to what the session goes on from, also when
    /// that is older, and an event says so; what is listed after it is damaged. Whatever the owner saves next is later than both.
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
            ), listed as (
                update session_snapshots l set state = 'DAMAGED' from policy_lock
                where l.tenant_id = policy_lock.tenant_id and l.state = 'KEPT'
                    and (l.generation, l.sequence) > (coalesce($4, 0), coalesce($5, -1))
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
            let generation = Generation(generation);
            Ok(Some(SnapshotPointer { manifest, generation, sequence, clean, at, bytes: None }))
        }
        _incomplete => {
            Err(StoreError::Corrupt { what: "a snapshot's pointer", reason: format!("of {manifest}") })
        }
    }
}
