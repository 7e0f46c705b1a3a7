//! Snapshots that are nobody's: noted with since when, kept for a time, and removed once.

use std::time::Duration;

use roost_store::{SortedSnapshots, StoreError};
use uuid::Uuid;

use crate::store::support::{Db, by};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

impl Db {
    async fn orphans(&self) -> Vec<Uuid> {
        let listed = self.store.list_snapshot_orphans(None, 100).await.unwrap();
        listed.into_iter().map(|orphan| orphan.uid).collect()
    }

    async fn due(&self) -> Vec<Uuid> {
        let mut due = self.store.due_snapshot_orphans(MONTH, 10).await.unwrap();
        due.sort();
        due
    }
}

#[tokio::test]
async fn one_node_takes_the_days_sweep_and_gives_it_back_when_it_fails() {
    let db = Db::new().await;
    let sweeps = (0..4).map(|_| db.store.begin_snapshot_sweep());
    let taken = futures::future::try_join_all(sweeps).await.unwrap();
    assert_eq!(taken.iter().flatten().count(), 1);
    assert_eq!(db.store.begin_snapshot_sweep().await.unwrap(), None, "not before tomorrow");
    db.store.give_back_snapshot_sweep().await.unwrap();
    assert_eq!(db.store.begin_snapshot_sweep().await.unwrap(), None, "not at once");
    db.execute("update snapshot_sweep set swept_at = swept_at - interval '11 minutes'").await;
    assert!(db.store.begin_snapshot_sweep().await.unwrap().is_some());
}

#[tokio::test]
async fn what_nobody_knows_is_noted_and_what_a_deletion_left_is_to_go_at_once() {
    let db = Db::new().await;
    let (kept, gone) = (db.owned("kept").await, db.owned("gone").await);
    let uid = async |fence: &roost_store::Fence| db.store.get_tenant(&fence.tenant).await.unwrap().uid;
    let (kept, deleted) = (uid(&kept).await, uid(&gone).await);
    db.store.delete_tenant(&gone.tenant).await.unwrap();
    let [lost, older] = [7, 8].map(Uuid::from_u128);
    let begun = db.store.begin_snapshot_sweep().await.unwrap().unwrap();
    let sorted = db.store.sort_snapshots(&[kept, deleted, lost, older]).await.unwrap();
    assert_eq!(sorted, SortedSnapshots { removed: vec![deleted], orphans: vec![lost, older] });
    assert_eq!(db.store.end_snapshot_sweep(begun).await.unwrap(), 2);
    assert_eq!(db.orphans().await, [lost, older]);
    db.finish_deletions().await;
    assert_eq!(db.store.sort_snapshots(&[deleted]).await.unwrap().removed, [deleted], "long after, too");

    // The next day: the one is there still, the other's objects are gone.
    db.execute("update snapshot_orphans set seen_at = now() - interval '1 day', first_seen_at = now() - interval '1 day'")
        .await;
    db.execute("update snapshot_sweep set swept_at = now() - interval '1 day'").await;
    let begun = db.store.begin_snapshot_sweep().await.unwrap().unwrap();
    db.store.sort_snapshots(&[kept, lost]).await.unwrap();
    assert_eq!(db.store.end_snapshot_sweep(begun).await.unwrap(), 1);
    let left = db.store.list_snapshot_orphans(None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    let age = time::OffsetDateTime::now_utc() - left[0].first_seen_at;
    assert!(left[0].uid == lost && age > time::Duration::hours(23), "since when is kept: {left:?}");
}

#[tokio::test]
async fn an_orphan_is_removed_after_its_time_or_by_order_and_by_one_node() {
    let db = Db::new().await;
    let [young, old, ordered] = [1, 2, 3].map(Uuid::from_u128);
    db.store.sort_snapshots(&[young, old, ordered]).await.unwrap();
    assert!(db.due().await.is_empty());
    db.execute(
        "update snapshot_orphans set first_seen_at = now() - interval '31 days' where uid::text like '%2'",
    )
    .await;
    let order = db.store.order_orphan_removal(ordered, &by("asha", "")).await.unwrap();
    assert_eq!(order.removal_ordered_by.as_deref(), Some("asha"));
    db.store.order_orphan_removal(ordered, &by("juma", "")).await.unwrap();
    let unknown = db.store.order_orphan_removal(Uuid::from_u128(9), &by("asha", "")).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");

    assert_eq!(db.due().await, [old, ordered]);
    assert!(db.due().await.is_empty(), "they are claimed");
    db.store.snapshot_orphan_removed(ordered).await.unwrap();
    assert_eq!(db.orphans().await, [young, old]);
    db.execute("update snapshot_orphans set claimed_at = claimed_at - interval '61 minutes'").await;
    assert_eq!(db.due().await, [old], "whoever has claimed it has died");
}

/// A row that was lost is brought back with its uid.
#[tokio::test]
async fn an_orphan_whose_tenant_is_known_again_is_none() {
    let db = Db::new().await;
    let [back, lost] = [1, 2].map(Uuid::from_u128);
    db.store.sort_snapshots(&[back, lost]).await.unwrap();
    db.execute("update snapshot_orphans set first_seen_at = now() - interval '31 days'").await;
    db.owned("duka").await;
    db.execute("update tenants set uid = '00000000-0000-0000-0000-000000000001'").await;
    assert_eq!(db.due().await, [lost], "before the next sweep, too");
    db.store.sort_snapshots(&[back, lost]).await.unwrap();
    assert_eq!(db.orphans().await, [lost]);
}
