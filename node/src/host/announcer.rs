//! Keeps `nodes/<node>` saying how this life of the node stands: whether it is leaving, what impairs it, and its
//! memory. One writer,
//! which writes the newest state only.

use roost_cluster::{
    keys,
    records::{Impairment, NodeMemory, NodeRecord},
    registry::{RegistryError, SharedRegistry},
    timing::Timing,
};
use roost_model::causes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::own_key::OwnKey;

pub struct Announcer {
    pub registry: SharedRegistry,
    /// As it was registered.
    pub record: NodeRecord,
    pub timing: Timing,
    pub leaving: CancellationToken,
    pub impairments: watch::Receiver<Vec<Impairment>>,
    pub memory: watch::Receiver<Option<NodeMemory>>,
}

impl Announcer {
    /// Ends when the lease is gone.
    pub async fn run(mut self) {
        let mut written = self.record.clone();
        let key = keys::node(&self.record.node);
        let mut own = OwnKey::new(self.registry.clone(), key, self.record.incarnation);
        loop {
            let wanted = self.wanted();
            if wanted == written {
                self.changed().await;
                continue;
            }
            match own.write("announce", keys::encode(&wanted)).await {
                Ok(()) => written = wanted,
                Err(RegistryError::LeaseLost { .. }) => return,
                Err(error) => {
                    // Its tenants are placed elsewhere when the lease is given back, at the latest.
                    tracing::warn!(error = %causes(&error), "the cluster could not be told yet how this node stands");
                    tokio::time::sleep(self.timing.watch_retry).await;
                }
            }
        }
    }

    fn wanted(&mut self) -> NodeRecord {
        let impairments = self.impairments.borrow_and_update().clone();
        let memory = *self.memory.borrow_and_update();
        NodeRecord { leaving: self.leaving.is_cancelled(), impairments, memory, ..self.record.clone() }
    }

    async fn changed(&mut self) {
        let is_leaving = self.leaving.is_cancelled();
        tokio::select! {
            () = self.leaving.cancelled(), if !is_leaving => {}
            // An error means that nobody checks any more, which is only at the end of the process.
            Ok(()) = self.impairments.changed() => {}
            Ok(()) = self.memory.changed() => {}
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use roost_cluster::{
        clock::BootClock,
        records::ImpairmentKind,
        registry::{MemoryRegistry, Registry},
    };

    use super::*;
    use crate::host::{
        impairments::Impairments,
        registration::{register, revoke_lease},
        test_node::a_node,
    };

    async fn says(registry: &MemoryRegistry, leaving: bool, impairments: usize) {
        let is_said = |it: NodeRecord| (it.leaving, it.impairments.len()) == (leaving, impairments);
        says_what(registry, is_said).await;
    }

    async fn says_memory(registry: &MemoryRegistry, allocatable_bytes: u64) {
        let is_said = |it: NodeRecord| it.memory.is_some_and(|it| it.allocatable_bytes == allocatable_bytes);
        says_what(registry, is_said).await;
    }

    async fn says_what(registry: &MemoryRegistry, is_said: impl Fn(NodeRecord) -> bool) {
        let look = async {
            loop {
                let entry = registry.get("nodes/a").await;
                let record = entry.ok().flatten().map(|entry| keys::decode::<NodeRecord>(&entry).unwrap());
                if record.is_some_and(&is_said) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(4), look).await.expect("it is never said");
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_says_what_impairs_the_node_and_whether_it_leaves_through_outages() {
        let memory = Arc::new(MemoryRegistry::new("m"));
        let registry: SharedRegistry = memory.clone();
        let (timing, stop) = (Timing::default(), CancellationToken::new());
        let first = register(&registry, &a_node(), &timing, &BootClock, None, &stop).await.unwrap().unwrap();
        let (impairments, leaving) = (Impairments::default(), CancellationToken::new());
        let has = watch::Sender::new(None);
        let announcer = Announcer {
            registry: registry.clone(),
            record: first.record.clone(),
            timing,
            leaving: leaving.clone(),
            impairments: impairments.subscribe(),
            memory: has.subscribe(),
        };
        let announcer = tokio::spawn(announcer.run());
        impairments.found(ImpairmentKind::Browser, "x");
        says(&memory, false, 1).await;
        has.send_replace(Some(NodeMemory { allocatable_bytes: 7, p95_bytes: None }));
        says_memory(&memory, 7).await;
        memory.cut_off();
        impairments.is_over(ImpairmentKind::Browser);
        tokio::time::sleep(Duration::from_millis(400)).await;
        leaving.cancel();
        memory.reconnect();
        says(&memory, true, 0).await;

        revoke_lease(&registry, first.incarnation()).await;
        let _second = register(&registry, &a_node(), &timing, &BootClock, None, &stop).await.unwrap();
        impairments.found(ImpairmentKind::Site, "x");
        announcer.await.unwrap();
        says(&memory, false, 0).await;
    }
}
