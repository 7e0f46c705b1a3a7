//! A thousand workers restarted by one order, at a pace that leaves most of them answering, while a node with its guard and the
//! controlling coordinator are killed. Real nodes with the `null` engine, whose starts take 0.2 to 2 s.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roost_devcluster::{Cluster, Options, is_connected};
use roost_proto::client::Admin;
use roost_proto::v1::{
    GetClusterStatusRequest, GetOperationRequest, ListWorkersRequest, Operation, OperationState,
    StartFleetOperationRequest, Worker, WorkerAction,
};

use crate::report::Report;

const NODES: usize = 40;
const TENANTS: usize = 1_000;
const WITHIN: Duration = Duration::from_secs(300);
const EVERY: Duration = Duration::from_millis(100);
/// Not to be more than half of those that may be silent: the other half is for the node that is lost.
const MAX_CONCURRENT: i32 = 25;
const SILENT_AT_MOST: usize = TENANTS / 20;
const BOUND_S: f64 = 60.0;
/// After so many of them the node and the coordinator are killed.
const KILL_AFTER: i32 = TENANTS as i32 / 3;

pub async fn measure(report: &mut Report) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("roost-bench-")?;
    let mut options = Options::new(dir.path());
    (options.nodes, options.tenants, options.phones_scan) = (NODES, TENANTS, false);
    options.coordinators = 2;
    options.node_args =
        ["--engine", "null-slow", "--capacity", "100", "--max-launches", "100"].map(str::to_owned).to_vec();
    let mut cluster = Cluster::start(options).await?;
    cluster.connected(WITHIN).await?;
    let leader = leader(&cluster).await?;
    let survivor =
        cluster.coordinators().iter().position(|one| one.id() != leader).context("there are two")?;
    let admin = cluster.admins()[survivor].clone();
    let before = workers(&admin).await?;
    let began = Instant::now();
    let id = admin.operations().start_fleet_operation(order()).await?.into_inner().id;
    let (mut most_silent, mut lost) = (0, None);
    let operation = loop {
        let now = operation(&admin, id).await?;
        if lost.is_none() && now.done_tenants >= KILL_AFTER {
            let node = before[0].node_id.clone();
            cluster.node(&node)?.kill().await?;
            let leads = cluster.coordinators().iter_mut().find(|one| one.id() == leader);
            leads.context("the leader")?.kill().await?;
            lost = Some(node);
        }
        let silent = |worker: &&Worker| !is_connected(worker) || Some(&worker.node_id) == lost.as_ref();
        most_silent = most_silent.max(workers(&admin).await?.iter().filter(silent).count());
        if now.state() != OperationState::Running {
            break now;
        }
        ensure!(began.elapsed() < WITHIN, "it does not end: {now:?}");
        tokio::time::sleep(EVERY).await;
    };
    let took_s = began.elapsed().as_secs_f64();
    ensure!(operation.state() == OperationState::Done && lost.is_some(), "{operation:?}");
    cluster.stop().await?;
    report.row(
        format!("{TENANTS} workers on {NODES} nodes restarted by one order (null engine, starts of 0.2 to 2 s), a node and the leader killed midway: took, not answering at once at most"),
        format!("{took_s:.1} s, {most_silent}"),
        "none published",
        format!("at most {BOUND_S:.0} s, {SILENT_AT_MOST}"),
        took_s <= BOUND_S && most_silent <= SILENT_AT_MOST,
    );
    Ok(())
}

fn order() -> StartFleetOperationRequest {
    StartFleetOperationRequest {
        action: WorkerAction::Restart.into(),
        selector: "status=running".to_owned(),
        max_concurrent: MAX_CONCURRENT,
        max_unavailable_percent: 5,
        ..StartFleetOperationRequest::default()
    }
}

async fn leader(cluster: &Cluster) -> Result<String> {
    let status = cluster.admin().cluster().get_cluster_status(GetClusterStatusRequest {}).await?.into_inner();
    let holder = status.leader.context("somebody leads")?.holder;
    Ok(holder.strip_prefix("coordinator/").with_context(|| format!("{holder} leads"))?.to_owned())
}

async fn operation(admin: &Admin, id: i64) -> Result<Operation> {
    Ok(admin.operations().get_operation(GetOperationRequest { id }).await?.into_inner())
}

async fn workers(admin: &Admin) -> Result<Vec<Worker>> {
    let request = ListWorkersRequest { page_size: 1_000, ..ListWorkersRequest::default() };
    Ok(admin.workers().list_workers(request).await?.into_inner().workers)
}
