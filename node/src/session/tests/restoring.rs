//! What of a session comes into a profile, and what is refused or kept.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use roost_engine::LocalStorage;
use roost_engine::run_as::{RunAs, UserIds};
use roost_model::ids::Generation;
use uuid::Uuid;

use super::{LOG, TABLE, World, read, write};
use crate::session::{
    FetchedFiles, ProfileStamp, Profiles, SessionError, SessionSource, SnapshotKeys, SnapshotStore,
};

#[tokio::test]
async fn a_session_goes_through_the_store_into_another_profile_whole() {
    let world = World::new();
    let here = world.used("a", 1, &[(TABLE, "table"), (LOG, "log")]).await;
    let page = world.page(&here).await;
    let mut taker = world.taker(&here, 1).await;
    let first = taker.take_running(&page).await.unwrap().unwrap();
    assert!(taker.take_running(&page).await.unwrap().is_none(), "nothing has changed");
    write(&here, LOG, "log and more");
    let second = taker.take_running(&page).await.unwrap().unwrap();
    assert_eq!((first.sequence, second.sequence, second.clean), (1, 2, false));

    let there = world.profile("b");
    let prepared = there.prepare(&world.snapshots, Some(&second), Generation(2)).await.unwrap();
    assert_eq!(prepared.source, SessionSource::Restored { generation: Generation(1), sequence: 2 });
    assert_eq!((read(&there, TABLE).as_str(), read(&there, LOG).as_str()), ("table", "log and more"));
    assert_eq!(prepared.local_storage.unwrap().origin, "null", "what was read from the page comes with it");
}

#[tokio::test]
async fn a_torn_or_missing_object_is_refused_and_leaves_the_profile_as_it_was() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "the newer session")]).await;
    let taken = world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    let there = world.used("b", 4, &[(LOG, "the older session")]).await;
    let blob = world.objects("blobs").into_iter().next_back().unwrap();
    let whole = fs::read(&blob).unwrap();

    fs::write(&blob, &whole[..whole.len() / 2]).unwrap();
    let torn = there.prepare(&world.snapshots, Some(&taken), Generation(6)).await;
    assert!(matches!(torn, Err(SessionError::Sealed { .. })), "{torn:?}");
    fs::remove_file(&blob).unwrap();
    let missing = there.prepare(&world.snapshots, Some(&taken), Generation(6)).await;
    assert!(matches!(missing, Err(SessionError::Missing { .. })), "{missing:?}");
    assert_eq!(read(&there, LOG), "the older session");
    assert_eq!(there.stamp().unwrap().generation, Generation(4));

    fs::write(&blob, whole).unwrap();
    there.prepare(&world.snapshots, Some(&taken), Generation(6)).await.unwrap();
    assert_eq!(read(&there, LOG), "the newer session");
}

#[tokio::test]
async fn another_key_opens_nothing() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let other = SnapshotKeys::from_hex(&"08".repeat(32)).unwrap();
    let snapshots = SnapshotStore::open(world.dir.path().join("objects").to_str().unwrap(), other).unwrap();
    let refused = world.profile("b").prepare(&snapshots, Some(&taken), Generation(2)).await;
    assert!(matches!(refused, Err(SessionError::UnknownKey { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_newer_local_profile_is_kept() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "saved")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    write(&here, LOG, "gone on since");
    let prepared = here.prepare(&world.snapshots, Some(&taken), Generation(2)).await.unwrap();
    assert_eq!(prepared.source, SessionSource::Local);
    assert_eq!(read(&here, LOG), "gone on since");
}

#[tokio::test]
async fn a_killed_browser_gets_its_local_storage_back_and_a_closed_one_needs_none() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let page = world.page(&here).await;
    let mut taker = world.taker(&here, 1).await;
    taker.take_running(&page).await.unwrap().unwrap();
    let killed = here.prepare(&world.snapshots, None, Generation(1)).await.unwrap();
    assert!(killed.local_storage.is_some());
    taker.take_stopped(true, None).await.unwrap();
    let closed = here.prepare(&world.snapshots, None, Generation(1)).await.unwrap();
    assert!(closed.local_storage.is_none());
    let killed_at_once = here.prepare(&world.snapshots, None, Generation(1)).await.unwrap();
    assert!(killed_at_once.local_storage.is_none(), "what the closed one has written is newer than the copy");
}

#[tokio::test]
async fn what_was_read_before_a_browser_closed_is_not_put_over_its_files_elsewhere_either() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let read_before = LocalStorage { origin: "null".to_owned(), items: BTreeMap::new() };
    let taken = world.taker(&here, 1).await.take_stopped(true, Some(read_before)).await.unwrap();
    let there = world.profile("b");
    there.prepare(&world.snapshots, Some(&taken), Generation(2)).await.unwrap();
    let killed_at_once = there.prepare(&world.snapshots, Some(&taken), Generation(2)).await.unwrap();
    assert_eq!((killed_at_once.source, killed_at_once.local_storage), (SessionSource::Local, None));
}

