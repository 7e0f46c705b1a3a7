//! What an owner builds on: the snapshot that it has restored, and what it has stored itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use roost_engine::LocalStorage;
use roost_model::ids::Generation;

use super::{LOG, TABLE, World, read, write};
use crate::session::{
    FetchedFiles, LockedProfile, SessionSource, SnapshotRef, manifest::Manifest, manifest::ManifestName,
};

impl World {
    async fn manifest(&self, of: &SnapshotRef) -> Manifest {
        let name = ManifestName { uid: self.uid, generation: of.generation, sequence: of.sequence };
        self.snapshots.manifest(&name).await.unwrap()
    }

    /// As a worker does it.
    async fn begin_from(&self, profile: &LockedProfile, pointer: &SnapshotRef, generation: i64) {
        let ours = Generation(generation);
        profile.find_session(&self.snapshots, Some(pointer), ours).await.unwrap();
        let prepared = profile.prepare(&self.snapshots, Some(pointer), ours).await.unwrap();
        assert!(matches!(prepared.source, SessionSource::Restored { .. }));
    }

    fn blobs(&self, generation: i64) -> Vec<PathBuf> {
        self.objects(&format!("blobs/{generation}"))
    }
}

#[tokio::test]
async fn an_owner_uploads_what_is_not_in_the_snapshot_that_it_restored_and_nothing_else() {
    let world = World::new();
    let here = world.used("a", 1, &[(TABLE, "table"), (LOG, "log")]).await;
    let first = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let there = world.profile("b");
    world.begin_from(&there, &first, 2).await;
    let mut taker = world.taker(&there, 2).await;
    write(&there, LOG, "log and more");
    let second = taker.take_stopped(true, None).await.unwrap();
    assert_eq!(world.blobs(2).len(), 1, "the tail of the log");

    // What others need of a generation stays when its manifests go, and goes when nobody needs it.
    for state in ["one", "two", "three"] {
        write(&there, LOG, state);
        taker.take_stopped(true, None).await.unwrap();
    }
    taker.recorded(&[]).await.unwrap();
    assert_eq!(world.snapshots.listing(world.uid).await.unwrap().manifests.len(), 3);
    assert_eq!(world.blobs(1).len(), 3, "the table, CURRENT and the MANIFEST");
    let last = taker.take_stopped(true, None).await.unwrap();
    let next = world.profile("c");
    world.begin_from(&next, &last, 3).await;
    assert_eq!((read(&next, TABLE).as_str(), read(&next, LOG).as_str()), ("table", "three"));
    assert!(second.generation < Generation(3));
    write(&next, TABLE, "another");
    let mut taker = world.taker(&next, 3).await;
    for state in ["four", "five", "six"] {
        write(&next, LOG, state);
        taker.take_stopped(true, None).await.unwrap();
    }
    taker.recorded(&[]).await.unwrap();
    assert_eq!(world.blobs(1).len(), 2, "the table is nobody's");
}

#[tokio::test]
async fn under_a_warm_browser_only_what_was_fetched_is_built_on() {
    let world = World::new();
    let elsewhere = "Default/Local Storage/data";
    let here = world.used("a", 1, &[(LOG, "log"), (elsewhere, "not fetched")]).await;
    let values = LocalStorage { origin: "x".into(), items: Default::default() };
    let saved = world.taker(&here, 1).await.take_stopped(true, Some(values)).await.unwrap();
    let there = world.profile("b");
    there.make_standby_dir().unwrap();
    there.find_session(&world.snapshots, Some(&saved), Generation(2)).await.unwrap();
    let mut fetched = FetchedFiles::default();
    let installed = there.install_session(&world.snapshots, Some(&saved), Generation(2), &mut fetched).await;
    assert!(installed.unwrap().is_some());
    write(&there, elsewhere, "not fetched");
    let next = world.taker(&there, 2).await.take_stopped(true, None).await.unwrap();
    let manifest = world.manifest(&next).await;
    let blob = |path: &str| &manifest.files.iter().find(|file| file.path == path).unwrap().blobs[0];
    assert!(blob(LOG).starts_with("1/") && blob(elsewhere).starts_with("2/"));
}

/// It was frozen in the midst of a prune, and goes on when its successor has gone back to what it removes.
#[tokio::test]
async fn what_an_owner_went_back_to_is_not_built_on_and_is_saved_anew() {
    let world = World::new();
    let here = world.used("a", 1, &[(TABLE, "table"), (LOG, "one")]).await;
    let mut taker = world.taker(&here, 1).await;
    let mut taken = Vec::new();
    for state in ["one", "two", "three", "four"] {
        write(&here, LOG, state);
        taken.push(taker.take_stopped(false, None).await.unwrap());
    }
    let [old, newer @ ..] = taken.as_slice() else { unreachable!("four were taken") };
    let objects = world.dir.path().join("objects");
    let is_lost = |blob: &PathBuf| {
        newer.iter().any(|of| blob.to_str().unwrap().ends_with(&format!("-{}", of.sequence)))
    };
    for lost in world.blobs(1).into_iter().filter(is_lost) {
        fs::remove_file(lost).unwrap();
    }
    let there = world.profile("b");
    let newest = there.find_session(&world.snapshots, newer.last(), Generation(2)).await;
    assert!(newest.is_ok(), "{newest:?}");
    let prepared = there.prepare(&world.snapshots, Some(old), Generation(2)).await.unwrap();
    assert!(there.has_gone_back());
    let mut successor = world.taker(&there, 2).await;
    let copy = successor.take_restored(old.clean, prepared.local_storage.as_ref()).await.unwrap();
    assert!(!there.stamp().unwrap().clean, "a browser begins on it");

    taker.recorded(&[]).await.unwrap();
    assert!(!objects.join(&old.manifest).exists());
    assert!(world.manifest(&copy).await.blobs().all(|blob| blob.starts_with("2/")));
    let next = world.profile("c");
    world.begin_from(&next, &copy, 3).await;
    assert_eq!((read(&next, TABLE).as_str(), read(&next, LOG).as_str()), ("table", "one"));
}

#[tokio::test]
async fn a_snapshot_of_before_blobs_had_generations_in_their_names_is_restored() {
    let world = World::new();
    let here = world.used("a", 1, &[(TABLE, "table"), (LOG, "log")]).await;
    let saved = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let mut manifest = world.manifest(&saved).await;
    manifest.version = 1;
    for blob in manifest.files.iter_mut().flat_map(|file| &mut file.blobs) {
        *blob = blob.strip_prefix("1/").unwrap().to_owned();
    }
    fs::remove_file(world.dir.path().join("objects").join(&saved.manifest)).unwrap();
    world.snapshots.put_manifest(&manifest).await.unwrap();
    let there = world.profile("b");
    world.begin_from(&there, &saved, 2).await;
    assert_eq!(read(&there, TABLE), "table");
    let next = world.taker(&there, 2).await.take_stopped(true, None).await.unwrap();
    assert_eq!(world.blobs(2).len(), 0, "it is built on as any other");
    assert!(Path::new(&next.manifest).starts_with(world.uid.to_string()));
}
