//! Sessions of generations that the database has not given yet.

use roost_model::ids::Generation;

use super::{LOG, World, write};
use crate::session::LaterSession;

#[tokio::test]
async fn a_later_generation_is_found_in_the_profile_and_in_the_snapshots() {
    let world = World::new();
    let profile = world.used("a", 7, &[(LOG, "session")]).await;
    let found =
        async |generation| profile.later_session(&world.snapshots, Generation(generation)).await.unwrap();
    assert_eq!(found(7).await, None);
    assert_eq!(found(6).await, Some(LaterSession { generation: Generation(7), snapshot: None }));

    let mut taker = world.taker(&profile, 7).await;
    let taken = taker.take_stopped(true, None).await.unwrap();
    write(&profile, LOG, "more");
    assert_eq!(found(7).await, None);
    let elsewhere = world.profile("b");
    let later = elsewhere.later_session(&world.snapshots, Generation(3)).await.unwrap().unwrap();
    assert_eq!((later.generation, later.snapshot.unwrap().manifest), (Generation(7), taken.manifest));
    assert_eq!(elsewhere.later_session(&world.snapshots, Generation(8)).await.unwrap(), None);
}
