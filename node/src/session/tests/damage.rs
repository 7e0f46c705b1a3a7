//! What is used when the newest of a session is damaged, and when nothing is passed over.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roost_model::ids::Generation;

use super::{
    LOG, TABLE, World, dice::Dice, faulty_store::FaultyStore, forgotten_and_saved_anew, read,
    three_snapshots, write,
};
use crate::session::objects::Objects;
use crate::session::{
    FoundSession, INDEXED_DB, LockedProfile, Preparation, SessionError, SessionSource, SnapshotKeys,
    SnapshotRef, SnapshotStore, leveldb,
};

impl World {
    fn object(&self, name: &str) -> PathBuf {
        self.dir.path().join("objects").join(name)
    }

    /// The blob that this snapshot alone has.
    fn own_blob(&self, of: &SnapshotRef) -> PathBuf {
        let ending = format!("-{}", of.sequence);
        let mut blobs = self.objects("blobs").into_iter();
        blobs.rfind(|path| path.to_str().unwrap().ends_with(&ending)).unwrap()
    }

    /// What a worker does: what is told is marked, until a session is ready.
    pub(super) async fn begin(
        &self,
        profile: &LockedProfile,
        pointer: Option<&SnapshotRef>,
        ours: i64,
    ) -> Result<(SessionSource, Vec<String>), SessionError> {
        let found = profile.find_session(&self.snapshots, pointer, Generation(ours)).await?;
        let mut newest = match found {
            FoundSession::AsPointed(newest) => newest,
            FoundSession::Unpointed(newest) => Some(newest),
            FoundSession::Later(later) => panic!("{later:?}"),
        };
        let mut told = Vec::new();
        loop {
            let (snapshots, ours) = (&self.snapshots, Generation(ours));
            match profile.prepare_or_find_damage(snapshots, newest.as_ref(), ours).await? {
                Preparation::Ready(prepared) => return Ok((prepared.source, told)),
                Preparation::Damaged(damage) => {
                    told.push(damage.to_string());
                    profile.pass_over(snapshots, &damage).await?;
                    newest = damage.newest;
                }
            }
        }
    }
}

fn restored(generation: i64, sequence: i64) -> SessionSource {
    SessionSource::Restored { generation: Generation(generation), sequence }
}

#[tokio::test]
async fn whatever_is_wrong_with_the_newest_snapshot_the_one_before_is_restored() {
    type Damaging = fn(&World, &SnapshotRef);
    let damages: [(&str, Damaging); 5] = [
        ("cut short", |world, of| {
            let whole = fs::read(world.object(&of.manifest)).unwrap();
            fs::write(world.object(&of.manifest), &whole[..whole.len() / 2]).unwrap();
        }),
        ("emptied", |world, of| fs::write(world.object(&of.manifest), "").unwrap()),
        ("removed", |world, of| fs::remove_file(world.object(&of.manifest)).unwrap()),
        ("its blob emptied", |world, of| fs::write(world.own_blob(of), "").unwrap()),
        ("its blob removed", |world, of| fs::remove_file(world.own_blob(of)).unwrap()),
    ];
    for (what, damage) in damages {
        let world = World::new();
        let taken = three_snapshots(&world).await;
        damage(&world, &taken[2]);
        let there = world.profile("b");
        let (source, told) = world.begin(&there, Some(&taken[2]), 6).await.unwrap();
        assert_eq!((source, read(&there, LOG).as_str()), (restored(5, 2), "state 2"), "{what}");
        let [told] = told.as_slice() else { panic!("{what}: {told:?}") };
        assert!(
            told.starts_with("the snapshot 5-3 of 20")
                && told.contains("goes on from the snapshot 5-2 of 20"),
            "{told}"
        );

        // Neither does the next owner begin with it, wherever the pointer is.
        let elsewhere = world.profile("c");
        let (source, told) = world.begin(&elsewhere, Some(&taken[2]), 7).await.unwrap();
        assert_eq!((source, told), (restored(5, 2), vec![]), "{what}");
    }
}

#[tokio::test]
async fn an_older_profile_is_used_if_it_is_after_the_next_snapshot() {
    let world = World::new();
    let old = world.used("b", 5, &[(LOG, "from b")]).await;
    world.taker(&old, 5).await.take_stopped(true, None).await.unwrap();
    write(&old, LOG, "from b, and on");
    let new = world.used("a", 6, &[(LOG, "from a")]).await;
    let newest = world.taker(&new, 6).await.take_stopped(true, None).await.unwrap();
    fs::write(world.own_blob(&newest), "").unwrap();
    let (source, told) = world.begin(&old, Some(&newest), 7).await.unwrap();
    assert_eq!((source, read(&old, LOG).as_str()), (SessionSource::Local, "from b, and on"));
    assert!(told[0].ends_with("goes on from the profile of generation 5 on this node"), "{told:?}");
}

