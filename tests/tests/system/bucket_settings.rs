//! A node that was given a bucket: what is wrong with it is refused by name before the node registers, and a server that is away is
//! waited for.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

use std::path::Path;

use roost_devcluster::{Etcd, Launch, Postgres, Process, S3Keys, SeaweedFs, product, tail};
use roost_store::Store;
use tokio::time::{Duration, Instant, sleep};

use crate::{api::harness::write_private, settings::assert_refused};

const SOON: Duration = Duration::from_secs(30);
const BUCKET: &str = "sessions";

struct Cluster {
    dir: tempfile::TempDir,
    etcd: Etcd,
    postgres: Postgres,
    weed: SeaweedFs,
}

impl Cluster {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let etcd = Etcd::start(dir.path()).await.unwrap();
        let postgres = Postgres::start(dir.path()).await.unwrap();
        let weed = SeaweedFs::start(dir.path()).await.unwrap();
        weed.make_bucket(BUCKET).await.unwrap();
        write_private(&dir.path().join("key"), &"ab".repeat(32));
        Store::connect(postgres.url(), 1).await.unwrap().migrate().await.unwrap();
        Self { dir, etcd, postgres, weed }
    }

    fn node(&self, location: &str, keys: &S3Keys) -> Process {
        let keys_file = self.dir.path().join("credentials");
        let text =
            format!("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n", keys.id, keys.secret);
        write_private(&keys_file, &text);
        self.launch(location).args(["--object-store-credentials-file".into(), keys_file]).spawn().unwrap()
    }

    fn launch(&self, location: &str) -> Launch {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        Launch::new("node", product("roost-node").unwrap(), self.log())
            .args(["run", "--id", "n1", "--engine", "null", "--lease-ttl", "2s", "--object-store", location])
            .args(["--etcd", self.etcd.endpoint(), "--database-url", self.postgres.url()])
            .args(["--state-dir", &file("state"), "--snapshot-key-file", &file("key")])
            .args(["--cluster-secret-file", &file("key")])
            .args(["--object-store-endpoint", &self.weed.endpoint()])
    }

    fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("node.log")
    }
}

async fn until_it_says(log: &Path, words: &str) {
    let deadline = Instant::now() + SOON;
    while !std::fs::read_to_string(log).unwrap_or_default().contains(words) {
        assert!(Instant::now() < deadline, "no {words:?}: {}", tail(log));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_bucket_is_refused_by_name() {
    let cluster = Cluster::start().await;
    let keys = cluster.weed.keys().clone();
    let here = format!("s3://{BUCKET}/roost");
    let unknown = S3Keys { id: "nobody".into(), ..keys.clone() };
    let wrong = S3Keys { secret: "x".repeat(32), ..keys.clone() };
    for (location, keys, words) in [
        ("s3://nowhere/roost", &keys, "there is no such bucket"),
        (here.as_str(), &unknown, "it does not know the access key"),
        (&here, &wrong, "the secret key is another"),
    ] {
        assert_refused([cluster.node(location, keys)], words).await;
        std::fs::remove_file(cluster.log()).unwrap();
    }
    let without_keys = cluster.launch(&here).env("AWS_ACCESS_KEY_ID", "").spawn().unwrap();
    let refused = refused_at_once(without_keys).await;
    assert!(refused.contains("give AWS_ACCESS_KEY_ID"), "{refused}");
    std::fs::remove_file(cluster.log()).unwrap();

    let node = cluster.node(&here, &keys);
    until_it_says(&cluster.log(), "the object store is taken into use").await;
    drop(node);
}

/// One line and the code after which nothing is started again.
async fn refused_at_once(mut node: Process) -> String {
    let deadline = Instant::now() + SOON;
    while node.is_running() {
        assert!(Instant::now() < deadline, "{}", tail(node.log()));
        sleep(Duration::from_millis(20)).await;
    }
    let status = node.ended().unwrap();
    let log = std::fs::read_to_string(node.log()).unwrap();
    assert_eq!((status.code(), log.lines().count()), (Some(3), 1), "{log}");
    log
}

#[tokio::test]
async fn a_server_that_is_away_and_a_bucket_that_is_read_only_are_waited_for() {
    let mut cluster = Cluster::start().await;
    let here = format!("s3://{BUCKET}/roost");
    let node = cluster.node(&here, &cluster.weed.reader().clone());
    until_it_says(&cluster.log(), "permit it to get, put, list and delete objects").await;
    drop(node);
    std::fs::remove_file(cluster.log()).unwrap();

    cluster.weed.stop().await.unwrap();
    let mut node = cluster.node(&here, &cluster.weed.keys().clone());
    until_it_says(&cluster.log(), "the object store takes nothing").await;
    cluster.weed.restart().await.unwrap();
    until_it_says(&cluster.log(), "the object store is taken into use").await;
    assert!(node.is_running());
}
