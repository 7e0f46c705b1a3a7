//! The registry as the candidate has it: every lease that is granted through it is told to the guard, and when it is over
//! too. So the leader's key of a node that leads goes as soon as its process has died, and the next controller need not
//! wait for a TTL.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_cluster::registry::{
    Change, Commit, Guard, Listing, Op, Reading, Registry, RegistryError, SharedRegistry, Update,
};
use roost_model::ids::{Incarnation, Revision};
use tokio::sync::mpsc;

use crate::guard::GuardLink;

pub(super) struct LeaseReportingRegistry {
    pub(super) registry: SharedRegistry,
    pub(super) guard: Arc<GuardLink>,
}

#[async_trait]
impl Registry for LeaseReportingRegistry {
    async fn cluster_id(&self) -> Result<String, RegistryError> {
        self.registry.cluster_id().await
    }

    async fn grant(&self, ttl: Duration) -> Result<Incarnation, RegistryError> {
        let lease = self.registry.grant(ttl).await?;
        self.guard.lease(lease.0);
        Ok(lease)
    }

    async fn keep_alive(&self, lease: Incarnation, key: &str) -> Result<(), RegistryError> {
        let kept = self.registry.keep_alive(lease, key).await;
        if matches!(kept, Err(RegistryError::LeaseLost { .. })) {
            self.guard.unlease(lease.0);
        }
        kept
    }

    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError> {
        self.registry.revoke(lease).await?;
        self.guard.unlease(lease.0);
        Ok(())
    }

    async fn read(&self, key: &str) -> Result<Reading, RegistryError> {
        self.registry.read(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        self.registry.list(prefix).await
    }

    async fn list_since(&self, prefix: &str, since: Revision) -> Result<Update, RegistryError> {
        self.registry.list_since(prefix, since).await
    }

    async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError> {
        self.registry.commit(guards, ops).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), RegistryError> {
        self.registry.compact(revision).await
    }

    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.registry.watch(prefix, after).await
    }

    async fn watch_key(
        &self,
        key: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.registry.watch_key(key, after).await
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use roost_cluster::registry::MemoryRegistry;

    use super::*;
    use crate::guard::GuardMessage;

    #[tokio::test(start_paused = true)]
    async fn the_guard_knows_which_leases_are_alive() {
        let (heard, pipe) = rustix::pipe::pipe().unwrap();
        let registry: SharedRegistry = Arc::new(MemoryRegistry::new("m"));
        let reporting = LeaseReportingRegistry {
            registry: registry.clone(),
            guard: Arc::new(GuardLink::new(pipe).unwrap()),
        };
        let ttl = Duration::from_secs(5);
        let (revoked, lost) = (reporting.grant(ttl).await.unwrap(), reporting.grant(ttl).await.unwrap());
        let held = Op::Put { key: "held".to_owned(), value: Vec::new(), lease: Some(revoked) };
        registry.commit(&[], &[held]).await.unwrap();
        reporting.keep_alive(revoked, "held").await.unwrap();
        reporting.revoke(revoked).await.unwrap();
        registry.revoke(lost).await.unwrap();
        reporting.keep_alive(lost, "held").await.unwrap_err();
        drop(reporting);
        let mut text = String::new();
        std::fs::File::from(heard).read_to_string(&mut text).unwrap();
        let messages: Vec<_> =
            text.lines().map(|line| GuardMessage::parse(line.as_bytes()).unwrap()).collect();
        let expected = [
            GuardMessage::Lease(revoked.0),
            GuardMessage::Lease(lost.0),
            GuardMessage::Unlease(revoked.0),
            GuardMessage::Unlease(lost.0),
        ];
        assert_eq!(messages, expected);
    }
}