#[tokio::test]
async fn a_forgotten_session_is_not_gone_back_to() {
    let world = World::new();
    let (_taker, next) = forgotten_and_saved_anew(&world, true).await;
    fs::remove_file(world.object(&next.manifest)).unwrap();
    let refused = world.begin(&world.profile("b"), Some(&next), 6).await;
    assert!(matches!(refused, Err(SessionError::Missing { .. })), "{refused:?}");
}

#[tokio::test]
async fn of_a_session_that_is_damaged_in_all_its_parts_the_error_is_told_and_a_store_that_is_empty_is_not_believed()
 {
    let world = World::new();
    let taken = three_snapshots(&world).await;
    drop(world.used("b", 4, &[(LOG, "older")]).await);
    let away = world.dir.path().join("away");
    fs::rename(world.dir.path().join("objects"), &away).unwrap();
    fs::create_dir(world.dir.path().join("objects")).unwrap();
    let refused = world.begin(&world.profile("b"), Some(&taken[2]), 6).await;
    assert!(matches!(refused, Err(SessionError::Missing { .. })), "{refused:?}");
    fs::remove_dir(world.dir.path().join("objects")).unwrap();
    fs::rename(away, world.dir.path().join("objects")).unwrap();

    for snapshot in &taken {
        fs::write(world.object(&snapshot.manifest), "").unwrap();
    }
    let refused = world.begin(&world.profile("c"), Some(&taken[2]), 6).await;
    assert!(matches!(refused, Err(SessionError::Sealed { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_read_for_now_or_not_with_the_keys_that_are_here_is_waited_for() {
    let world = World::new();
    let taken = three_snapshots(&world).await;
    let objects = world.dir.path().join("objects");
    let other = SnapshotKeys::from_hex(&"08".repeat(32)).unwrap();
    let locked = World { snapshots: SnapshotStore::open(objects.to_str().unwrap(), other).unwrap(), ..world };
    let refused = locked.begin(&locked.profile("b"), Some(&taken[2]), 6).await;
    assert!(matches!(refused, Err(SessionError::UnknownKey { .. })), "{refused:?}");

    let store = FaultyStore::over(
        Arc::new(object_store::local::LocalFileSystem::new_with_prefix(&objects).unwrap()),
        Dice::new(1),
    );
    store.set_faults(100);
    let snapshots = SnapshotStore::of(Objects::in_store(Arc::new(store), Duration::from_millis(100)));
    let refused = there_is_no_answer(&locked, &snapshots, &taken[2]).await;
    assert!(matches!(refused, SessionError::Store { .. }), "{refused:?}");
    assert_eq!(locked.objects("manifests").len(), 3, "nothing is marked");
}

async fn there_is_no_answer(world: &World, snapshots: &SnapshotStore, newest: &SnapshotRef) -> SessionError {
    let there = world.profile("c");
    there.prepare_or_find_damage(snapshots, Some(newest), Generation(6)).await.unwrap_err()
}

/// As a machine that lost power may leave it.
#[tokio::test]
async fn a_profile_that_a_browser_would_throw_away_is_set_aside_for_its_snapshot() {
    let database = |profile: &LockedProfile, name: &str| profile.browser_dir().join(LOG).with_file_name(name);
    type Damaging = fn(PathBuf);
    let damages: [(&str, Damaging); 5] = [
        ("CURRENT", |path| fs::write(path, "").unwrap()),
        ("CURRENT", |path| fs::remove_file(path).unwrap()),
        ("MANIFEST-000001", |path| fs::write(path, "").unwrap()),
        ("MANIFEST-000001", |path| fs::remove_file(path).unwrap()),
        ("MANIFEST-000001", |path| fs::write(path, leveldb::tests::manifest(&[(2, 5), (9, 1)], 3)).unwrap()),
    ];
    for (file, damage) in damages {
        let world = World::new();
        let here = world.used("a", 5, &[(LOG, "saved"), (TABLE, "table")]).await;
        let taken = world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
        write(&here, LOG, "gone on since");
        damage(database(&here, file));
        let (source, told) = world.begin(&here, Some(&taken), 5).await.unwrap();
        assert_eq!((source, read(&here, LOG).as_str()), (restored(5, 1), "saved"), "{file}");
        assert!(
            told[0].starts_with("the profile of generation 5 on this node is damaged (the database"),
            "{told:?}"
        );
        assert!(told[0].contains("goes on from the snapshot 5-1 of 20"), "{told:?}");
        let kept = here.current().with_file_name("damaged").join("browser").join(LOG);
        assert_eq!(fs::read_to_string(kept).unwrap(), "gone on since", "what is set aside is kept");
        let (source, told) = world.begin(&here, Some(&taken), 5).await.unwrap();
        assert_eq!((source, told), (SessionSource::Local, vec![]), "once");
    }
}

#[tokio::test]
async fn a_profile_whose_database_is_gone_is_set_aside_if_it_had_a_session() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "saved")]).await;
    let taken = world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    // A later generation of the same node goes on with it.
    here.prepare(&world.snapshots, Some(&taken), Generation(6)).await.unwrap();
    fs::remove_dir_all(here.browser_dir().join(INDEXED_DB)).unwrap();
    let (source, told) = world.begin(&here, Some(&taken), 7).await.unwrap();
    assert_eq!((source, told.len()), (restored(5, 1), 1));

    let fresh = world.used("b", 8, &[]).await;
    let (source, told) = world.begin(&fresh, None, 8).await.unwrap();
    assert_eq!((source, told), (SessionSource::Local, vec![]), "it never had one");
}

#[tokio::test]
async fn a_damaged_profile_of_which_nothing_was_saved_is_told_of_and_begun_anew() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "session")]).await;
    let taken = world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    fs::remove_file(world.object(&taken.manifest)).unwrap();
    fs::write(here.browser_dir().join(LOG).with_file_name("CURRENT"), "").unwrap();
    let (source, told) = world.begin(&here, None, 5).await.unwrap();
    assert_eq!(source, SessionSource::Fresh);
    assert!(told[0].ends_with("and the tenant has to scan"), "{told:?}");
    assert!(!here.browser_dir().join(LOG).exists(), "it is a new directory");
    assert_eq!(here.stamp().unwrap().generation, Generation(5));
}

