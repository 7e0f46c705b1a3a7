//! Calls to the object store that hang, and answers that are lost.

use std::{
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use object_store::{PutMode, local::LocalFileSystem};
use roost_model::ids::Generation;

use super::{LOG, World, dice::Dice, faulty_store::FaultyStore, read};
use crate::session::{
    SessionError, SnapshotStore,
    manifest::{Manifest, ManifestName},
    objects::Objects,
    staging::SessionFile,
    upload::Uploads,
};

/// Threads of the runtime, of which look-ups of names and everything else on the disk live too.
const THREADS: usize = 80;

#[test]
fn a_store_that_hangs_holds_nobody_up_for_ever_and_leaves_threads_to_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()
        .unwrap();
    let store = FaultyStore::new(Dice::new(1));
    let hanging = store.hang();
    let objects = Objects::in_store(Arc::new(store), Duration::from_millis(100));
    runtime.block_on(async {
        let calls = (0..2 * THREADS).map(|_| objects.list("x"));
        for listed in futures::future::join_all(calls).await {
            let error = listed.unwrap_err();
            assert!(matches!(error, SessionError::Store { .. }), "{error}");
        }
        let others = tokio::task::spawn_blocking(|| ());
        tokio::time::timeout(Duration::from_secs(10), others).await.expect("no thread is left").unwrap();
        drop(hanging);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while let Err(error) = objects.list("x").await {
            assert!(tokio::time::Instant::now() < deadline, "it never works again: {error}");
        }
    });
}

#[tokio::test]
async fn a_manifest_that_is_there_already_is_looked_at() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let name = world.snapshots.listing(world.uid).await.unwrap().manifests[0];
    let manifest = world.snapshots.manifest(&name).await.unwrap();
    world.snapshots.put_manifest(&manifest).await.unwrap();
    let another = Manifest { clean: false, ..manifest };
    let refused = world.snapshots.put_manifest(&another).await;
    assert!(matches!(refused, Err(SessionError::Store { .. })), "{refused:?}");
}

/// A node that is frozen between clearing the pointer and removing the snapshots goes on when the tenant has another owner, and
/// a phone has been linked anew.
#[tokio::test]
async fn whoever_forgets_a_session_removes_nothing_of_a_later_owner() {
    let world = World::new();
    let old = world.used("a", 1, &[(LOG, "old")]).await;
    let mut forgetting = world.taker(&old, 1).await;
    forgetting.take_stopped(true, None).await.unwrap();
    let tombstone = forgetting.forget().await.unwrap();
    let new = world.used("b", 2, &[(LOG, "new")]).await;
    let taken = world.taker(&new, 2).await.take_stopped(true, None).await.unwrap();
    world.snapshots.remove_forgotten(&tombstone).await.unwrap();
    world.profile("c").prepare(&world.snapshots, Some(&taken), Generation(3)).await.unwrap();
    assert_eq!(world.snapshots.listing(world.uid).await.unwrap().manifests.len(), 1);
    assert!(world.objects("blobs").iter().all(|blob| blob.parent().unwrap().ends_with("2")));
}

/// What was stored of an upload that failed is not stored again by the next one.
#[tokio::test]
async fn an_upload_that_was_interrupted_goes_on_where_it_was() {
    let world = World::new();
    let staging = tempfile::tempdir().unwrap();
    let file = |name: &str| SessionFile { path: name.into(), size: 3, modified: SystemTime::UNIX_EPOCH };
    let staged = [file("1"), file("2"), file("3")];
    let save = |sequence| ManifestName { uid: world.uid, generation: Generation(1), sequence };
    let mut uploads = Uploads::default();
    std::fs::write(staging.path().join("1"), "one").unwrap();
    std::fs::write(staging.path().join("2"), "two").unwrap();
    let failed = uploads.upload(&world.snapshots, &save(1), staging.path(), &staged).await;
    assert!(matches!(failed, Err(SessionError::Disk { .. })), "{failed:?}");
    std::fs::write(staging.path().join("3"), "six").unwrap();
    let entries = uploads.upload(&world.snapshots, &save(2), staging.path(), &staged).await.unwrap();
    let of_save = |sequence: &str| entries.iter().filter(|entry| entry.blobs[0].ends_with(sequence)).count();
    assert_eq!((of_save("-1"), of_save("-2")), (2, 1));
    assert_eq!(world.objects("blobs").len(), 3);
}

/// Of four large files that wait for a store that hangs, what is in memory is what there is room for; the rest is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_store_takes_turns_for_memory() {
    const PIECE: usize = 4 << 20;
    let world = World::new();
    let store = FaultyStore::new(Dice::new(1));
    let hanging = store.hang();
    let snapshots = SnapshotStore::of(Objects::in_store(Arc::new(store.clone()), Duration::from_secs(30)));
    let staging = tempfile::tempdir().unwrap();
    let staged: Vec<_> = (0..4_u8)
        .map(|file| {
            let content: Vec<u8> = (0..3).flat_map(|piece| vec![file * 3 + piece; PIECE]).collect();
            std::fs::write(staging.path().join(file.to_string()), content).unwrap();
            SessionFile {
                path: file.to_string().into(),
                size: 3 * PIECE as u64,
                modified: SystemTime::UNIX_EPOCH,
            }
        })
        .collect();
    let save = ManifestName { uid: world.uid, generation: Generation(1), sequence: 1 };
    let under_way = async || {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while store.puts() < 6 {
            assert!(tokio::time::Instant::now() < deadline, "{} puts are under way", store.puts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let most = store.puts();
        drop(hanging);
        most
    };
    let mut uploads = Uploads::default();
    let (entries, most) =
        tokio::join!(uploads.upload(&snapshots, &save, staging.path(), &staged), under_way());
    assert_eq!(most, 6, "pieces of 4 MiB in 24 MiB");
    assert_eq!(entries.unwrap().iter().map(|entry| entry.blobs.len()).sum::<usize>(), 12);
}

/// As on SMB and many a FUSE: nothing is refused that a directory with hard links takes, and nothing is taken twice.
#[tokio::test]
async fn a_directory_without_hard_links_keeps_snapshots_too() {
    let world = World::new();
    let dir = world.dir.path().join("objects");
    let files = Arc::new(LocalFileSystem::new_with_prefix(&dir).unwrap());
    let store = FaultyStore::over(files, Dice::new(1));
    store.refuse_links();
    let objects = Objects::in_store(Arc::new(store), Duration::from_secs(30)).in_files_below(&dir);
    objects.put("t/one", b"first".to_vec(), PutMode::Create).await.unwrap();
    let again = objects.put("t/one", b"second".to_vec(), PutMode::Create).await.unwrap_err();
    let is_there = |error: &SessionError| {
        matches!(error, SessionError::Store { source: object_store::Error::AlreadyExists { .. }, .. })
    };
    assert!(is_there(&again), "{again}");
    assert_eq!(objects.get("t/one").await.unwrap(), b"first");
    // A crash between claiming a name and moving the object there.
    std::fs::write(dir.join("t/two"), "").unwrap();
    assert!(is_there(&objects.put("t/two", Vec::new(), PutMode::Create).await.unwrap_err()));
    assert!(matches!(objects.get("t/two").await, Err(SessionError::Sealed { .. })));

    let world = World { snapshots: SnapshotStore::of(objects), ..world };
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let there = world.profile("b");
    there.prepare(&world.snapshots, Some(&taken), Generation(2)).await.unwrap();
    assert_eq!(read(&there, LOG), "log");
    assert_eq!(std::fs::metadata(dir.join(&taken.manifest)).unwrap().permissions().mode() & 0o777, 0o600);
}
