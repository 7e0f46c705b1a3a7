//! A key of the registry that this life of the node alone writes. Each write is guarded by the revision of the one before: one
//! whose answer never came may still be on its way, and must not undo a later one.

use roost_cluster::registry::{Commit, Guard, Op, RegistryError, SharedRegistry};
use roost_model::ids::{Incarnation, Revision};

pub(super) struct OwnKey {
    registry: SharedRegistry,
    key: String,
    lease: Incarnation,
    /// Of our last write; none where it is to be looked up.
    last: Option<Revision>,
}

impl OwnKey {
    /// One that was written under the lease when the node registered.
    pub(super) fn new(registry: SharedRegistry, key: String, lease: Incarnation) -> Self {
        Self { registry, key, lease, last: None }
    }

    /// `LeaseLost` when the key is gone or another life's. After any other error the same may be written again.
    pub(super) async fn write(&mut self, step: &'static str, value: Vec<u8>) -> Result<(), RegistryError> {
        let (lease, last) = (self.lease, self.last.take());
        let last = match last {
            Some(revision) => revision,
            None => match self.registry.get(&self.key).await? {
                Some(entry) if entry.lease == Some(lease) => entry.mod_revision,
                _ => return Err(RegistryError::LeaseLost { lease }),
            },
        };
        let guard = Guard::ModifiedAt { key: self.key.clone(), revision: last };
        let put = Op::Put { key: self.key.clone(), value, lease: Some(lease) };
        match self.registry.commit(&[guard], &[put]).await? {
            Commit::Done { revision } => {
                self.last = Some(revision);
                Ok(())
            }
            Commit::Refused => {
                let reason = "an earlier write of this node arrived late".to_owned();
                Err(RegistryError::Unavailable { step, reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use roost_cluster::registry::{MemoryRegistry, Registry};

    use super::*;

    const KEY: &str = "acks/a";

    /// As the registration leaves it, or a write of this life that was long on its way.
    async fn put(registry: &MemoryRegistry, value: &[u8], lease: Incarnation) {
        let put = Op::Put { key: KEY.to_owned(), value: value.to_vec(), lease: Some(lease) };
        assert!(matches!(registry.commit(&[], &[put]).await.unwrap(), Commit::Done { .. }));
    }

    async fn value(registry: &MemoryRegistry) -> Option<Vec<u8>> {
        registry.get(KEY).await.unwrap().map(|entry| entry.value)
    }

    async fn registered() -> (Arc<MemoryRegistry>, Incarnation, OwnKey) {
        let registry = Arc::new(MemoryRegistry::new("m"));
        let lease = registry.grant(Duration::from_secs(3600)).await.unwrap();
        put(&registry, b"registered", lease).await;
        let own = OwnKey::new(registry.clone(), KEY.to_owned(), lease);
        (registry, lease, own)
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_came_in_between_is_found_out_and_written_over_by_the_next() {
        let (registry, lease, mut own) = registered().await;
        own.write("test", b"one".to_vec()).await.unwrap();
        put(&registry, b"late", lease).await;
        let refused = own.write("test", b"two".to_vec()).await.unwrap_err();
        assert!(matches!(refused, RegistryError::Unavailable { .. }), "{refused}");
        assert_eq!(value(&registry).await.as_deref(), Some(&b"late"[..]));
        own.write("test", b"two".to_vec()).await.unwrap();
        own.write("test", b"three".to_vec()).await.unwrap();
        assert_eq!(value(&registry).await.as_deref(), Some(&b"three"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn another_lifes_key_is_left_alone() {
        // Also while the lease of the life before has not ended: the key was deleted by hand, and the node is back.
        let (registry, lease, mut own) = registered().await;
        let next = registry.grant(Duration::from_secs(3600)).await.unwrap();
        put(&registry, b"the next life's", next).await;
        let lost = own.write("test", b"late".to_vec()).await.unwrap_err();
        assert!(matches!(lost, RegistryError::LeaseLost { lease: of } if of == lease), "{lost}");
        assert_eq!(value(&registry).await.as_deref(), Some(&b"the next life's"[..]));
    }
}
