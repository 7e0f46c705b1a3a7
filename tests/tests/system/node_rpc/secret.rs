//! The door of a node: open to the cluster's secret alone. What it shows to everybody names no tenant.

use std::{fs, str::FromStr};

use anyhow::{Context, Result, ensure};
use roost_cluster::{
    keys,
    records::NodeRecord,
    registry::{EtcdRegistry, Registry},
};
use roost_devcluster::loopback_client;
use roost_proto::{
    client::Bearer,
    internal::{GetStatusRequest, node_agent_service_client::NodeAgentServiceClient},
};
use tonic::{Code, transport::Endpoint};

use super::stage::{PATIENCE, Stage};

#[tokio::test]
async fn a_node_answers_the_clusters_secret_alone_and_shows_no_tenant_to_others() -> Result<()> {
    let mut stage = Stage::new().await?;
    let (node, tenant) = (stage.describe().await?.worker.context("a worker")?.node_id, stage.tenant());
    let record = record(&mut stage, &node).await?;
    let channel = Endpoint::from_str(&format!("http://{}", record.rpc_address))?.connect().await?;
    let ask = async |bearer: Option<&str>| {
        let answer = match bearer {
            None => NodeAgentServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await,
            Some(bearer) => {
                let bearer = Bearer::new(bearer).expect("it is visible ASCII");
                let mut client = NodeAgentServiceClient::with_interceptor(channel.clone(), bearer);
                client.get_status(GetStatusRequest {}).await
            }
        };
        answer.map(tonic::Response::into_inner)
    };
    for wrong in [None, Some("wrong"), Some(&*"0".repeat(64))] {
        let refused = ask(wrong).await.unwrap_err();
        ensure!(refused.code() == Code::Unauthenticated, "{wrong:?}: {refused:?}");
    }
    let secret = fs::read_to_string(stage.cluster.state_dir().join("cluster.secret"))?;
    let status = ask(Some(secret.trim())).await?;
    ensure!(status.node_id == node && status.standing == "good", "{status:?}");
    ensure!(status.tenants.iter().any(|held| held.tenant_id == tenant), "{status:?}");

    let url = format!("http://{}/status", record.address);
    let open = loopback_client(PATIENCE)?.get(url).send().await?.text().await?;
    ensure!(!open.contains(&tenant) && open.contains("\"tenants\":1"), "{open}");
    stage.cluster.stop().await?;
    Ok(())
}

async fn record(stage: &mut Stage, node: &str) -> Result<NodeRecord> {
    let etcd = [stage.cluster.etcd().endpoint().to_owned()];
    let registry = EtcdRegistry::connect(&etcd, "dev", PATIENCE).await?;
    let entry = registry.get(&keys::node(&node.parse()?)).await?.context("a record")?;
    Ok(keys::decode(&entry)?)
}
