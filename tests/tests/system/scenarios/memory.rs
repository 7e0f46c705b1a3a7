//! A node whose machine runs out of memory, as its kernel tells.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use roost_devcluster::is_connected;
use roost_proto::v1::{GetNodeRequest, Node, Worker};
use roost_tests::{SOON, Scenario};
use sqlx::{Connection, PgConnection};

const NODES: [&str; 2] = ["node-1", "node-2"];

/// What a machine of 8 GiB says, of which so much is left.
fn machine(proc: &Path, available_mib: u64) -> Result<()> {
    fs::create_dir_all(proc.join("pressure"))?;
    let none = "avg10=0.00 avg60=0.00 avg300=0.00 total=0";
    fs::write(proc.join("pressure/memory"), format!("some {none}\nfull {none}\n"))?;
    let meminfo = format!("MemTotal: {} kB\nMemAvailable: {} kB\n", 8 << 20, available_mib << 10);
    // Whoever reads it meets it whole.
    fs::write(proc.join("new"), meminfo)?;
    fs::rename(proc.join("new"), proc.join("meminfo")).context("writing meminfo")
}

async fn node(scenario: &Scenario, id: &str) -> Result<Node> {
    let request = GetNodeRequest { id: id.to_owned() };
    Ok(scenario.cluster.admin().nodes().get_node(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_runs_out_of_memory_gives_its_tenant_to_one_that_has_some_and_takes_again_afterwards()
-> Result<()> {
    let dir = tempfile::tempdir()?;
    for id in NODES {
        machine(&dir.path().join(id), 6_000)?;
    }
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (2, 2);
        for id in NODES {
            let variable = ("ROOST_NODE_MACHINE_PROC".into(), dir.path().join(id).into_os_string());
            options.node_env.insert(id.to_owned(), vec![variable]);
        }
    })
    .await?;
    let (leaves, stays) = (scenario.tenant(0), scenario.tenant(1));
    let (short, well) = (scenario.owner(&leaves).await?, scenario.owner(&stays).await?);
    ensure!(short != well, "each node has a tenant");
    let has = node(&scenario, &short).await?.memory.context("it says what it has")?;
    ensure!(has.allocatable_bytes == (8 << 30) - (64 << 20), "{has:?}");

    machine(&dir.path().join(&short), 16)?;
    let elsewhere = |worker: &Worker| is_connected(worker) && worker.node_id == well;
    scenario.cluster.worker_until(&leaves.id, "has left", SOON * 2, elsewhere).await?;
    scenario.answers(&leaves, "from there").await?;
    let said = node(&scenario, &short).await?.impairments;
    let reason = said.iter().find(|it| it.kind == "memory").context("it says why")?.reason.clone();
    ensure!(reason == "16 MiB are available, and with less than 32 it is short", "{reason}");
    let mut database = PgConnection::connect(scenario.cluster.postgres().url()).await?;
    let told = "select tenant_id || ': ' || text from cluster_events where kind = 'SHED_FOR_MEMORY'";
    let told: Vec<String> = sqlx::query_scalar(told).fetch_all(&mut database).await?;
    let [told] = told.as_slice() else { anyhow::bail!("once: {told:?}") };
    let begins = format!("{}: {short} is short of memory and wants it elsewhere: it uses ", leaves.id);
    ensure!(told.starts_with(&begins) && told.ends_with("requests 128"), "{told}");

    machine(&dir.path().join(&short), 6_000)?;
    let is_well = || async { node(&scenario, &short).await.is_ok_and(|node| node.impairments.is_empty()) };
    scenario.cluster.wait("it has memory again", SOON * 2, is_well).await?;
    scenario.finish().await
}
