//! The spare browsers of a node, as the node tells.

use std::time::Duration;

use anyhow::{Context, Result};
use roost_devcluster::loopback_client;
use roost_proto::v1::GetNodeRequest;
use serde_json::Value;

use crate::{SOON, Scenario};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl Scenario {
    /// What a node's `/status` says of its spare browsers.
    pub async fn spares(&self, node: &str) -> Result<Value> {
        let request = GetNodeRequest { id: node.to_owned() };
        let address = self.cluster.admin().nodes().get_node(request).await?.into_inner().address;
        let url = format!("http://{address}/status");
        let mut status: Value = loopback_client(ANSWER_WITHIN)?.get(url).send().await?.json().await?;
        Ok(status.get_mut("spares").context("a node tells of its spares")?.take())
    }

    /// Waits until a node has as many as it is to have.
    pub async fn spares_ready(&self, node: &str) -> Result<()> {
        let are_ready =
            || async { self.spares(node).await.is_ok_and(|spares| spares["ready"] == spares["wanted"]) };
        Ok(self.cluster.wait("the node's spare browsers are ready", SOON, are_ready).await?)
    }
}