/// Closed to be started anew, with nobody who would save it.
#[tokio::test]
async fn a_browser_that_closed_in_order_keeps_what_it_has_written_also_if_it_was_not_saved() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let page = world.page(&here).await;
    world.taker(&here, 1).await.take_running(&page).await.unwrap().unwrap();
    here.closed_in_order().unwrap();
    let again = here.prepare(&world.snapshots, None, Generation(1)).await.unwrap();
    assert_eq!((again.source, again.local_storage), (SessionSource::Local, None));
}

/// The last that was read of it is newer than what it had written.
#[tokio::test]
async fn of_a_browser_that_crashed_while_it_closed_what_was_read_before_is_the_local_storage() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let page = world.page(&here).await;
    let mut taker = world.taker(&here, 1).await;
    taker.take_running(&page).await.unwrap().unwrap();
    let last = LocalStorage { origin: "null".to_owned(), items: [("k".into(), "last".into())].into() };
    let taken = taker.take_stopped(false, Some(last.clone())).await.unwrap();
    assert!(!taken.clean && !here.stamp().unwrap().clean);
    let elsewhere = world.profile("b").prepare(&world.snapshots, Some(&taken), Generation(2)).await.unwrap();
    assert_eq!(elsewhere.local_storage.as_ref(), Some(&last));
    let again = here.prepare(&world.snapshots, Some(&taken), Generation(1)).await.unwrap();
    assert_eq!((again.source, again.local_storage), (SessionSource::Local, Some(last)));
}

#[tokio::test]
async fn a_profile_is_used_by_one_at_a_time_and_another_tenants_is_not_taken_over() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let profile = world.profiles("a").of(&world.tenant, world.uid);
    assert!(
        matches!(profile.lock(), Err(SessionError::InUse { holder: Some(pid), .. }) if pid == std::process::id())
    );
    assert_eq!(world.profiles("a").list().unwrap()[0].0, world.uid);
    drop(here);
    let locked = profile.lock().unwrap();
    let stamp = ProfileStamp { uid: Uuid::nil(), ..locked.unused_stamp(Generation(9)) };
    locked.write_stamp(&stamp).unwrap();
    assert_eq!(locked.stamp(), None);
}

/// It is found by the sweep if its tenant is removed.
#[tokio::test]
async fn a_profile_that_a_crash_has_left_between_two_renames_is_listed() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let current = here.current();
    for place in ["discarded", "incoming"] {
        fs::rename(&current, current.with_file_name(place)).unwrap();
        assert_eq!(world.profiles("a").list().unwrap().len(), 1, "{place}");
        fs::rename(current.with_file_name(place), &current).unwrap();
    }
}

#[tokio::test]
async fn a_singleton_link_is_removed_when_its_process_is_not_a_browser_of_this_profile() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let link = here.browser_dir().join("SingletonLock");
    std::os::unix::fs::symlink(format!("host-{}", std::process::id()), &link).unwrap();
    here.prepare(&world.snapshots, None, Generation(1)).await.unwrap();
    assert!(fs::symlink_metadata(&link).is_err());
}