#[tokio::test]
async fn a_damaged_profile_waits_for_a_store_that_is_away() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "session")]).await;
    let taken = world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    fs::write(here.browser_dir().join(LOG).with_file_name("CURRENT"), "").unwrap();
    let store = FaultyStore::new(Dice::new(1));
    store.set_faults(100);
    let snapshots = SnapshotStore::of(Objects::in_store(Arc::new(store), Duration::from_millis(100)));
    let refused = here.prepare_or_find_damage(&snapshots, Some(&taken), Generation(5)).await.unwrap_err();
    assert!(matches!(refused, SessionError::Store { .. }), "{refused:?}");
    let (source, _) = world.begin(&here, Some(&taken), 5).await.unwrap();
    assert_eq!(source, restored(5, 1));
}

#[tokio::test]
async fn a_mark_of_damage_and_what_it_is_about_go_with_the_next_recorded_snapshot() {
    let world = World::new();
    let taken = three_snapshots(&world).await;
    fs::write(world.object(&taken[2].manifest), "").unwrap();
    let there = world.profile("b");
    world.begin(&there, Some(&taken[2]), 6).await.unwrap();
    let mut taker = world.taker(&there, 6).await;
    taker.take_stopped(true, None).await.unwrap();
    taker.recorded(&[]).await.unwrap();
    let left = world.objects("manifests");
    let names: Vec<_> = left.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("5-3")), "{names:?}");
}

#[tokio::test]
async fn a_prune_keeps_what_it_cannot_open_for_want_of_a_key() {
    let world = World::new();
    let before = three_snapshots(&world).await;
    let objects = world.dir.path().join("objects");
    let other = SnapshotKeys::from_hex(&"08".repeat(32)).unwrap();
    let snapshots = SnapshotStore::open(objects.to_str().unwrap(), other).unwrap();
    let rotated = World { snapshots, ..world };
    let there = rotated.used("b", 6, &[(LOG, "linked anew")]).await;
    let mut taker = rotated.taker(&there, 6).await;
    taker.take_stopped(true, None).await.unwrap();
    taker.recorded(&[]).await.unwrap();
    for snapshot in &before {
        assert!(rotated.object(&snapshot.manifest).exists(), "{}", snapshot.manifest);
    }
    let both = SnapshotKeys::from_hex(&["08".repeat(32), "07".repeat(32)].join("\n")).unwrap();
    let snapshots = SnapshotStore::open(objects.to_str().unwrap(), both).unwrap();
    let prepared = rotated.profile("c").prepare(&snapshots, before.last(), Generation(7)).await.unwrap();
    assert_eq!(prepared.source, restored(5, 3));
}
