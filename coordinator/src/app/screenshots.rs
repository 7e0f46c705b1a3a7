//! What a tenant's page shows, from the node that has it. The node puts down who has asked before it gives the picture out.

use roost_model::ids::{Generation, NodeId, TenantId};
use roost_store::Requester;

use super::{App, Error, Refusal};

/// As a PNG, with whose it is.
#[derive(Debug)]
pub struct Screenshot {
    pub png: Vec<u8>,
    pub node: NodeId,
    pub generation: Generation,
}

impl App {
    pub async fn take_screenshot(&self, tenant: &TenantId, by: &Requester) -> Result<Screenshot, Error> {
        let worker = self.store()?.get_worker(tenant).await?;
        let Some(node) = worker.node else {
            return Err(Refusal::NoWorkerRuns { tenant: tenant.clone() }.into());
        };
        let record = self.live_node(&node).await?;
        let (png, generation) = self.node_rpc.take_screenshot(&record, tenant, by).await?;
        Ok(Screenshot { png, node, generation })
    }
}
