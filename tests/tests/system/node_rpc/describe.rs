//! DescribeWorker: what is kept and what the node knows, and what is said when the node is away.

use anyhow::{Context, Result, ensure};
use roost_proto::v1::{DescribeWorkerRequest, SettingOrigin, WorkerStatus};
use tonic::Code;

use super::stage::Stage;

#[tokio::test]
async fn a_worker_is_described_by_the_store_and_its_node_and_by_the_store_alone_when_the_node_is_dead()
-> Result<()> {
    let mut stage = Stage::new().await?;
    let told = stage.described(|told| told.snapshot_time.is_some()).await?;
    let (worker, live) = (told.worker.context("a worker")?, told.live.context("what its node knows")?);
    ensure!(worker.status() == WorkerStatus::Running && told.node_problem.is_empty(), "{worker:?}");
    ensure!(live.node_id == worker.node_id && live.generation == worker.generation, "{live:?}");
    ensure!(live.state == "running" && !live.node_version.is_empty(), "{live:?}");
    let probe = live.timing.first().context("what it goes by")?;
    ensure!((probe.name.as_str(), probe.origin()) == ("probe_every", SettingOrigin::Cluster), "{probe:?}");
    let browser = live.browser.context("a browser")?;
    ensure!(browser.browser_version == "null" && browser.pid == 0, "{browser:?}");
    ensure!(told.phone == stage.cluster.tenants()[0].phone && told.snapshot_bytes > 0);

    // The other one as well, so that the tenant is placed nowhere else.
    let node = worker.node_id.clone();
    for member in stage.cluster.nodes() {
        member.kill().await?;
    }
    let told = stage.describe().await?;
    ensure!(told.live.is_none() && told.worker.is_some_and(|worker| worker.node_id == node));
    ensure!(
        told.node_problem.starts_with(&format!("node {node} cannot be reached at 127.0.0.1:"))
            || told.node_problem == format!("node {node} is not live"),
        "{}",
        told.node_problem
    );
    let told = stage.described(|told| told.node_problem.contains("is not live")).await?;
    ensure!(told.snapshot_time.is_some(), "{told:?}");

    let nobody = DescribeWorkerRequest { tenant_id: "nobody".to_owned() };
    let refused = stage.cluster.admin().inspection().describe_worker(nobody).await.unwrap_err();
    ensure!(refused.code() == Code::NotFound, "{refused:?}");
    stage.cluster.stop().await?;
    Ok(())
}
