//! What of a session is kept in the store, for how long, and whose it is.

use std::time::{Duration, Instant};

use roost_model::ids::Generation;
use roost_store::SnapshotId;

use super::{LOG, World, read, three_snapshots, write};
use crate::session::{GoingBack, SessionError, leveldb};

#[tokio::test]
async fn of_a_log_that_grew_only_the_tail_is_stored() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, &"x".repeat(50_000))]).await;
    let mut taker = world.taker(&here, 1).await;
    taker.take_stopped(true, None).await.unwrap();
    let before = world.objects("blobs").len();
    write(&here, LOG, &format!("{}tail", "x".repeat(50_000)));
    let taken = taker.take_stopped(true, None).await.unwrap();
    assert_eq!(world.objects("blobs").len(), before + 1);
    let there = world.profile("b");
    there.prepare(&world.snapshots, Some(&taken), Generation(2)).await.unwrap();
    assert!(read(&there, LOG).ends_with("xtail"));
}

#[tokio::test]
async fn the_last_three_and_the_last_clean_one_are_kept_with_their_blobs_and_nothing_else() {
    let world = World::new();
    let here = world.used("a", 1, &[]).await;
    let mut taker = world.taker(&here, 1).await;
    let mut taken = Vec::new();
    for (number, clean) in [(1, true), (2, true), (3, false), (4, false), (5, false), (6, false)] {
        write(&here, LOG, &format!("state {number}"));
        taken.push(taker.take_stopped(clean, None).await.unwrap());
        taker.recorded(&[]).await.unwrap();
    }
    let kept: Vec<_> = world
        .snapshots
        .listing(world.uid)
        .await
        .unwrap()
        .manifests
        .iter()
        .map(|name| name.sequence)
        .collect();
    assert_eq!(kept, [2, 4, 5, 6]);
    assert_eq!(world.objects("blobs").len(), 6, "one log for each, CURRENT and the MANIFEST");
    for (node, index) in [("b", 1), ("c", 5)] {
        let there = world.profile(node);
        there.prepare(&world.snapshots, Some(&taken[index]), Generation(2)).await.unwrap();
        assert_eq!(read(&there, LOG), format!("state {}", index + 1));
    }
}

#[tokio::test]
async fn what_the_database_lists_is_kept_as_well() {
    let world = World::new();
    three_snapshots(&world).await;
    let here = world.profile("a");
    let mut taker = world.taker(&here, 5).await;
    let listed = SnapshotId { generation: Generation(5), sequence: 1 };
    for number in 4..=6 {
        write(&here, LOG, &format!("state {number}"));
        taker.take_stopped(true, None).await.unwrap();
        taker.recorded(&[listed]).await.unwrap();
    }
    let listing = world.snapshots.listing(world.uid).await.unwrap();
    let kept: Vec<_> = listing.manifests.iter().map(|name| name.sequence).collect();
    assert_eq!(kept, [1, 4, 5, 6]);
    let GoingBack::Ready { .. } = here.go_back(&world.snapshots, listed, Generation(6)).await.unwrap() else {
        panic!("its blobs are kept with it")
    };
    assert_eq!(read(&here, LOG), "state 1");
}

#[tokio::test]
async fn a_deposed_owner_saves_nothing_and_removes_nothing_of_its_successor() {
    let world = World::new();
    let old = world.used("a", 1, &[(LOG, "old")]).await;
    let mut deposed = world.taker(&old, 1).await;
    deposed.take_stopped(true, None).await.unwrap();
    let new = world.used("b", 2, &[(LOG, "new")]).await;
    let taken = world.taker(&new, 2).await.take_stopped(true, None).await.unwrap();

    write(&old, LOG, "old and deposed");
    let refused = deposed.take_stopped(true, None).await;
    assert!(matches!(refused, Err(SessionError::Superseded { newest: Generation(2), .. })), "{refused:?}");
    deposed.recorded(&[]).await.unwrap();
    world.profile("c").prepare(&world.snapshots, Some(&taken), Generation(3)).await.unwrap();
}

