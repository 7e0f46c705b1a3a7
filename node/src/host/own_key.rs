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
