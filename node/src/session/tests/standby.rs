//! A session that comes to a browser which runs already.

use std::collections::BTreeMap;

use roost_engine::LocalStorage;
use roost_model::ids::Generation;

use super::{LOG, TABLE, World, files_below, read, write};
use crate::session::{FetchedFiles, SessionSource};

fn local_storage(value: &str) -> LocalStorage {
    LocalStorage {
        origin: "null".to_owned(),
        items: BTreeMap::from([("noise".to_owned(), value.to_owned())]),
    }
}

#[tokio::test]
async fn under_a_warm_browser_only_what_has_changed_since_is_fetched() {
    let world = World::new();
    let here = world.used("a", 1, &[(TABLE, "table"), (LOG, "log")]).await;
    let mut taker = world.taker(&here, 1).await;
    let first = taker.take_stopped(true, None).await.unwrap();
    let there = world.profile("b");
    let mut fetched = FetchedFiles::default();
    there.make_standby_dir().unwrap();
    let ahead = there.prefetch(&world.snapshots, &first, &mut fetched).await.unwrap();
    assert_eq!(ahead, 4, "with CURRENT and the MANIFEST");
    assert!(!there.browser_dir().join(LOG).exists(), "nothing is in place before its time");

    write(&here, LOG, "log and more");
    let last = taker.take_stopped(true, Some(local_storage("last"))).await.unwrap();
    let again = there.prefetch(&world.snapshots, &last, &mut fetched).await.unwrap();
    assert_eq!(again, 1);
    let installed = there
        .install_session(&world.snapshots, Some(&last), Generation(2), &mut fetched)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(installed.source, SessionSource::Restored { generation: Generation(1), sequence: 2 });
    assert_eq!(installed.local_storage, Some(local_storage("last")));
    assert_eq!((read(&there, TABLE).as_str(), read(&there, LOG).as_str()), ("table", "log and more"));
    assert_eq!(there.stamp().unwrap().generation, Generation(2));

    // One that starts cold takes the localStorage of a closed browser from its files.
    let cold = world.profile("c").prepare(&world.snapshots, Some(&last), Generation(2)).await.unwrap();
    assert_eq!(cold.local_storage, None);
}

#[tokio::test]
async fn what_was_set_aside_comes_back_when_nothing_comes_of_a_warm_browser_and_after_a_crash() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "the newest session")]).await;
    let older = world.used("b", 4, &[(LOG, "older")]).await;
    let older = world.taker(&older, 4).await.take_stopped(true, Some(local_storage("older"))).await.unwrap();
    let mut fetched = FetchedFiles::default();
    here.make_standby_dir().unwrap();
    here.prefetch(&world.snapshots, &older, &mut fetched).await.unwrap();
    let installed =
        here.install_session(&world.snapshots, Some(&older), Generation(6), &mut fetched).await.unwrap();
    assert!(installed.is_none(), "the profile that was here is newer than every snapshot");
    here.discard_unused().unwrap();
    assert_eq!(read(&here, LOG), "the newest session");

    here.make_standby_dir().unwrap();
    drop(here);
    let here = world.profile("a");
    assert_eq!(read(&here, LOG), "the newest session");
    assert_eq!(here.stamp().unwrap().generation, Generation(5));
    let left = files_below(&world.dir.path().join("a"));
    assert_eq!(left.len(), 5, "lock, stamp, log, CURRENT and MANIFEST, and nothing else: {left:?}");
}

#[tokio::test]
async fn a_snapshot_without_local_storage_is_nothing_for_a_warm_browser() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let there = world.profile("b");
    there.make_standby_dir().unwrap();
    let mut fetched = FetchedFiles::default();
    let installed =
        there.install_session(&world.snapshots, Some(&taken), Generation(2), &mut fetched).await.unwrap();
    assert!(installed.is_none());
    there.discard_unused().unwrap();
    there.prepare(&world.snapshots, Some(&taken), Generation(2)).await.unwrap();
    assert_eq!(read(&there, LOG), "log");
}