#[tokio::test]
async fn sequences_go_on_after_a_restart_of_the_owner() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let again = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    assert_eq!(again.sequence, 2);
}

#[tokio::test]
async fn a_removed_tenant_leaves_nothing_in_the_store() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    assert_eq!(world.snapshots.tenants().await.unwrap(), [world.uid]);
    // A part of a put that a crash has interrupted is no object.
    let root = world.dir.path().join("objects").join(world.uid.to_string());
    std::fs::write(root.join("manifests/1-2.json#1"), "part").unwrap();
    world.snapshots.delete_tenant(world.uid).await.unwrap();
    assert!(!root.exists(), "not even a directory");
    world.snapshots.delete_tenant(world.uid).await.unwrap();
}

/// A save that is cancelled goes on copying: what is removed meanwhile must not come back, and the profile is nobody
/// else's before that has ended.
#[tokio::test]
async fn what_a_cancelled_save_still_does_is_waited_for() {
    let world = World::new();
    let profile = world.used("a", 1, &[(LOG, "one")]).await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let staging = profile.staging();
    let cancelled = profile.work_on_files(move || {
        wait.recv().unwrap();
        std::fs::create_dir_all(staging.join("late")).unwrap();
    });
    tokio::time::timeout(Duration::from_millis(20), cancelled).await.unwrap_err();

    let root = profile.staging().parent().unwrap().to_owned();
    let mut removed = Box::pin({
        let profile = profile.clone();
        async move { profile.remove().await }
    });
    tokio::time::timeout(Duration::from_millis(20), &mut removed).await.unwrap_err();
    go_on.send(()).unwrap();
    removed.await.unwrap();
    assert!(!root.exists(), "nothing is left of it");

    // Let go of with work under way, it is held until that has ended.
    let profile = world.used("b", 1, &[]).await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let cancelled = profile.work_on_files(move || wait.recv().unwrap());
    tokio::time::timeout(Duration::from_millis(20), cancelled).await.unwrap_err();
    drop(profile);
    let here = world.profiles("b").of(&world.tenant, world.uid);
    assert!(matches!(here.lock(), Err(SessionError::InUse { .. })));
    go_on.send(()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = here.lock() {
        assert!(Instant::now() < deadline, "the profile is never let go of: {error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Chromium would throw the database away that the snapshot before has whole.
#[tokio::test]
async fn a_copy_whose_manifest_names_what_was_not_copied_is_no_snapshot() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let mut taker = world.taker(&here, 1).await;
    let page = world.page(&here).await;
    let whole = taker.take_running(&page).await.unwrap().unwrap();
    let manifest = here.browser_dir().join(LOG).with_file_name("MANIFEST-000001");
    std::fs::write(&manifest, leveldb::tests::manifest(&[(2, 5)], 3)).unwrap();
    let torn = taker.take_running(&page).await.unwrap_err();
    assert!(matches!(&torn, SessionError::Torn { reason, .. } if reason.contains("000002.ldb")), "{torn}");
    assert_eq!(world.snapshots.listing(world.uid).await.unwrap().manifests.len(), 1);
    write(&here, super::TABLE, "table");
    let next = taker.take_running(&page).await.unwrap().unwrap();
    assert_eq!(next.sequence, whole.sequence + 1, "what failed is made up for");
}

#[tokio::test]
async fn of_an_owner_whose_snapshots_are_no_more_no_directory_is_left() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let blobs = world.dir.path().join("objects").join(world.uid.to_string()).join("blobs");
    std::fs::write(blobs.join("1/part#1"), "part").unwrap();
    let there = world.used("b", 2, &[(LOG, "log")]).await;
    let mut taker = world.taker(&there, 2).await;
    for state in ["one", "two", "three"] {
        write(&there, LOG, state);
        taker.take_stopped(true, None).await.unwrap();
    }
    taker.recorded(&[]).await.unwrap();
    assert!(!blobs.join("1").exists() && blobs.join("2").exists());
}
