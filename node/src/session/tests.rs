//! A session's way from one profile through the vault into another, with files in the place of a browser.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roost_cluster::ids::{Generation, TenantId};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::engine::null::NullEngine;
use crate::engine::{Engine, Launch, LocalStorage, Page};

const LOG: &str = "Default/IndexedDB/s.indexeddb.leveldb/000003.log";
const TABLE: &str = "Default/IndexedDB/s.indexeddb.leveldb/000002.ldb";

/// One tenant, one vault, and as many nodes as a test names.
struct World {
    dir: TempDir,
    tenant: TenantId,
    uid: Uuid,
    vault: Vault,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SnapshotKey::from_hex(&"07".repeat(32)).unwrap();
        let vault = Vault::open(dir.path().join("objects").to_str().unwrap(), key).unwrap();
        Self { dir, tenant: TenantId::new("t").unwrap(), uid: Uuid::now_v7(), vault }
    }

    fn profile(&self, node: &str) -> Arc<LockedProfile> {
        Arc::new(Profile::new(&self.dir.path().join(node), &self.tenant, self.uid).lock().unwrap())
    }

    async fn page(&self, profile: &LockedProfile) -> Arc<dyn Page> {
        let launch =
            Launch { tenant: self.tenant.clone(), profile: profile.browser_dir(), local_storage: None };
        NullEngine::default().launch(launch).await.unwrap().page
    }

    async fn taker(&self, profile: &Arc<LockedProfile>, generation: i64) -> SnapshotTaker {
        SnapshotTaker::new(self.vault.clone(), profile.clone(), Generation(generation)).await.unwrap()
    }

    /// A profile in use by a generation, with these files.
    async fn used(&self, node: &str, generation: i64, files: &[(&str, &str)]) -> Arc<LockedProfile> {
        let profile = self.profile(node);
        profile.prepare(&self.vault, None, Generation(generation)).await.unwrap();
        for (path, content) in files {
            write(&profile, path, content);
        }
        profile
    }

    fn objects(&self, below: &str) -> Vec<PathBuf> {
        files_below(&self.dir.path().join("objects").join(self.uid.to_string()).join(below))
    }
}

