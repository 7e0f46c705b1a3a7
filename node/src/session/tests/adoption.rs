//! The directory of a spare browser becomes a tenant's profile.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use roost_engine::LocalStorage;
use roost_model::ids::Generation;

use super::{LOG, World, files_below, read, write};
use crate::session::{FetchedFiles, LockedProfile, SessionSource, SnapshotRef, SpareDirs, adoption::STEPS};

/// What a browser has in its directory that has opened nothing.
fn spare_browser(dirs: &SpareDirs) -> crate::session::SpareDir {
    let spare = dirs.make().unwrap();
    fs::write(spare.browser_dir().join("Local State"), "the spare's").unwrap();
    spare
}

/// A snapshot of generation 4, taken on another node.
async fn saved_elsewhere(world: &World) -> SnapshotRef {
    let there = world.used("b", 4, &[(LOG, "moved here")]).await;
    let values = LocalStorage { origin: "null".to_owned(), items: BTreeMap::new() };
    world.taker(&there, 4).await.take_stopped(true, Some(values)).await.unwrap()
}

#[tokio::test]
async fn the_spares_directory_becomes_the_profile_and_is_found_where_the_browser_was_started() {
    let world = World::new();
    let saved = saved_elsewhere(&world).await;
    let dirs = world.profiles("a").spare_dirs().unwrap();
    let spare = spare_browser(&dirs);
    let started_at = spare.browser_dir();
    let here = world.profile("a");
    let mut fetched = FetchedFiles::default();
    assert!(here.is_fit_for_spare(Some(&saved)));
    here.prefetch(&world.snapshots, &saved, &mut fetched).await.unwrap();
    assert_eq!(files_below(&started_at).len(), 1, "nothing of the session is there before its time");
    here.adopt(spare).unwrap();
    let installed =
        here.install_session(&world.snapshots, Some(&saved), Generation(5), &mut fetched).await.unwrap();
    let from = SessionSource::Restored { generation: Generation(4), sequence: saved.sequence };
    assert_eq!(installed.unwrap().source, from);
    assert_eq!(
        (read(&here, "Local State").as_str(), read(&here, LOG).as_str()),
        ("the spare's", "moved here")
    );
    assert_eq!(fs::read_to_string(started_at.join(LOG)).unwrap(), "moved here");
    assert!(!here.browser_dir().is_symlink());
    assert!(!here.is_fit_for_spare(Some(&saved)), "what is newest is here by now");
    drop(here);
    assert!(!started_at.parent().unwrap().exists(), "the link goes with whoever holds the profile");
    assert_eq!(read(&world.profile("a"), LOG), "moved here");
}

/// The node is killed after each step.
#[tokio::test]
async fn whoever_dies_while_a_spare_is_adopted_leaves_the_profile_as_it_was() {
    for done in 0..=STEPS.len() {
        for had_one in [false, true] {
            let world = World::new();
            if had_one {
                drop(world.used("a", 3, &[(LOG, "before")]).await);
            }
            let dirs = world.profiles("a").spare_dirs().unwrap();
            let spare = spare_browser(&dirs);
            let here = world.profile("a");
            for step in &STEPS[..done] {
                step(&here, &spare.browser_dir()).unwrap();
            }
            // A process that is killed lets its locks go and removes nothing, so the spare stays until this is over.
            drop((here, dirs));

            let here = world.profile("a");
            let is_there = here.stamp().map(|stamp| (stamp.generation, read(&here, LOG)));
            let before = (Generation(3), "before".to_owned());
            assert_eq!(is_there, had_one.then_some(before), "after {done} steps");
            assert_eq!(here.browser_dir().exists(), had_one, "after {done} steps");
            for left in ["aside", "incoming"] {
                assert!(!world.root(&here).join(left).exists(), "{left} after {done} steps");
            }
            let _dirs = world.profiles("a").spare_dirs().unwrap();
            let left = files_below(&world.dir.path().join("a/.spares"));
            assert_eq!(left.len(), 1, "the lock alone: {left:?}");
            drop(spare);
        }
    }
}

/// While there is a browser in the place, it is stamped as nobody's, and what was there is beside it.
#[test]
fn the_profile_is_stamped_before_the_browser_comes() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = World::new();
    drop(runtime.block_on(world.used("a", 3, &[(LOG, "before")])));
    let dirs = world.profiles("a").spare_dirs().unwrap();
    let spare = spare_browser(&dirs);
    let here = world.profile("a");
    for step in STEPS {
        step(&here, &spare.browser_dir()).unwrap();
        if here.browser_dir().join("Local State").exists() {
            assert_eq!(here.stamp().map(|stamp| stamp.generation), Some(Generation(0)));
            assert_eq!(here.stamp_aside().map(|stamp| stamp.generation), Some(Generation(3)));
        }
    }
}

#[tokio::test]
async fn a_spare_that_cannot_be_adopted_leaves_the_profile_as_it_was_and_is_of_one_process() {
    let world = World::new();
    let profiles = world.profiles("a");
    let dirs = profiles.spare_dirs().unwrap();
    assert!(profiles.spare_dirs().is_err(), "another process has them");
    let here = world.used("a", 3, &[(LOG, "before")]).await;
    let spare = spare_browser(&dirs);
    fs::remove_dir_all(spare.browser_dir()).unwrap();
    assert!(here.adopt(spare).is_err());
    here.discard_unused().unwrap();
    assert_eq!((here.stamp().unwrap().generation, read(&here, LOG).as_str()), (Generation(3), "before"));
    assert!(!here.is_fit_for_spare(None), "a session that only this profile has");
    write(&here, LOG, "goes on");
}

impl World {
    fn root(&self, profile: &Arc<LockedProfile>) -> std::path::PathBuf {
        profile.browser_dir().ancestors().nth(2).map(Path::to_owned).unwrap()
    }
}
