//! Snapshots of tenants that the database neither knows nor has deleted: what the object store holds, as it was found last.
//!
//! ```text
//!   begin_snapshot_sweep    one node takes the day's sweep
//!   sort_snapshots          of what it has listed in the object store, by thousands: orphans are noted, with since when
//!   end_snapshot_sweep      forgets orphans that the sweep has not found again
//!   due_snapshot_orphans    any node claims those that are to be removed: unknown for too long, or ordered
//!   snapshot_orphan_removed
//! ```
//!
//! An orphan is no reason to remove anything: a database that was restored from a backup does not know every tenant, and its
//! row may be brought back with its uid. So one is kept for a time, and listed until then; one that becomes known is no orphan
//! any more, and is removed by nobody who has not claimed it before. What a deleted tenant has left goes at once.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Requester, Store, StoreError};

/// From one sweep to the next.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// After one that has failed.
const AGAIN_AFTER: Duration = Duration::from_secs(600);
/// A node that has claimed a removal and not told of its end is taken for dead: removals are repeated without harm.
const CLAIMED_FOR: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOrphan {
    pub uid: Uuid,
    /// By the sweep that found it.
    pub first_seen_at: OffsetDateTime,
    /// Who has ordered its removal, which a node carries out within a minute.
    pub removal_ordered_by: Option<String>,
}

/// What a sweep is to do with what it has listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SortedSnapshots {
    /// Their tenants were deleted.
    pub removed: Vec<Uuid>,
    /// Nobody knows whose they are. They are noted.
    pub orphans: Vec<Uuid>,
}

impl Store {
    /// When the day's sweep was begun, if it is this caller's; none when it is not due or another's.
    pub async fn begin_snapshot_sweep(&self) -> Result<Option<OffsetDateTime>, StoreError> {
        let query = sqlx::query!(
            "update snapshot_sweep set swept_at = now() where swept_at <= now() - make_interval(secs => $1)
            returning swept_at",
            EVERY.as_secs_f64(),
        );
        Ok(self.maybe("begin the sweep of the snapshots", query).await?.map(|row| row.swept_at))
    }

    /// The sweep has failed, and is due again soon.
    pub async fn give_back_snapshot_sweep(&self) -> Result<(), StoreError> {
        let query = sqlx::query!(
            "update snapshot_sweep set swept_at = now() - make_interval(secs => $1) returning swept_at",
            EVERY.saturating_sub(AGAIN_AFTER).as_secs_f64(),
        );
        self.one("give the sweep of the snapshots back", query).await.map(drop)
    }

    /// Notes those of these uids that are orphans, and forgets those that are not any more. A few thousand at once.
    pub async fn sort_snapshots(&self, uids: &[Uuid]) -> Result<SortedSnapshots, StoreError> {
        let query = sqlx::query!(
            r#"with unknown as materialized (
                select uid, exists(select from tenant_removals r where r.uid = given.uid) as removed
                from unnest($1::uuid[]) as given(uid)
                where not exists (select from tenants t where t.uid = given.uid and t.deleting_since is null)
            ), noted as (
                insert into snapshot_orphans as o (uid) select uid from unknown where not removed order by uid
                on conflict (uid) do update set seen_at = now()
            ), no_orphans as (
                delete from snapshot_orphans o using unnest($1::uuid[]) as given(uid)
                where o.uid = given.uid and not exists (select from unknown u where u.uid = o.uid and not u.removed)
            )
            select uid as "uid!", removed as "removed!" from unknown order by uid"#,
            uids,
        );
        let mut sorted = SortedSnapshots::default();
        for row in self.all("sort the snapshots", query).await? {
            if row.removed { &mut sorted.removed } else { &mut sorted.orphans }.push(row.uid);
        }
        Ok(sorted)
    }

    /// Forgets the orphans that were not found by the sweep that was begun at this time. Answers with how many there are.
    pub async fn end_snapshot_sweep(&self, begun_at: OffsetDateTime) -> Result<u64, StoreError> {
        let query = sqlx::query!(
            r#"with gone as (
                delete from snapshot_orphans where seen_at < $1 returning uid
            )
            select (select count(*) from snapshot_orphans) - (select count(*) from gone) as "left!""#,
            begun_at,
        );
        Ok(self.one("end the sweep of the snapshots", query).await?.left.unsigned_abs())
    }

    /// Claims some of those that are to be removed: ordered, or unknown for as long as `retention`.
    pub async fn due_snapshot_orphans(
        &self,
        retention: Duration,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let query = sqlx::query!(
            "update snapshot_orphans set claimed_at = now() where uid in (
                select uid from snapshot_orphans o
                where (removal_ordered_by is not null or first_seen_at <= now() - make_interval(secs => $1))
                    and coalesce(claimed_at < now() - make_interval(secs => $2), true)
                    and not exists (select from tenants t where t.uid = o.uid and t.deleting_since is null)
                order by first_seen_at, uid limit $3 for update skip locked
            )
            returning uid",
            retention.as_secs_f64(),
            CLAIMED_FOR.as_secs_f64(),
            i64::from(limit),
        );
        Ok(self.all("claim orphaned snapshots", query).await?.into_iter().map(|row| row.uid).collect())
    }

    /// Nothing is left of it in the object store.
    pub async fn snapshot_orphan_removed(&self, uid: Uuid) -> Result<(), StoreError> {
        let query = sqlx::query!("delete from snapshot_orphans where uid = $1 returning uid", uid);
        self.maybe("forget an orphan", query).await.map(drop)
    }

    /// In the order of their uids, from the one after `after` on.
    pub async fn list_snapshot_orphans(
        &self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<SnapshotOrphan>, StoreError> {
        let query = sqlx::query_as!(
            SnapshotOrphan,
            "select uid, first_seen_at, removal_ordered_by from snapshot_orphans
            where $1::uuid is null or uid > $1 order by uid limit $2",
            after,
            i64::from(limit),
        );
        self.all("list the orphaned snapshots", query).await
    }

    /// Has a node remove it. Repeating it is fine. `NotFound` for what is no orphan.
    pub async fn order_orphan_removal(
        &self,
        uid: Uuid,
        by: &Requester,
    ) -> Result<SnapshotOrphan, StoreError> {
        let (requested_by, _) = by.columns();
        let query = sqlx::query_as!(
            SnapshotOrphan,
            "update snapshot_orphans set removal_ordered_by = coalesce(removal_ordered_by, $2) where uid = $1
            returning uid, first_seen_at, removal_ordered_by",
            uid,
            requested_by,
        );
        let ordered = self.maybe("order the removal of an orphan", query).await?;
        ordered.ok_or_else(|| StoreError::NotFound { kind: "orphaned snapshot", id: uid.to_string() })
    }
}