fn write(profile: &LockedProfile, path: &str, content: &str) {
    let path = profile.browser_dir().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn read(profile: &LockedProfile, path: &str) -> String {
    fs::read_to_string(profile.browser_dir().join(path)).unwrap()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for path in listing.map(|entry| entry.unwrap().path()) {
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_session_goes_through_the_vault_into_another_profile_whole() {
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
    let prepared = there.prepare(&world.vault, Some(&second), Generation(2)).await.unwrap();
    assert_eq!(prepared.source, Source::Restored { generation: Generation(1), sequence: 2 });
    assert_eq!((read(&there, TABLE).as_str(), read(&there, LOG).as_str()), ("table", "log and more"));
    assert_eq!(prepared.local_storage.unwrap().origin, "null", "what was read from the page comes with it");
}

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
    let mut fetched = Fetched::default();
    there.make_room().unwrap();
    let ahead = there.fetch_ahead(&world.vault, &first, &mut fetched).await.unwrap();
    assert_eq!(ahead, 2);
    assert!(!there.browser_dir().join(LOG).exists(), "nothing is in place before its time");

    write(&here, LOG, "log and more");
    let last = taker.take_stopped(true, Some(local_storage("last"))).await.unwrap();
    let again = there.fetch_ahead(&world.vault, &last, &mut fetched).await.unwrap();
    assert_eq!(again, 1);
    let furnished =
        there.furnish(&world.vault, Some(&last), Generation(2), &mut fetched).await.unwrap().unwrap();
    assert_eq!(furnished.source, Source::Restored { generation: Generation(1), sequence: 2 });
    assert_eq!(furnished.local_storage, Some(local_storage("last")));
    assert_eq!((read(&there, TABLE).as_str(), read(&there, LOG).as_str()), ("table", "log and more"));
    assert_eq!(there.stamp().unwrap().generation, Generation(2));

    // One that starts cold takes the localStorage of a closed browser from its files.
    let cold = world.profile("c").prepare(&world.vault, Some(&last), Generation(2)).await.unwrap();
    assert_eq!(cold.local_storage, None);
}

#[tokio::test]
async fn what_was_set_aside_comes_back_when_nothing_comes_of_a_warm_browser_and_after_a_crash() {
    let world = World::new();
    let here = world.used("a", 5, &[(LOG, "the newest session")]).await;
    let older = world.used("b", 4, &[(LOG, "older")]).await;
    let older = world.taker(&older, 4).await.take_stopped(true, Some(local_storage("older"))).await.unwrap();
    let mut fetched = Fetched::default();
    here.make_room().unwrap();
    here.fetch_ahead(&world.vault, &older, &mut fetched).await.unwrap();
    let furnished = here.furnish(&world.vault, Some(&older), Generation(6), &mut fetched).await.unwrap();
    assert!(furnished.is_none(), "the profile that was here is newer than every snapshot");
    here.cool_down().unwrap();
    assert_eq!(read(&here, LOG), "the newest session");

    here.make_room().unwrap();
    drop(here);
    let here = world.profile("a");
    assert_eq!(read(&here, LOG), "the newest session");
    assert_eq!(here.stamp().unwrap().generation, Generation(5));
    assert_eq!(files_below(&world.dir.path().join("a")).len(), 3, "lock, stamp and log, and nothing else");
}

#[tokio::test]
async fn a_snapshot_without_local_storage_is_nothing_for_a_warm_browser() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let there = world.profile("b");
    there.make_room().unwrap();
    let mut fetched = Fetched::default();
    let furnished = there.furnish(&world.vault, Some(&taken), Generation(2), &mut fetched).await.unwrap();
    assert!(furnished.is_none());
    there.cool_down().unwrap();
    there.prepare(&world.vault, Some(&taken), Generation(2)).await.unwrap();
    assert_eq!(read(&there, LOG), "log");
}

#[tokio::test]
async fn of_a_log_that_grew_only_the_tail_is_stored() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, &"x".repeat(50_000))]).await;
    let mut taker = world.taker(&here, 1).await;
    taker.take_stopped(true, None).await.unwrap();
    let before = world.objects("blobs").len();
    write(&here, LOG, &format!("{}tail", "x".repeat(50_000)));
    let taken = taker.take_stopped(true, None).await.unwrap();
    assert_eq!(world.objects("blobs").len(), before + 1);
    let there = world.profile("b");
    there.prepare(&world.vault, Some(&taken), Generation(2)).await.unwrap();
    assert!(read(&there, LOG).ends_with("xtail"));
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
    let torn = there.prepare(&world.vault, Some(&taken), Generation(6)).await;
    assert!(matches!(torn, Err(SessionError::Sealed { .. })), "{torn:?}");
    fs::remove_file(&blob).unwrap();
    let missing = there.prepare(&world.vault, Some(&taken), Generation(6)).await;
    assert!(matches!(missing, Err(SessionError::Missing { .. })), "{missing:?}");
    assert_eq!(read(&there, LOG), "the older session");
    assert_eq!(there.stamp().unwrap().generation, Generation(4));

    fs::write(&blob, whole).unwrap();
    there.prepare(&world.vault, Some(&taken), Generation(6)).await.unwrap();
    assert_eq!(read(&there, LOG), "the newer session");
}

