//! The registry as one process reaches it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_cluster::{
    keys,
    registry::{Change, Commit, Entry, Guard, Listing, MemoryRegistry, Op, Reading, Registry, RegistryError},
};
use roost_model::ids::{Incarnation, Revision};
use tokio::sync::mpsc;

use super::{
    judge::Judge,
    link::{Link, pass},
    process::Process,
};

/// Waits as long as the product's client does.
#[derive(Clone)]
pub struct LinkedRegistry {
    pub store: Arc<MemoryRegistry>,
    pub link: Link,
    pub process: Process,
    pub request_timeout: Duration,
    pub judge: Arc<Judge>,
    /// Whether guards are sent along with a commit.
    pub guarded: bool,
}

impl LinkedRegistry {
    async fn call<T, F>(
        &self,
        step: &'static str,
        work: impl FnOnce(Arc<MemoryRegistry>) -> F,
    ) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RegistryError>> + Send + 'static,
    {
        let work = work(self.store.clone());
        let answer = self.link.call(&self.process, step, self.request_timeout, work).await;
        answer.unwrap_or_else(|| Err(RegistryError::Unavailable { step, reason: "no answer".to_owned() }))
    }
}

#[async_trait]
impl Registry for LinkedRegistry {
    async fn cluster_id(&self) -> Result<String, RegistryError> {
        self.call("cluster id", |store| async move { store.cluster_id().await }).await
    }

    async fn grant(&self, ttl: Duration) -> Result<Incarnation, RegistryError> {
        self.call("grant", move |store| async move { store.grant(ttl).await }).await
    }

    async fn keep_alive(&self, lease: Incarnation, key: &str) -> Result<(), RegistryError> {
        let key = key.to_owned();
        self.call("keep alive", move |store| async move { store.keep_alive(lease, &key).await }).await
    }

    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError> {
        self.call("revoke", move |store| async move { store.revoke(lease).await }).await
    }

    async fn read(&self, key: &str) -> Result<Reading, RegistryError> {
        let key = key.to_owned();
        self.call("read", move |store| async move { store.read(&key).await }).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        let prefix = prefix.to_owned();
        self.call("list", move |store| async move { store.list(&prefix).await }).await
    }

    async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError> {
        let (named, ops) = (guards.to_vec(), ops.to_vec());
        let (judge, guarded) = (self.judge.clone(), self.guarded);
        let work = move |store: Arc<MemoryRegistry>| async move {
            let leader = store.get(keys::LEADER).await?;
            let sent: &[Guard] = if guarded { &named } else { &[] };
            let outcome = store.commit(sent, &ops).await?;
            if matches!(outcome, Commit::Done { .. }) && deposed(&named, &ops, leader.as_ref()) {
                judge.violated("a controller that does not lead has published");
            }
            Ok(outcome)
        };
        self.call("commit", work).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), RegistryError> {
        self.call("compact", move |store| async move { store.compact(revision).await }).await
    }

    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        let from = prefix.to_owned();
        let source = self.call("watch", move |store| async move { store.watch(&from, after).await }).await?;
        Ok(self.linked(source))
    }

    async fn watch_key(
        &self,
        key: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        let key = key.to_owned();
        let source =
            self.call("watch", move |store| async move { store.watch_key(&key, after).await }).await?;
        Ok(self.linked(source))
    }
}

impl LinkedRegistry {
    fn linked(&self, source: mpsc::Receiver<Vec<Change>>) -> mpsc::Receiver<Vec<Change>> {
        let (sink, changes) = mpsc::channel(64);
        tokio::spawn(deliver(self.link.clone(), source, sink, self.request_timeout * 2));
        changes
    }
}

/// Whether assignments are written by one whose term is over: they name another leader's key than there is.
fn deposed(named: &[Guard], ops: &[Op], leader: Option<&Entry>) -> bool {
    let publishes = ops.iter().any(|op| op.key().starts_with(keys::ASSIGNMENTS));
    let leads = named.iter().any(|guard| match guard {
        Guard::HeldBy { key, lease } => {
            key == keys::LEADER && leader.is_some_and(|leader| leader.lease == Some(*lease))
        }
        Guard::Absent { .. } | Guard::ModifiedAt { .. } => false,
    });
    publishes && !leads
}

/// Hands a watch's changes on. It falls silent when the link is cut and ends when the pings have found that out.
async fn deliver(
    link: Link,
    mut source: mpsc::Receiver<Vec<Change>>,
    sink: mpsc::Sender<Vec<Change>>,
    ping_timeout: Duration,
) {
    loop {
        let changes = tokio::select! {
            biased;
            () = sink.closed() => return,
            () = link.cut_for(ping_timeout) => return,
            changes = source.recv() => changes,
        };
        let Some(changes) = changes else { return };
        pass(link.transit("watched")).await;
        tokio::select! {
            biased;
            () = link.whole() => {}
            () = tokio::time::sleep(ping_timeout) => return,
        }
        if sink.send(changes).await.is_err() {
            return;
        }
    }
}
