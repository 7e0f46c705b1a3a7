//! The registry in memory: etcd's semantics without etcd, for simulation and tests.
//!
//! Time is the runtime's, so a test that pauses it decides when leases end. [`MemoryRegistry::cut_off`] makes every
//! call fail and every watch end, as an etcd that is down does; leases run on meanwhile.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use roost_model::ids::{Incarnation, Revision};
use tokio::{sync::mpsc, time::Instant};

use super::{Change, Commit, Guard, Listing, Op, Reading, Registry, RegistryError, Update};

mod key_value_store;

use key_value_store::{KeyValueStore, Watched};

/// Shared by everything that is to see the same keys: wrap it in an `Arc`.
pub struct MemoryRegistry {
    cluster_id: String,
    state: Arc<Mutex<KeyValueStore>>,
    compactions: Mutex<Compactions>,
}

#[derive(Default)]
struct Compactions {
    done: Vec<Revision>,
    are_refused: bool,
}

impl MemoryRegistry {
    /// Empty, at revision 1 like a new etcd.
    pub fn new(cluster_id: &str) -> Self {
        let state = Arc::new(Mutex::new(KeyValueStore::new()));
        Self { cluster_id: cluster_id.to_owned(), state, compactions: Mutex::default() }
    }

    /// From now on every call fails and every watch has ended, until [`MemoryRegistry::reconnect`].
    pub fn cut_off(&self) {
        self.state.lock().set_reachable(false);
    }

    pub fn reconnect(&self) {
        self.state.lock().set_reachable(true);
    }

    /// From now on every commit that puts a key under this prefix is refused, as an etcd does whose quota is used up; until
    /// it is given none.
    pub fn refuse_puts(&self, prefix: Option<&str>) {
        self.state.lock().refuse_puts(prefix);
    }

    /// From now on no history is forgotten, or again.
    pub fn refuse_compactions(&self, refuse: bool) {
        self.compactions.lock().are_refused = refuse;
    }

    /// What was asked to be forgotten and was, in order.
    pub fn compactions(&self) -> Vec<Revision> {
        self.compactions.lock().done.clone()
    }

    /// Empty, and as far as if it had been written to: what a restored backup is to those who knew it later.
    pub fn gone_back_to(cluster_id: &str, revision: Revision) -> Self {
        let registry = Self::new(cluster_id);
        registry.state.lock().go_to(revision);
        registry
    }

    fn reach(&self, step: &'static str) -> Result<parking_lot::MutexGuard<'_, KeyValueStore>, RegistryError> {
        let mut state = self.state.lock();
        if !state.is_reachable() {
            return Err(RegistryError::Unavailable { step, reason: "cut off".to_owned() });
        }
        state.expire(Instant::now());
        Ok(state)
    }

    /// Ends the lease when its time comes, so that watchers learn of it without a call.
    fn spawn_expiry(&self, lease: Incarnation) {
        let state = Arc::downgrade(&self.state);
        tokio::spawn(async move {
            while let Some(state) = state.upgrade() {
                let Some(ends_at) = state.lock().lease_ends_at(lease) else { return };
                if ends_at <= Instant::now() {
                    state.lock().expire(Instant::now());
                    return;
                }
                drop(state);
                tokio::time::sleep_until(ends_at).await;
            }
        });
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn cluster_id(&self) -> Result<String, RegistryError> {
        self.reach("reading the cluster id").map(|_| self.cluster_id.clone())
    }

    async fn grant(&self, ttl: Duration) -> Result<Incarnation, RegistryError> {
        const STEP: &str = "granting a lease";
        if ttl.is_zero() || ttl.subsec_nanos() != 0 {
            let reason = format!("a TTL of {ttl:?} is not in whole seconds");
            return Err(RegistryError::Refused { step: STEP, reason });
        }
        let lease = self.reach(STEP)?.grant(ttl, Instant::now());
        self.spawn_expiry(lease);
        Ok(lease)
    }

    async fn keep_alive(&self, lease: Incarnation, key: &str) -> Result<(), RegistryError> {
        let mut state = self.reach("renewing a lease")?;
        let proven = state.entry(key).is_some_and(|entry| entry.lease == Some(lease));
        let renewed = state.renew(lease, Instant::now());
        if renewed && proven { Ok(()) } else { Err(RegistryError::LeaseLost { lease }) }
    }

    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError> {
        self.reach("revoking a lease")?.end_lease(lease);
        Ok(())
    }

    async fn read(&self, key: &str) -> Result<Reading, RegistryError> {
        Ok(self.reach("reading a key")?.read(key))
    }

    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        Ok(self.reach("listing keys")?.list(prefix))
    }

    async fn list_since(&self, prefix: &str, since: Revision) -> Result<Update, RegistryError> {
        Ok(self.reach("listing keys")?.list_since(prefix, since))
    }

    async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError> {
        super::check_commit(guards, ops)?;
        self.reach("a commit")?.commit(guards, ops)
    }

    async fn compact(&self, revision: Revision) -> Result<(), RegistryError> {
        const STEP: &str = "compacting";
        let mut compactions = self.compactions.lock();
        if compactions.are_refused {
            return Err(RegistryError::Unavailable { step: STEP, reason: "refused".to_owned() });
        }
        self.reach(STEP)?.compact(revision);
        compactions.done.push(revision);
        Ok(())
    }

    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        Ok(self.reach("starting a watch")?.watch(Watched::Prefix(prefix.to_owned()), after))
    }

    async fn watch_key(
        &self,
        key: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        Ok(self.reach("starting a watch")?.watch(Watched::Key(key.to_owned()), after))
    }
}
