//! The object that says which store it is.

use uuid::Uuid;

use super::World;
use crate::session::{SessionError, SnapshotKeys, SnapshotStore};

#[tokio::test]
async fn a_store_is_marked_once_and_shows_whether_the_key_is_here() {
    let world = World::new();
    assert_eq!(world.snapshots.marker().await.unwrap(), None);
    let made = world.snapshots.make_marker(Uuid::from_u128(1)).await.unwrap();
    let again = world.snapshots.make_marker(Uuid::from_u128(2)).await.unwrap();
    assert_eq!((again, world.snapshots.marker().await.unwrap()), (made, Some(made)));
    assert!(world.snapshots.tenants().await.unwrap().is_empty(), "it is no tenant");

    let with = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| key.repeat(32)).collect();
        let keys = SnapshotKeys::from_hex(&keys.join("\n")).unwrap();
        SnapshotStore::open(world.dir.path().join("objects").to_str().unwrap(), keys).unwrap()
    };
    let refused = with(&["08"]).marker().await;
    assert!(matches!(refused, Err(SessionError::UnknownKey { .. })), "{refused:?}");
    let rotating = with(&["08", "07"]);
    rotating.seal_marker_anew(&rotating.marker().await.unwrap().unwrap()).await.unwrap();
    assert_eq!(with(&["08"]).marker().await.unwrap(), Some(made), "the old key is not needed any more");
}

/// A node that has looked at one and goes on when the store was exchanged does not mark the new one as the old.
#[tokio::test]
async fn a_marker_that_has_come_in_the_place_of_another_stays() {
    let world = World::new();
    let seen = world.snapshots.make_marker(Uuid::from_u128(1)).await.unwrap();
    std::fs::remove_file(world.dir.path().join("objects/marker")).unwrap();
    let now = world.snapshots.make_marker(Uuid::from_u128(1)).await.unwrap();
    world.snapshots.seal_marker_anew(&seen).await.unwrap();
    assert_eq!(world.snapshots.marker().await.unwrap(), Some(now));
}
