//! Sessions in a bucket of a real server, SeaweedFS, over a network that a test spoils request by request.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use object_store::ObjectStore;
use parking_lot::Mutex;
use roost_devcluster::{HttpRelay, S3Keys, SeaweedFs};
use roost_model::ids::{Generation, NodeId};
use tempfile::TempDir;

use super::{LOG, World, histories, memory, read, write};
use crate::session::{
    SnapshotStore,
    objects::Objects,
    s3::{S3Args, S3Location},
};

mod faults;
mod refusals;
mod upload;

const BUCKET: &str = "sessions";
/// Of a call. Longer than any takes that nothing is wrong with, on a machine that does other things too.
const CALL_WITHIN: Duration = Duration::from_secs(3);
/// How long a call that is held up in a history is waited for, in real time.
const HELD_UP: Duration = Duration::from_secs(2);
/// Histories over a bucket, each of some seconds; ROOST_S3_HISTORIES of them in `make soak`.
const HISTORIES: u64 = 2;

/// A server with one bucket. Dropping it leaves nothing.
struct Server {
    // The process is gone before its directory.
    weed: SeaweedFs,
    _dir: TempDir,
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let weed = SeaweedFs::start(dir.path()).await.unwrap();
        weed.make_bucket(BUCKET).await.unwrap();
        Self { weed, _dir: dir }
    }

    /// A prefix of its own for each, so that nobody lists what is another's.
    fn location(&self, endpoint: &str, prefix: &str) -> S3Location {
        location(&format!("s3://{BUCKET}/{prefix}"), endpoint, self.weed.keys())
    }

    fn store(&self, endpoint: &str, prefix: &str) -> Arc<dyn ObjectStore> {
        self.location(endpoint, prefix).connect(CALL_WITHIN).unwrap()
    }

    /// A tenant whose node reaches the server by a relay. The store has proven itself.
    async fn world(&self, prefix: &str, piece_bytes: usize) -> (World, HttpRelay) {
        let relay = HttpRelay::to(self.weed.port()).await.unwrap();
        let store = self.store(&relay.endpoint(), prefix);
        let objects = Objects::in_store(store, CALL_WITHIN).that_must_prove_itself();
        let snapshots = SnapshotStore::of(objects).in_pieces(piece_bytes);
        snapshots.prove(&NodeId::new("n1").unwrap()).await.unwrap();
        relay.take();
        (World { snapshots, ..World::new() }, relay)
    }
}

fn location(at: &str, endpoint: &str, keys: &S3Keys) -> S3Location {
    let args = S3Args { object_store_endpoint: Some(endpoint.to_owned()), ..S3Args::default() };
    let variable = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some(keys.id.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(keys.secret.clone()),
        _ => None,
    };
    S3Location::check(at, &args, variable).unwrap()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What an operator pays for, as docs/object-store.md has it.
#[tokio::test]
async fn a_save_a_restore_and_a_proof_cost_few_requests_and_an_idle_tenant_none() {
    let server = Server::start().await;
    let (world, relay) = server.world("cost", 4 << 20).await;
    let mut costs = Vec::new();
    let mut cost = |what: &'static str| {
        let requests = relay.take();
        let count = |methods: &[&str]| {
            requests.iter().filter(|request| methods.contains(&request.method.as_str())).count()
        };
        costs.push((what, [count(&["GET"]), count(&["PUT"]), count(&["DELETE"])], requests.len()));
    };
    let node = NodeId::new("n1").unwrap();
    world.snapshots.prove(&node).await.unwrap();
    cost("a look of the node's");

    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let page = world.page(&here).await;
    let mut taker = world.taker(&here, 1).await;
    cost("a worker begins");
    let mut newest = None;
    for save in ["the first save", "the second", "the third", "the fourth"] {
        write(&here, LOG, &format!("{}{save}", read(&here, LOG)));
        newest = taker.take_running(&page).await.unwrap();
        taker.recorded(&[]).await.unwrap();
        cost(save);
    }
    for _ in 0..3 {
        assert!(!taker.has_changed().await.unwrap());
        assert_eq!(taker.take_running(&page).await.unwrap(), None);
    }
    cost("an idle tenant");

    let there = world.profile("b");
    there.prepare(&world.snapshots, newest.as_ref(), Generation(2)).await.unwrap();
    assert_eq!(read(&there, LOG), read(&here, LOG));
    cost("a restore");
    // GET and LIST, PUT, DELETE, and all.
    let expected = [
        ("a look of the node's", [0, 1, 2], 3),
        ("a worker begins", [1, 0, 0], 1),
        // Of five pieces.
        ("the first save", [2, 6, 0], 8),
        // The tail of the log and the manifest.
        ("the second", [3, 2, 0], 5),
        ("the third", [4, 2, 0], 6),
        // One snapshot more than is kept: its manifest goes.
        ("the fourth", [5, 2, 1], 8),
        ("an idle tenant", [0, 0, 0], 0),
        ("a restore", [9, 0, 0], 9),
    ];
    assert_eq!(costs, expected);
}

#[test]
fn whatever_fails_a_session_in_a_bucket_is_whole_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    let seeds = match number("ROOST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOST_S3_HISTORIES").unwrap_or(HISTORIES),
    };
    for seed in seeds {
        let told = Arc::new(Mutex::new(Vec::new()));
        let store = server.store(&server.weed.endpoint(), &format!("history-{seed}"));
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(histories::live(seed, store, HELD_UP, told.clone()))
        }));
        assert!(lived.is_ok(), "ROOST_SEED={seed}: {:#?}", told.lock());
    }
}

/// What a node has in memory of a session on its way is as much as over files.
#[test]
fn the_memory_of_a_large_session_on_its_way_to_a_bucket_is_bounded() {
    const NAME: &str = "session::tests::s3::the_memory_of_a_large_session_on_its_way_to_a_bucket_is_bounded";
    if !memory::measures(NAME) {
        return;
    }
    memory::runtime().block_on(async {
        let server = Server::start().await;
        let store = server.store(&server.weed.endpoint(), "large");
        let objects = Objects::in_store(store, Duration::from_secs(30));
        let world = World { snapshots: SnapshotStore::of(objects), ..World::new() };
        let megabytes = number("ROOST_UPLOAD_MB").unwrap_or(48);
        let begun = SystemTime::now();
        memory::save_and_restore(&world, usize::try_from(megabytes << 20).unwrap()).await;
        println!("{megabytes} MB there and back in {:?}", begun.elapsed().unwrap());
    });
}
