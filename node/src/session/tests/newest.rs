//! Which snapshot is the newest when the database does not name it, and what is never restored.

use roost_model::ids::Generation;

use super::{LOG, World, as_saved, forgotten_and_saved_anew, read, three_snapshots, write};
use crate::session::{FoundSession, LaterSession, LockedProfile, SessionSource, SnapshotRef};

async fn find(
    world: &World,
    profile: &LockedProfile,
    pointer: Option<&SnapshotRef>,
    ours: i64,
) -> FoundSession {
    profile.find_session(&world.snapshots, pointer, Generation(ours)).await.unwrap()
}

#[tokio::test]
async fn a_pointer_that_is_behind_is_not_followed() {
    let world = World::new();
    let taken = three_snapshots(&world).await;
    let there = world.profile("b");
    let last = FoundSession::Unpointed(taken[2].clone());
    assert_eq!(find(&world, &there, Some(&taken[0]), 1_000_005).await, last);
    assert_eq!(find(&world, &there, None, 1_000_005).await, last, "of before the tenant was paired");
    let pointed = FoundSession::AsPointed(Some(taken[2].clone()));
    assert_eq!(find(&world, &there, Some(&taken[2]), 1_000_005).await, pointed);
    let FoundSession::Unpointed(newest) = last else { unreachable!() };
    let prepared = there.prepare(&world.snapshots, Some(&newest), Generation(1_000_005)).await.unwrap();
    assert_eq!(prepared.source, SessionSource::Restored { generation: Generation(5), sequence: 3 });
    assert_eq!(read(&there, LOG), "state 3");
}

#[tokio::test]
async fn what_an_owner_has_taken_itself_is_in_its_profile() {
    let world = World::new();
    let taken = three_snapshots(&world).await;
    let here = world.profile("a");
    assert_eq!(find(&world, &here, None, 5).await, FoundSession::AsPointed(None));
    let pointed = FoundSession::AsPointed(Some(taken[0].clone()));
    assert_eq!(find(&world, &here, Some(&taken[0]), 5).await, pointed);
}

#[tokio::test]
async fn of_what_the_pointer_does_not_name_a_damaged_snapshot_is_passed_over() {
    let world = World::new();
    let taken = three_snapshots(&world).await;
    std::fs::write(world.dir.path().join("objects").join(&taken[2].manifest), "torn").unwrap();
    let there = world.profile("b");
    let second = FoundSession::Unpointed(taken[1].clone());
    assert_eq!(find(&world, &there, Some(&taken[0]), 6).await, second);
    let pointed = FoundSession::AsPointed(Some(taken[1].clone()));
    assert_eq!(find(&world, &there, Some(&taken[1]), 6).await, pointed);
}

#[tokio::test]
async fn a_forgotten_session_is_not_restored_whatever_the_pointer_says() {
    let world = World::new();
    let taken = three_snapshots(&world).await;
    drop(world.used("b", 4, &[(LOG, "older still")]).await);
    let here = world.profile("a");
    let mut taker = world.taker(&here, 5).await;
    let tombstone = taker.forget().await.unwrap();

    // The owner dies before it has removed anything, and the database goes back.
    let there = world.profile("c");
    for pointer in [Some(&taken[0]), Some(&taken[2]), None] {
        assert_eq!(find(&world, &there, pointer, 6).await, FoundSession::AsPointed(None));
    }
    let elsewhere = world.profile("b");
    find(&world, &elsewhere, None, 6).await;
    assert_eq!(elsewhere.stamp(), None, "a profile of before goes, too");

    world.snapshots.remove_forgotten(&tombstone).await.unwrap();
    assert_eq!(world.objects("").len(), 1, "the tombstone is left");
    let mut again = world.taker(&here, 5).await;
    write(&here, LOG, "the next session");
    let next = as_saved(again.take_stopped(true, None).await.unwrap());
    assert_eq!(next.sequence, 5, "it goes on counting after the tombstone");
    assert_eq!(find(&world, &there, Some(&taken[2]), 6).await, FoundSession::Unpointed(next));
}

#[tokio::test]
async fn what_the_removal_of_a_forgotten_session_left_goes_after_the_next_snapshot() {
    let world = World::new();
    let (mut taker, next) = forgotten_and_saved_anew(&world, false).await;
    taker.recorded(&[]).await.unwrap();
    let left = world.snapshots.listing(world.uid).await.unwrap().manifests;
    assert_eq!(left.iter().map(|name| name.object()).collect::<Vec<_>>(), [next.manifest]);
}

#[tokio::test]
async fn a_session_that_a_later_owner_forgot_is_not_saved_any_more() {
    let world = World::new();
    let old = world.used("a", 5, &[(LOG, "session")]).await;
    let mut deposed = world.taker(&old, 5).await;
    let new = world.used("b", 6, &[]).await;
    world.taker(&new, 6).await.forget().await.unwrap();
    deposed.take_stopped(true, None).await.unwrap_err();
    let later = FoundSession::Later(LaterSession { generation: Generation(6), snapshot: None });
    assert_eq!(find(&world, &old, None, 5).await, later);
}

#[tokio::test]
async fn a_later_generation_is_found_in_the_profile_and_in_the_snapshots() {
    let world = World::new();
    let profile = world.used("a", 7, &[(LOG, "session")]).await;
    let later = |snapshot| FoundSession::Later(LaterSession { generation: Generation(7), snapshot });
    assert_eq!(find(&world, &profile, None, 7).await, FoundSession::AsPointed(None));
    assert_eq!(find(&world, &profile, None, 6).await, later(None));

    let mut taker = world.taker(&profile, 7).await;
    let taken = as_saved(taker.take_stopped(true, None).await.unwrap());
    write(&profile, LOG, "more");
    assert_eq!(find(&world, &profile, None, 7).await, FoundSession::AsPointed(None));
    let elsewhere = world.profile("b");
    assert_eq!(find(&world, &elsewhere, None, 3).await, later(Some(taken.clone())));
    assert_eq!(find(&world, &elsewhere, None, 8).await, FoundSession::Unpointed(taken));
}
