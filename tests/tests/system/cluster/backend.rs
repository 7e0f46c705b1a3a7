//! A registry with what the suite needs beside it.

use std::{sync::Arc, time::Duration};

use roost_cluster::registry::{Change, Commit, Entry, EtcdRegistry, Guard, MemoryRegistry, Op, Registry};
use roost_model::ids::{Incarnation, Revision};
use tokio::{sync::mpsc, time::timeout};

/// Generous: the suite asks whether and not how fast.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The most that is waited for a change that has to come.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// The shortest lease that etcd grants.
pub const TTL: Duration = Duration::from_secs(2);

pub struct Backend {
    pub registry: Arc<dyn Registry>,
}

impl Backend {
    pub async fn memory() -> Self {
        Self { registry: Arc::new(MemoryRegistry::new("memory")) }
    }

    /// Keys of its own in an etcd that is shared.
    pub async fn etcd(endpoint: String, number: usize) -> Self {
        let cluster = format!("check-{number}");
        let registry =
            EtcdRegistry::connect(std::slice::from_ref(&endpoint), &cluster, REQUEST_TIMEOUT).await.unwrap();
        Self { registry: Arc::new(registry) }
    }

    /// Written without a guard or a lease; the revision.
    pub async fn put(&self, key: &str, value: &str) -> Revision {
        self.commit(&[], &[put(key, value)]).await
    }

    pub async fn put_leased(&self, key: &str, lease: Incarnation) -> Revision {
        let op = Op::Put { key: key.to_owned(), value: b"leased".to_vec(), lease: Some(lease) };
        self.commit(&[], &[op]).await
    }

    /// A commit that is to succeed.
    pub async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Revision {
        match self.registry.commit(guards, ops).await.unwrap() {
            Commit::Done { revision } => revision,
            Commit::Refused => panic!("refused: {guards:?}"),
        }
    }

    pub async fn get(&self, key: &str) -> Option<Entry> {
        self.registry.get(key).await.unwrap()
    }

    pub async fn value(&self, key: &str) -> Option<String> {
        self.get(key).await.map(|entry| String::from_utf8(entry.value).unwrap())
    }

    pub async fn revision(&self) -> Revision {
        self.registry.list("none/").await.unwrap().revision
    }
}

pub fn put(key: &str, value: &str) -> Op {
    Op::Put { key: key.to_owned(), value: value.as_bytes().to_vec(), lease: None }
}

pub fn delete(key: &str) -> Op {
    Op::Delete { key: key.to_owned() }
}

pub fn absent(key: &str) -> Guard {
    Guard::Absent { key: key.to_owned() }
}

/// The next changes of a watch, `None` when it has ended.
pub async fn next(watch: &mut mpsc::Receiver<Vec<Change>>) -> Option<Vec<Change>> {
    timeout(PATIENCE, watch.recv()).await.expect("the watch is silent")
}

/// So many changes, in however many batches.
pub async fn take(watch: &mut mpsc::Receiver<Vec<Change>>, count: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    while changes.len() < count {
        changes.extend(next(watch).await.expect("the watch has ended"));
    }
    assert_eq!(changes.len(), count, "more has changed than was to: {changes:?}");
    changes
}