/// Killed with its node, which else removes that as each browser ends.
#[tokio::test]
async fn what_a_browser_has_left_beside_its_profile_goes_with_its_lock_with_its_session_and_with_its_profile()
{
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let left = || {
        let dir = tempfile::Builder::new().prefix("org.chromium.Chromium.").tempdir().unwrap().keep();
        fs::write(dir.join("SingletonSocket"), "").unwrap();
        let browser = here.browser_dir();
        std::os::unix::fs::symlink(dir.join("SingletonSocket"), browser.join("SingletonSocket")).unwrap();
        std::os::unix::fs::symlink("host-999999999", browser.join("SingletonLock")).unwrap();
        dir
    };
    let started_anew = left();
    here.prepare(&world.snapshots, None, Generation(1)).await.unwrap();
    assert!(!started_anew.exists());
    let wiped = left();
    here.wipe().await.unwrap();
    assert!(!wiped.exists());
    here.prepare(&world.snapshots, None, Generation(1)).await.unwrap();
    let removed = left();
    here.remove().await.unwrap();
    assert!(!removed.exists());
}

/// The user that root's browsers run as; `None` for an ordinary user, whose browsers run as himself.
fn browsers_user() -> (RunAs, Option<UserIds>) {
    let run_as = RunAs::for_browsers("nobody").unwrap();
    (run_as, run_as.owner())
}

#[tokio::test]
async fn a_browser_owns_its_own_directory_and_nothing_else() {
    let world = World::new();
    fs::set_permissions(world.dir.path(), Permissions::from_mode(0o711)).unwrap();
    let (run_as, owner) = browsers_user();
    let (me, my_group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let owner = owner.unwrap_or(UserIds { uid: me, gid: my_group });
    let owner_of = |path: &Path| {
        let meta = fs::symlink_metadata(path).unwrap();
        (meta.uid(), meta.permissions().mode() & 0o7777)
    };

    let here = world.used("a", 1, &[(TABLE, "table"), (LOG, "log")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let profiles = Profiles::open(&world.dir.path().join("b"), run_as).unwrap();
    let there = profiles.of(&world.tenant, world.uid).lock().unwrap();
    for restored in [Some(&taken), None] {
        there.prepare(&world.snapshots, restored, Generation(2)).await.unwrap();
        let browser_dir = there.browser_dir();
        assert_eq!(owner_of(&browser_dir), (owner.uid, 0o700));
        for file in super::files_below(&browser_dir) {
            assert_eq!(owner_of(&file).0, owner.uid, "{}", file.display());
        }
        assert_eq!(read(&there, LOG), "log");
        for dir in browser_dir.ancestors().skip(1).take(3) {
            let for_passing = if owner.uid == me { 0o700 } else { 0o710 };
            assert_eq!(owner_of(dir), (me, for_passing), "{}", dir.display());
        }
        assert_eq!(owner_of(&browser_dir.with_file_name("stamp.json")).0, me);
    }
}

#[tokio::test]
async fn what_a_running_browser_links_to_is_not_written_to() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let values = LocalStorage { origin: "null".to_owned(), items: BTreeMap::new() };
    let taken = world.taker(&here, 1).await.take_stopped(true, Some(values)).await.unwrap();
    let there = world.profile("b");
    let dir = there.make_standby_dir().unwrap();
    let elsewhere = world.dir.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("IndexedDB")).unwrap();
    fs::write(elsewhere.join("IndexedDB/precious"), "the node's").unwrap();
    std::os::unix::fs::symlink(&elsewhere, dir.join("Default")).unwrap();
    let installed = there
        .install_session(&world.snapshots, Some(&taken), Generation(2), &mut FetchedFiles::default())
        .await;
    assert!(matches!(installed, Err(SessionError::Disk { .. })), "{installed:?}");
    assert_eq!(fs::read_to_string(elsewhere.join("IndexedDB/precious")).unwrap(), "the node's");
}

#[test]
fn a_path_that_browsers_cannot_pass_is_refused_by_name() {
    let (RunAs::User(_), _) = browsers_user() else { return };
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let refused = Profiles::open(&closed.join("profiles"), browsers_user().0).unwrap_err().to_string();
    assert!(refused.contains(&format!("nobody may not pass through {}", closed.display())), "{refused}");
}
