//! Tenants come up in browsers that ran before anybody needed them.

use roost_devcluster::Signal;
use roost_tests::{SOON, Scenario};

use super::failover::signal_working_process;

/// Twice, so that what the first crash has left of adopted browsers and spares is in nobody's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_nodes_tenants_go_on_in_spare_browsers_of_another_without_a_scan() -> anyhow::Result<()> {
    const TENANTS: usize = 2;
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        options.spare_browsers = Some(2);
        options.node_args = ["--max-restarts", "1000"].map(str::to_owned).to_vec();
    })
    .await?;
    let (mut owner, mut other) = ("node-1".to_owned(), scenario.cluster.add_node().await?);
    let scans = scenario.cluster.scans();
    for round in 0..2 {
        scenario.spares_ready(&other).await?;
        let before = scenario.spares(&other).await?;
        assert!(before["memory_bytes"].as_u64().is_some(), "{before}");
        signal_working_process(&mut scenario, &owner, Signal::KILL)?;
        for index in 0..TENANTS {
            scenario.answers(&scenario.tenant(index), &format!("after crash {round}")).await?;
        }
        scenario.cluster.all_connected_on(&other, SOON).await?;
        let after = scenario.spares(&other).await?;
        let adopted = |spares: &serde_json::Value| spares["adopted"].as_u64().unwrap_or_default();
        assert_eq!(adopted(&after) - adopted(&before), 2, "{before}, then {after}");
        std::mem::swap(&mut owner, &mut other);
    }
    assert_eq!(scenario.cluster.scans(), scans, "a failover must not need a new scan");
    scenario.finish().await
}
