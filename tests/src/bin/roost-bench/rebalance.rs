//! A node is added to ten that have a thousand tenants, and the operator asks for a rebalance. Real nodes with the `null`
//! engine: all of the product but the browsers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roost_devcluster::{Cluster, Options};
use roost_proto::v1::{GetOperationRequest, OperationState, StartRebalanceRequest};

use crate::report::Report;

const NODES: usize = 10;
const TENANTS: usize = 1_000;
const WITHIN: Duration = Duration::from_secs(180);
const BOUND_S: f64 = 10.0;

pub async fn measure(report: &mut Report) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("roost-bench-")?;
    let mut options = Options::new(dir.path());
    (options.nodes, options.tenants, options.phones_scan) = (NODES, TENANTS, false);
    options.node_args = ["--engine", "null", "--capacity", "500"].map(str::to_owned).to_vec();
    let mut cluster = Cluster::start(options).await?;
    cluster.connected(WITHIN).await?;
    let added = cluster.add_node().await?;
    let before = cluster.workers().await?;
    let began = Instant::now();
    let request =
        StartRebalanceRequest { max_concurrent: 32, max_unavailable_percent: 10, ..Default::default() };
    let operation = cluster.admin().operations().start_rebalance(request).await?.into_inner();
    let id = operation.id;
    cluster
        .wait("the rebalance is over", WITHIN, || async {
            let request = GetOperationRequest { id };
            let now = cluster.admin().operations().get_operation(request).await;
            now.is_ok_and(|now| now.into_inner().state() == OperationState::Done)
        })
        .await?;
    let took = began.elapsed().as_secs_f64();
    let after = cluster.workers().await?;
    let moved = before.iter().zip(&after).filter(|(before, after)| before.node_id != after.node_id).count();
    let strays =
        before.iter().zip(&after).filter(|(b, a)| b.node_id != a.node_id && a.node_id != added).count();
    ensure!(strays == 0, "{strays} tenants moved to another node than the new one");
    cluster.connected(WITHIN).await.context("after the rebalance")?;
    cluster.stop().await?;
    let ideal = TENANTS as f64 / (NODES + 1) as f64;
    let off = (moved as f64 - ideal).abs() / ideal;
    report.row(
        format!("rebalance of {TENANTS} tenants from {NODES} nodes to {} (null engine)", NODES + 1),
        format!("{took:.1} s, {moved} moved"),
        format!("100 sessions in 8 min (best published); ideal {ideal:.1} moves"),
        format!("at most {BOUND_S:.0} s, moves within 3 %: {:.1} % off", off * 100.0),
        took <= BOUND_S && off <= 0.03,
    );
    Ok(())
}
