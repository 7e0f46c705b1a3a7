//! A cluster whose snapshots are on an S3-compatible server.

use roost_devcluster::{Bucket, HttpFault, HttpRelay, SeaweedFs, is_connected};
use roost_proto::v1::{ConditionKind, Worker};
use roost_tests::{SOON, Scenario};

const BUCKET: &str = "sessions";

/// A server in a directory of its own, and the way to it.
struct Server {
    weed: SeaweedFs,
    relay: HttpRelay,
    dir: tempfile::TempDir,
}

impl Server {
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let weed = SeaweedFs::start(dir.path()).await?;
        weed.make_bucket(BUCKET).await?;
        let relay = HttpRelay::to(weed.port()).await?;
        Ok(Self { weed, relay, dir })
    }

    fn bucket(&self) -> Bucket {
        Bucket {
            location: format!("s3://{BUCKET}/a cluster's"),
            endpoint: self.relay.endpoint(),
            keys: self.weed.keys().clone(),
        }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.weed.stop().await?;
        Ok(self.dir.close()?)
    }
}

/// Its node is lost with all that was on its disk, as far as the other one can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nodes_tenant_goes_on_elsewhere_from_its_snapshot_in_a_bucket() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (2, 1);
        options.bucket = Some(server.bucket());
    })
    .await?;
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    let scans = scenario.cluster.scans();
    let worker = scenario.cluster.worker(&tenant.id).await?;
    scenario.cluster.node(&worker.node_id)?.kill().await?;
    let elsewhere = |now: &Worker| is_connected(now) && now.node_id != worker.node_id;
    scenario.cluster.worker_until(&tenant.id, "goes on elsewhere", SOON, elsewhere).await?;
    scenario.answers(&tenant, "after").await?;
    assert_eq!(scenario.cluster.scans(), scans, "a failover must not need a new scan");
    scenario.finish().await?;
    server.stop().await
}

/// The tenant serves meanwhile, says that it is not saved, and is saved when the store is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_away_is_waited_for_and_its_tenants_say_so() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 1);
        options.bucket = Some(server.bucket());
    })
    .await?;
    scenario.expect_error("an impairment is shared by many nodes");
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    server.relay.set(|_| Some(HttpFault::Refuse(403, "RequestTimeTooSkewed")));
    scenario.answers(&tenant, "meanwhile").await?;
    let says_so = |now: &Worker| {
        now.condition.as_ref().is_some_and(|condition| {
            condition.kind() == ConditionKind::WaitingForStore && condition.reason.contains("set both by NTP")
        })
    };
    scenario.cluster.worker_until(&tenant.id, "says what is wrong", SOON * 3, says_so).await?;
    server.relay.mend();
    let is_well = |now: &Worker| {
        now.condition.as_ref().is_none_or(|condition| condition.kind() != ConditionKind::WaitingForStore)
    };
    scenario.cluster.worker_until(&tenant.id, "is saved again", SOON * 2, is_well).await?;
    scenario.finish().await?;
    server.stop().await
}
