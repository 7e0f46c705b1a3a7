//! A session that was forgotten, or that another one has followed, does not come back from anywhere.

use std::sync::Arc;
use std::time::Duration;

use roost_model::ids::{Generation, SessionNumber};

use super::{LOG, World, dice::Dice, faulty_store::FaultyStore, read, write};
use crate::session::objects::Objects;
use crate::session::{FoundSession, ProfileStamp, SessionSource, SnapshotStore};

const FIRST: SessionNumber = SessionNumber(1);
const SECOND: SessionNumber = SessionNumber(2);

fn store_that_is_away() -> SnapshotStore {
    let store = FaultyStore::new(Dice::new(1));
    store.set_faults(100);
    SnapshotStore::of(Objects::in_store(Arc::new(store), Duration::from_millis(100)))
}

#[tokio::test]
async fn a_profile_of_a_session_before_is_removed_also_while_the_object_store_is_away() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "session")]).await;
    world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    drop(here);
    // Another node has forgotten it meanwhile.
    let here = world.profile("a");
    here.keep_session(SECOND).await.unwrap();
    let away = store_that_is_away();
    let found = here.find_session(&away, None, Generation(7)).await.unwrap();
    assert_eq!(found, FoundSession::AsPointed(None));
    let prepared = here.prepare(&away, None, Generation(7)).await.unwrap();
    assert_eq!(prepared.source, SessionSource::Fresh);
    assert!(!here.browser_dir().join(LOG).exists());
    let stamp = here.stamp().unwrap();
    assert_eq!((stamp.session, stamp.has_session), (SECOND, false));
}

#[tokio::test]
async fn what_a_warm_browser_was_started_beside_is_removed_if_it_is_of_a_session_before() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "session")]).await;
    here.make_standby_dir().unwrap();
    here.keep_session(FIRST).await.unwrap();
    assert!(here.stamp_aside().is_some());
    here.keep_session(SECOND).await.unwrap();
    assert!(here.stamp_aside().is_none() && here.stamp().is_some(), "the warm browser's own stays");
}

#[tokio::test]
async fn a_snapshot_of_a_session_before_is_not_restored_without_a_tombstone_either() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "session")]).await;
    world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    let there = world.profile("b");
    there.keep_session(SECOND).await.unwrap();
    let found = there.find_session(&world.snapshots, None, Generation(6)).await.unwrap();
    assert_eq!(found, FoundSession::AsPointed(None));
}

#[tokio::test]
async fn what_is_saved_after_a_phone_was_linked_anew_is_of_the_next_session() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "session")]).await;
    world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    here.begin_session(SECOND, Generation(5)).unwrap();
    assert!(!here.stamp().unwrap().has_session, "it is not saved yet");
    write(&here, LOG, "linked anew");
    let taken = world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    here.keep_session(SECOND).await.unwrap();
    assert_eq!(here.stamp().unwrap().session, SECOND);

    let there = world.profile("b");
    there.keep_session(SECOND).await.unwrap();
    let FoundSession::Unpointed(found) =
        there.find_session(&world.snapshots, None, Generation(6)).await.unwrap()
    else {
        panic!("it is not found")
    };
    assert_eq!(found.sequence, taken.sequence);
    there.prepare(&world.snapshots, Some(&found), Generation(6)).await.unwrap();
    assert_eq!((read(&there, LOG).as_str(), there.stamp().unwrap().session), ("linked anew", SECOND));
}

/// It was restored from a backup.
#[tokio::test]
async fn a_session_that_is_later_than_the_database_knows_is_taken_up() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "session")]).await;
    here.begin_session(SECOND, Generation(5)).unwrap();
    world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    drop(here);
    let here = world.profile("a");
    here.keep_session(FIRST).await.unwrap();
    assert_eq!((here.session(), here.stamp().unwrap().session), (SECOND, SECOND));

    let elsewhere = world.used("b", 4, &[(LOG, "the session before")]).await;
    elsewhere.keep_session(FIRST).await.unwrap();
    let found = elsewhere.find_session(&world.snapshots, None, Generation(6)).await.unwrap();
    assert!(matches!(found, FoundSession::Unpointed(_)), "{found:?}");
    assert_eq!(elsewhere.session(), SECOND, "as its snapshot says");
}

#[test]
fn a_stamp_of_before_sessions_had_numbers_is_of_the_first() {
    let old = r#"{"uid":"00000000-0000-0000-0000-000000000000","generation":5,"sequence":2,"clean":true}"#;
    let stamp: ProfileStamp = serde_json::from_str(old).unwrap();
    assert_eq!((stamp.session, stamp.has_session, stamp.is_damaged), (FIRST, false, false));
}
