//! Going back to an older snapshot, cut short after each of its steps.

use roost_model::ids::Generation;
use roost_store::SnapshotId;

use super::{LOG, World, as_saved, read, three_snapshots, write};
use crate::session::{FoundSession, GoingBack, SnapshotRef};

const CHOSEN: SnapshotId = SnapshotId { generation: Generation(5), sequence: 1 };

/// As an owner does it, up to this step; the copy, once it is stored.
async fn go_back(world: &World, node: &str, ours: i64, steps: u8) -> Option<SnapshotRef> {
    let profile = world.profile(node);
    let gone_back = profile.go_back(&world.snapshots, CHOSEN, Generation(ours)).await.unwrap();
    let GoingBack::Ready { prepared, clean } = gone_back else { panic!("{gone_back:?}") };
    assert_eq!(read(&profile, LOG), "state 1");
    if steps < 2 {
        return None;
    }
    let mut taker = world.taker(&profile, ours).await;
    let copy = taker.take_restored(clean, prepared.local_storage.as_ref()).await.unwrap();
    if steps >= 3 {
        profile.pass_over_between(&world.snapshots, CHOSEN, &copy).await.unwrap();
    }
    Some(as_saved(copy))
}

#[tokio::test]
async fn whoever_finds_the_order_does_all_of_it_wherever_the_one_before_was_killed() {
    for steps in 1..=3 {
        let world = World::new();
        three_snapshots(&world).await;
        go_back(&world, "b", 6, steps).await;
        let copy = go_back(&world, if steps == 2 { "b" } else { "c" }, 7, 3).await.unwrap();
        assert_eq!((copy.generation, copy.clean), (Generation(7), true));

        // The pointer goes to the copy: what was later than the chosen one is not found, neither now nor when the copy is damaged.
        let next = world.profile("d");
        let found = next.find_session(&world.snapshots, Some(&copy), Generation(8)).await.unwrap();
        assert_eq!(found, FoundSession::AsPointed(Some(copy.clone())), "after {steps}");
        std::fs::write(world.dir.path().join("objects").join(&copy.manifest), "").unwrap();
        let (_, told) = world.begin(&next, Some(&copy), 8).await.unwrap();
        assert_eq!(read(&next, LOG), "state 1", "after {steps}: {told:?}");
    }
}

#[tokio::test]
async fn the_newest_can_be_gone_back_to_from_a_profile_that_is_newer_still() {
    let world = World::new();
    let newest = three_snapshots(&world).await.pop().unwrap();
    let profile = world.profile("a");
    profile.prepare(&world.snapshots, Some(&newest), Generation(6)).await.unwrap();
    write(&profile, LOG, "what is not wanted");
    let to = SnapshotId { generation: newest.generation, sequence: newest.sequence };
    let gone_back = profile.go_back(&world.snapshots, to, Generation(6)).await.unwrap();
    assert!(matches!(gone_back, GoingBack::Ready { .. }));
    assert_eq!(read(&profile, LOG), "state 3");
}

#[tokio::test]
async fn what_cannot_be_restored_leaves_everything_as_it_is() {
    let world = World::new();
    let newest = three_snapshots(&world).await.pop().unwrap();
    let chosen = world.objects("manifests").into_iter().find(|path| path.ends_with("5-1.json")).unwrap();
    std::fs::write(chosen, "").unwrap();
    let profile = world.profile("a");
    let impossible = async |sequence| {
        let to = SnapshotId { generation: Generation(5), sequence };
        let gone_back = profile.go_back(&world.snapshots, to, Generation(6)).await.unwrap();
        matches!(gone_back, GoingBack::Impossible { .. })
    };
    assert!(impossible(1).await, "its manifest is damaged");
    assert!(impossible(9).await, "there is none");
    assert_eq!(read(&profile, LOG), "state 3");
    profile
        .pass_over_between(&world.snapshots, CHOSEN, &SnapshotRef { sequence: 3, ..newest })
        .await
        .unwrap();
    assert!(impossible(2).await, "it was passed over");
}