#[tokio::test]
async fn another_key_opens_nothing() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let other = SnapshotKey::from_hex(&"08".repeat(32)).unwrap();
    let vault = Vault::open(world.dir.path().join("objects").to_str().unwrap(), other).unwrap();
    let refused = world.profile("b").prepare(&vault, Some(&taken), Generation(2)).await;
    assert!(matches!(refused, Err(SessionError::Sealed { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_newer_local_profile_is_kept() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "saved")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    write(&here, LOG, "gone on since");
    let prepared = here.prepare(&world.vault, Some(&taken), Generation(2)).await.unwrap();
    assert_eq!(prepared.source, Source::Local);
    assert_eq!(read(&here, LOG), "gone on since");
}

#[tokio::test]
async fn a_killed_browser_gets_its_local_storage_back_and_a_closed_one_needs_none() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let page = world.page(&here).await;
    let mut taker = world.taker(&here, 1).await;
    taker.take_running(&page).await.unwrap().unwrap();
    let killed = here.prepare(&world.vault, None, Generation(1)).await.unwrap();
    assert!(killed.local_storage.is_some());
    taker.take_stopped(true, None).await.unwrap();
    let closed = here.prepare(&world.vault, None, Generation(1)).await.unwrap();
    assert!(closed.local_storage.is_none());
}

#[tokio::test]
async fn the_last_three_and_the_last_clean_one_are_kept_with_their_blobs_and_nothing_else() {
    let world = World::new();
    let here = world.used("a", 1, &[]).await;
    let mut taker = world.taker(&here, 1).await;
    let mut taken = Vec::new();
    for (number, clean) in [(1, true), (2, true), (3, false), (4, false), (5, false), (6, false)] {
        write(&here, LOG, &format!("state {number}"));
        taken.push(taker.take_stopped(clean, None).await.unwrap());
        taker.recorded().await.unwrap();
    }
    let kept: Vec<_> =
        world.vault.manifests(world.uid).await.unwrap().iter().map(|name| name.sequence).collect();
    assert_eq!(kept, [2, 4, 5, 6]);
    assert_eq!(world.objects("blobs").len(), 4, "one log for each");
    for (node, index) in [("b", 1), ("c", 5)] {
        let there = world.profile(node);
        there.prepare(&world.vault, Some(&taken[index]), Generation(2)).await.unwrap();
        assert_eq!(read(&there, LOG), format!("state {}", index + 1));
    }
}

#[tokio::test]
async fn a_deposed_owner_saves_nothing_and_removes_nothing_of_its_successor() {
    let world = World::new();
    let old = world.used("a", 1, &[(LOG, "old")]).await;
    let mut deposed = world.taker(&old, 1).await;
    deposed.take_stopped(true, None).await.unwrap();
    let new = world.used("b", 2, &[(LOG, "new")]).await;
    let taken = world.taker(&new, 2).await.take_stopped(true, None).await.unwrap();

    write(&old, LOG, "old and deposed");
    let refused = deposed.take_stopped(true, None).await;
    assert!(matches!(refused, Err(SessionError::Superseded { newest: Generation(2), .. })), "{refused:?}");
    deposed.recorded().await.unwrap();
    world.profile("c").prepare(&world.vault, Some(&taken), Generation(3)).await.unwrap();
}

#[tokio::test]
async fn sequences_go_on_after_a_restart_of_the_owner() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let again = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    assert_eq!(again.sequence, 2);
}

#[tokio::test]
async fn a_removed_tenant_leaves_nothing_in_the_vault() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    assert_eq!(world.vault.tenants().await.unwrap(), [world.uid]);
    world.vault.delete_tenant(world.uid).await.unwrap();
    assert!(world.objects("").is_empty());
}

#[tokio::test]
async fn a_profile_is_used_by_one_at_a_time_and_another_tenants_is_not_taken_over() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let profile = Profile::new(&world.dir.path().join("a"), &world.tenant, world.uid);
    assert!(
        matches!(profile.lock(), Err(SessionError::InUse { holder: Some(pid), .. }) if pid == std::process::id())
    );
    assert_eq!(Profile::list(&world.dir.path().join("a")).unwrap()[0].0, world.uid);
    drop(here);
    let stamp = Stamp { uid: Uuid::nil(), generation: Generation(9), sequence: 0, clean: true };
    let locked = profile.lock().unwrap();
    locked.write_stamp(&stamp).unwrap();
    assert_eq!(locked.stamp(), None);
}

#[tokio::test]
async fn a_singleton_link_is_removed_when_its_process_is_not_a_browser_of_this_profile() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let link = here.browser_dir().join("SingletonLock");
    std::os::unix::fs::symlink(format!("host-{}", std::process::id()), &link).unwrap();
    here.prepare(&world.vault, None, Generation(1)).await.unwrap();
    assert!(fs::symlink_metadata(&link).is_err());
}
