//! The registry: a small, leased, watched key-value store with guarded transactions. [`EtcdRegistry`] is the product's;
//! `MemoryRegistry` has the same semantics for simulation and tests (the feature `memory`). One conformance suite runs on both.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_model::ids::{Incarnation, Revision};
use tokio::sync::mpsc;

mod etcd;
mod lineage;
#[cfg(any(test, feature = "memory"))]
mod memory;

pub use etcd::{EtcdAccess, EtcdAccessArgs, EtcdAccessError, EtcdRegistry};
#[cfg(any(test, feature = "memory"))]
pub use memory::MemoryRegistry;

/// The most guards, and the most ops, of one commit: etcd's `--max-txn-ops` as it is delivered.
pub const MAX_OPS: usize = 128;

/// The most batches that wait in a watch for its reader; one more ends the watch.
const WATCH_BUFFER: usize = 1_024;

/// Shared by every task of a process.
pub type SharedRegistry = Arc<dyn Registry>;

/// Keys are relative to the cluster's prefix (`nodes/a`, not `/roost/v1/prod/nodes/a`).
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// The id that etcd's members gave their cluster. Part of a store's identity, not all of it: see
    /// [`crate::records::StoreRecord`].
    async fn cluster_id(&self) -> Result<String, RegistryError>;

    /// A new lease. Whole seconds only, for etcd knows no others: a fraction is refused, never rounded. The caller
    /// counts its deadline from before this call.
    async fn grant(&self, ttl: Duration) -> Result<Incarnation, RegistryError>;

    /// Renews a lease, and proves that it lives by reading `key`, which the caller has written under it. `LeaseLost` when
    /// the lease has ended or the key is gone or another's; `Replaced` likewise ends it. The caller counts its deadline
    /// from before this call. An `Ok` is the answer to this very request.
    async fn keep_alive(&self, lease: Incarnation, key: &str) -> Result<(), RegistryError>;

    /// Ends a lease and deletes its keys. Revoking one that is gone is fine.
    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError>;

    /// One key. Linearizable.
    async fn read(&self, key: &str) -> Result<Reading, RegistryError>;

    /// The same, for whoever does not need to know when.
    async fn get(&self, key: &str) -> Result<Option<Entry>, RegistryError> {
        Ok(self.read(key).await?.entry)
    }

    /// Every entry under a prefix at one revision, paged below the client's message limit. Linearizable.
    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError>;

    /// What [`Registry::list`] says, told as what is new since the revision `since`: every key there is, and the entries
    /// written after it. One revision, linearizable. For a reader that keeps what it has read: see [`Update`].
    async fn list_since(&self, prefix: &str, since: Revision) -> Result<Update, RegistryError> {
        let Listing { entries, revision } = self.list(prefix).await?;
        let keys = entries.iter().map(|entry| (entry.key.clone(), entry.mod_revision)).collect();
        let written = entries.into_iter().filter(|entry| entry.mod_revision > since).collect();
        Ok(Update { keys, written, revision })
    }

    /// All of `ops` if all of `guards` hold, in one step. At most [`MAX_OPS`] of each, and each key at most once in
    /// `ops`, else `Refused` as an error. A put under a lease that has ended is `LeaseLost`.
    async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError>;

    /// Forgets the history up to a revision, without which the store grows with every write until it takes none. A watch from
    /// before ends. That it was forgotten already is fine.
    async fn compact(&self, revision: Revision) -> Result<(), RegistryError>;

    /// The changes under a prefix after a revision, in order; those of one revision may come in several batches. The
    /// channel closes when the watch cannot go on (compacted, cut off, its reader too slow): list again, then watch
    /// again.
    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError>;

    /// The same of one key alone, not of those that begin with it.
    async fn watch_key(
        &self,
        key: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: Vec<u8>,
    pub create_revision: Revision,
    pub mod_revision: Revision,
    pub lease: Option<Incarnation>,
}

/// One key at a revision, there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub entry: Option<Entry>,
    pub revision: Revision,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub entries: Vec<Entry>,
    pub revision: Revision,
}

/// From one reading to the next. A reader that drops what is not in `keys` and takes in what was `written` has the
/// listing of `revision`, if each of the keys has then the mod revision that is given here; if not, the store is not
/// the one it read before, and it begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// All there are, with their mod revisions, in order.
    pub keys: Vec<(String, Revision)>,
    pub written: Vec<Entry>,
    pub revision: Revision,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    Absent {
        key: String,
    },
    /// The key is there under this lease. A lease's id is never given again, where the revisions of an etcd that was founded
    /// anew repeat.
    HeldBy {
        key: String,
        lease: Incarnation,
    },
    /// The key was last written at this revision.
    ModifiedAt {
        key: String,
        revision: Revision,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Put { key: String, value: Vec<u8>, lease: Option<Incarnation> },
    Delete { key: String },
}

impl Op {
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    Done {
        revision: Revision,
    },
    /// A guard did not hold; nothing was written.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put(Entry),
    Delete { key: String, mod_revision: Revision },
}

impl Change {
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    pub fn revision(&self) -> Revision {
        match self {
            Self::Put(entry) => entry.mod_revision,
            Self::Delete { mod_revision, .. } => *mod_revision,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer in time or no connection: the outcome of a write is unknown.
    #[error("etcd is unavailable during {step}: {reason}")]
    Unavailable { step: &'static str, reason: String },
    #[error("the lease {lease} is gone")]
    LeaseLost { lease: Incarnation },
    #[error("etcd refused {step}: {reason}")]
    Refused { step: &'static str, reason: String },
    /// The store that answers is not the one that this process knew: restored from a backup, or another one. Every lease
    /// from before has ended. A write has been carried out all the same, in the store that there is now.
    #[error("etcd was replaced or restored from a backup ({step}): {reason}")]
    Replaced { step: &'static str, reason: String },
    #[error("the value of {key} is not readable: {reason}")]
    Corrupt { key: String, reason: String },
}

/// What etcd says of a write when its quota is used up. Its code for that is not for that alone.
const NO_SPACE: &str = "database space exceeded";

impl RegistryError {
    /// It answers reads and takes no writes until a person has made room.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason.contains(NO_SPACE))
    }
}

/// What etcd refuses of a commit whatever its state, checked before it is sent so that both registries agree.
fn check_commit(guards: &[Guard], ops: &[Op]) -> Result<(), RegistryError> {
    let refuse = |reason: String| Err(RegistryError::Refused { step: "a commit", reason });
    if guards.len() > MAX_OPS || ops.len() > MAX_OPS {
        return refuse(format!(
            "{} guards and {} ops; {MAX_OPS} of each is the most",
            guards.len(),
            ops.len()
        ));
    }
    let mut keys = HashSet::with_capacity(ops.len());
    match ops.iter().find(|op| !keys.insert(op.key())) {
        Some(twice) => refuse(format!("{} is written twice", twice.key())),
        None => Ok(()),
    }
}
