//! A session's way from one profile through the store into another, with files in the place of a browser.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use roost_engine::{BrowserSetup, Engine, Launch, Page, Versions, null::NullEngine};
use roost_model::ids::{Generation, TenantId};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    LockedProfile, Profiles, SessionError, SnapshotKeys, SnapshotRef, SnapshotStore, SnapshotTaker, leveldb,
};
use roost_engine::run_as::RunAs;

mod adoption;
mod building;
mod damage;
mod dice;
mod faulty_store;
mod going_back;
mod histories;
mod importing;
mod memory;
mod modes;
mod newest;
mod orphans;
mod restoring;
mod s3;
mod saving;
mod session_numbers;
mod standby;
mod store_calls;
mod store_marker;
mod store_proof;

const LOG: &str = "Default/IndexedDB/s.indexeddb.leveldb/000003.log";
const TABLE: &str = "Default/IndexedDB/s.indexeddb.leveldb/000002.ldb";

/// One tenant, one store, and as many nodes as a test names.
struct World {
    dir: TempDir,
    tenant: TenantId,
    uid: Uuid,
    snapshots: SnapshotStore,
}

impl World {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    fn in_dir(dir: TempDir) -> Self {
        let key = SnapshotKeys::from_hex(&"07".repeat(32)).unwrap();
        let snapshots = SnapshotStore::open(dir.path().join("objects").to_str().unwrap(), key).unwrap();
        Self { dir, tenant: TenantId::new("t").unwrap(), uid: Uuid::now_v7(), snapshots }
    }

    fn profile(&self, node: &str) -> Arc<LockedProfile> {
        Arc::new(self.profiles(node).of(&self.tenant, self.uid).lock().unwrap())
    }

    /// What has failed on it may go on for a moment in a thread of its own, and holds it as long.
    async fn profile_let_go(&self, node: &str) -> Arc<LockedProfile> {
        const WITHIN: Duration = Duration::from_secs(30);
        let free = async {
            loop {
                match self.profiles(node).of(&self.tenant, self.uid).lock() {
                    Err(SessionError::InUse { .. }) => sleep(Duration::from_millis(10)).await,
                    locked => break Arc::new(locked.unwrap()),
                }
            }
        };
        timeout(WITHIN, free).await.expect("it is let go")
    }

    /// Of a node whose browsers run as itself.
    fn profiles(&self, node: &str) -> Profiles {
        Profiles::open(&self.dir.path().join(node), RunAs::Caller).unwrap()
    }

    async fn page(&self, profile: &LockedProfile) -> Arc<dyn Page> {
        let launch = Launch {
            tenant: self.tenant.clone(),
            profile: profile.browser_dir(),
            setup: BrowserSetup::default(),
            local_storage: None,
            versions: Versions::default(),
            cancel: CancellationToken::new(),
        };
        NullEngine::default().launch(launch).await.unwrap().page
    }

    async fn taker(&self, profile: &Arc<LockedProfile>, generation: i64) -> SnapshotTaker {
        SnapshotTaker::new(self.snapshots.clone(), profile.clone(), Generation(generation)).await.unwrap()
    }

    /// A profile in use by a generation, with these files.
    async fn used(&self, node: &str, generation: i64, files: &[(&str, &str)]) -> Arc<LockedProfile> {
        let profile = self.profile(node);
        profile.prepare(&self.snapshots, None, Generation(generation)).await.unwrap();
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
    let dir = path.parent().unwrap();
    fs::create_dir_all(dir).unwrap();
    fs::write(&path, content).unwrap();
    if dir.ends_with("s.indexeddb.leveldb") && !dir.join("CURRENT").exists() {
        fs::write(dir.join("CURRENT"), "MANIFEST-000001\n").unwrap();
        fs::write(dir.join("MANIFEST-000001"), leveldb::tests::manifest(&[], 0)).unwrap();
    }
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

/// Snapshots 1 to 3 of the generation 5, of what lies in node `a`.
async fn three_snapshots(world: &World) -> Vec<SnapshotRef> {
    let here = world.used("a", 5, &[]).await;
    let mut taker = world.taker(&here, 5).await;
    let mut taken = Vec::new();
    for number in 1..=3 {
        write(&here, LOG, &format!("state {number}"));
        taken.push(as_saved(taker.take_stopped(true, None).await.unwrap()));
    }
    taken
}

/// After those three the session is forgotten, nothing of it removed, and another one saved, which it answers with.
async fn forgotten_and_saved_anew(world: &World, clean: bool) -> (SnapshotTaker, SnapshotRef) {
    three_snapshots(world).await;
    let here = world.profile("a");
    let mut taker = world.taker(&here, 5).await;
    taker.forget().await.unwrap();
    write(&here, LOG, "the next session");
    let next = taker.take_stopped(clean, None).await.unwrap();
    (taker, next)
}

/// A manifest knows the time to the millisecond.
fn as_saved(taken: SnapshotRef) -> SnapshotRef {
    let taken_at = taken.taken_at.replace_millisecond(taken.taken_at.millisecond()).unwrap();
    SnapshotRef { taken_at, ..taken }
}
