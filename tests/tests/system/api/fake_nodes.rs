//! Nodes that do what they are told and say so, without a browser.

use std::{sync::Arc, time::Duration};

use roost_cluster::{
    keys,
    records::{AckRecord, AssignmentRecord, HeldTenant, NodeRecord, Phase},
    registry::{Op, Registry},
};
use tokio::task::AbortHandle;

use crate::api::harness::Api;

/// From one look at its assignments to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Stops acknowledging when dropped.
pub struct FakeNode {
    task: AbortHandle,
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    /// Registers a node that acknowledges what is assigned to it.
    pub async fn fake_node(&self, id: &str) -> FakeNode {
        let record = self.node(id).await;
        self.fake_node_of(record)
    }

    /// Lets a registered node acknowledge.
    pub fn fake_node_of(&self, record: NodeRecord) -> FakeNode {
        FakeNode { task: tokio::spawn(obey(self.registry.clone(), record)).abort_handle() }
    }
}

async fn obey(registry: Arc<dyn Registry>, record: NodeRecord) {
    let mut acknowledged = None;
    loop {
        if let Ok(Some(entry)) = registry.get(&keys::assignments(&record.node)).await
            && acknowledged != Some(entry.mod_revision)
        {
            let assigned: AssignmentRecord = keys::decode(&entry).unwrap();
            let ack = AckRecord {
                incarnation: record.incarnation,
                applied: entry.mod_revision,
                held: of_phase(&assigned, Phase::Active),
                prepared: of_phase(&assigned, Phase::Preparing),
                failed: Vec::new(),
            };
            let (key, lease) = (keys::ack(&record.node), Some(record.incarnation));
            let put = Op::Put { key, value: keys::encode(&ack), lease };
            if registry.commit(&[], &[put]).await.is_ok() {
                acknowledged = Some(entry.mod_revision);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn of_phase(assigned: &AssignmentRecord, phase: Phase) -> Vec<HeldTenant> {
    let entries = assigned.entries.iter().filter(|entry| entry.phase == phase);
    entries.map(|entry| HeldTenant { tenant: entry.tenant.clone(), generation: entry.generation }).collect()
}
