//! What this life of the node hosts, as the controller and it tell each other: `assignments/<node>` says what it is to host,
//! `acks/<node>` which of these records it has taken in and which tenants it holds.
//!
//! The order is what I1 rests on: a tenant is in the published `held` from before its browser is launched until after
//! its browser is dead. So a launch waits for the write that says so ([`Published::wait`]); a removal need not.
//!
//! There is one writer, and it writes whole states, the newest only.

use roost_cluster::{
    keys,
    records::{AckRecord, AssignmentEntry, AssignmentRecord},
    registry::{Change, Entry, RegistryError, SharedRegistry},
    timing::Timing,
};
use roost_model::{
    causes,
    ids::{Incarnation, NodeId, Revision},
};
use tokio::sync::watch;

use super::own_key::OwnKey;

/// The newest record that has been seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assigned {
    /// The mod revision of the record, or where it was seen not to be.
    pub revision: Revision,
    /// Empty when there is no record, or it was meant for another life of this node.
    pub entries: Vec<AssignmentEntry>,
}

/// Follows `key` for as long as `into` has a receiver. The value is replaced whole: only the newest counts.
pub async fn follow(
    registry: SharedRegistry,
    key: String,
    incarnation: Incarnation,
    timing: Timing,
    into: watch::Sender<Assigned>,
) {
    let follower = Follower { registry, key, incarnation, into };
    while !follower.into.is_closed() {
        if let Err(error) = follower.list_and_watch().await {
            tracing::warn!(error = %causes(&error), "the assignments cannot be followed now");
        }
        tokio::time::sleep(timing.watch_retry).await;
    }
}

struct Follower {
    registry: SharedRegistry,
    key: String,
    incarnation: Incarnation,
    into: watch::Sender<Assigned>,
}

impl Follower {
    /// Returns when the watch ends, as it does when etcd restarts.
    async fn list_and_watch(&self) -> Result<(), RegistryError> {
        let seen = self.registry.read(&self.key).await?;
        match &seen.entry {
            Some(entry) => self.take(entry)?,
            None => self.set(Assigned { revision: seen.revision, entries: Vec::new() }),
        }
        let mut watch = self.registry.watch_key(&self.key, seen.revision).await?;
        while let Some(changes) = watch.recv().await {
            for change in &changes {
                match change {
                    Change::Put(entry) => self.take(entry)?,
                    Change::Delete { mod_revision, .. } => {
                        self.set(Assigned { revision: *mod_revision, entries: Vec::new() });
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&self, entry: &Entry) -> Result<(), RegistryError> {
        let record: AssignmentRecord = keys::decode(entry)?;
        let ours = record.incarnation == self.incarnation;
        let entries = if ours { record.entries } else { Vec::new() };
        self.set(Assigned { revision: entry.mod_revision, entries });
        Ok(())
    }

    fn set(&self, assigned: Assigned) {
        self.into.send_if_modified(|known| {
            // A listing after a broken watch may come from a member that lags, but never from before what it told us.
            let newer = assigned.revision > known.revision && assigned != *known;
            if newer {
                *known = assigned;
            }
            newer
        });
    }
}

/// Hands states to the writer.
#[derive(Debug)]
pub struct AckPublisher {
    wanted: watch::Sender<(u64, AckRecord)>,
    written: watch::Receiver<u64>,
}

/// A state that was handed over.
#[derive(Debug, Clone)]
pub struct Published {
    number: u64,
    written: watch::Receiver<u64>,
}

/// The writer has ended: this life of the node is over.
#[derive(Debug, Clone, Copy)]
pub struct NeverPublished;

impl AckPublisher {
    /// Also returns the writer, to be run as a task for as long as the lease lives.
    pub fn new(
        registry: SharedRegistry,
        node: &NodeId,
        incarnation: Incarnation,
        timing: Timing,
    ) -> (Self, AckWriter) {
        // What the registration has written.
        let nothing_held = AckRecord {
            incarnation,
            applied: Revision(0),
            held: Vec::new(),
            prepared: Vec::new(),
            failed: Vec::new(),
        };
        let (wanted_tx, wanted) = watch::channel((0, nothing_held));
        let (written_tx, written) = watch::channel(0);
        let own = OwnKey::new(registry, keys::ack(node), incarnation);
        let writer = AckWriter { own, timing, wanted, written: written_tx };
        (Self { wanted: wanted_tx, written }, writer)
    }

    /// Replaces the state that is to be written.
    pub fn publish(&self, record: AckRecord) -> Published {
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            number = wanted.0 + 1;
            *wanted = (number, record);
        });
        Published { number, written: self.written.clone() }
    }
}

impl Published {
    /// Returns once this state, or a later one, is in the registry.
    pub async fn wait(&mut self) -> Result<(), NeverPublished> {
        let number = self.number;
        self.written.wait_for(|&written| written >= number).await.map(drop).map_err(|_| NeverPublished)
    }
}

/// Writes what [`AckPublisher`] is given.
pub struct AckWriter {
    own: OwnKey,
    timing: Timing,
    wanted: watch::Receiver<(u64, AckRecord)>,
    written: watch::Sender<u64>,
}

impl AckWriter {
    /// Ends when the lease is gone or nobody wants anything any more.
    pub async fn run(mut self) {
        while self.wanted.changed().await.is_ok() {
            let (number, record) = self.wanted.borrow_and_update().clone();
            match self.own.write("acknowledge", keys::encode(&record)).await {
                Ok(()) => drop(self.written.send_replace(number)),
                Err(RegistryError::LeaseLost { .. }) => return,
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "the acknowledgement is not written yet");
                    self.wanted.mark_changed();
                    tokio::time::sleep(self.timing.watch_retry).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use roost_cluster::{
        records::{HeldTenant, Phase},
        registry::{Commit, MemoryRegistry, Op, Registry},
    };
    use roost_model::ids::{Generation, SpecRevision, TenantId};

    use super::*;

    const OURS: Incarnation = Incarnation(7);

    async fn put(
        registry: &MemoryRegistry,
        key: &str,
        incarnation: Incarnation,
        tenants: &[&str],
    ) -> Assigned {
        let entry = |tenant: &&str| AssignmentEntry {
            tenant: TenantId::new(tenant).unwrap(),
            generation: Generation(1),
            phase: Phase::Active,
            spec_revision: SpecRevision(1),
        };
        let record = AssignmentRecord { incarnation, entries: tenants.iter().map(entry).collect() };
        let put = Op::Put { key: key.to_owned(), value: keys::encode(&record), lease: None };
        match registry.commit(&[], &[put]).await.unwrap() {
            Commit::Done { revision } => Assigned { revision, entries: record.entries },
            Commit::Refused => unreachable!("there was no guard"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_record_for_this_life_is_followed_through_outages() {
        let registry = Arc::new(MemoryRegistry::new("m"));
        let (into, mut assigned) = watch::channel(Assigned::default());
        let shared: SharedRegistry = registry.clone();
        tokio::spawn(follow(shared, "assignments/a".to_owned(), OURS, Timing::default(), into));
        let mut sees = async |wanted: Assigned| {
            let seen = assigned.wait_for(|seen| *seen == wanted);
            drop(
                tokio::time::timeout(Duration::from_secs(60), seen).await.expect("it is never seen").unwrap(),
            );
        };

        sees(put(&registry, "assignments/a", OURS, &["t"]).await).await;
        let other = put(&registry, "assignments/a", Incarnation(6), &["t"]).await;
        sees(Assigned { entries: Vec::new(), ..other }).await;
        put(&registry, "assignments/a1", OURS, &["not-ours"]).await;
        sees(put(&registry, "assignments/a", OURS, &["t", "u"]).await).await;

        registry.cut_off();
        tokio::time::sleep(Duration::from_secs(9)).await;
        registry.reconnect();
        sees(put(&registry, "assignments/a", OURS, &["v"]).await).await;
    }

    struct Bench {
        registry: Arc<MemoryRegistry>,
        lease: Incarnation,
        acks: AckPublisher,
    }

    async fn bench() -> Bench {
        let registry = Arc::new(MemoryRegistry::new("m"));
        let lease = registry.grant(Duration::from_secs(3600)).await.unwrap();
        let node = NodeId::new("a").unwrap();
        let (acks, writer) = AckPublisher::new(registry.clone(), &node, lease, Timing::default());
        let first = keys::encode(&acks.wanted.borrow().1);
        let put = Op::Put { key: keys::ack(&node), value: first, lease: Some(lease) };
        registry.commit(&[], &[put]).await.unwrap();
        tokio::spawn(writer.run());
        Bench { registry, lease, acks }
    }

    impl Bench {
        fn holding(&self, applied: i64) -> AckRecord {
            let held = HeldTenant { tenant: TenantId::new("t").unwrap(), generation: Generation(applied) };
            AckRecord {
                incarnation: self.lease,
                applied: Revision(applied),
                held: vec![held],
                prepared: Vec::new(),
                failed: Vec::new(),
            }
        }

        async fn written(&self) -> AckRecord {
            keys::decode(&self.registry.get("acks/a").await.unwrap().unwrap()).unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_is_in_the_registry_also_after_an_outage() {
        let bench = bench().await;
        bench.acks.publish(bench.holding(1)).wait().await.unwrap();
        assert_eq!(bench.written().await, bench.holding(1));
        bench.registry.cut_off();
        let mut second = bench.acks.publish(bench.holding(2));
        assert!(tokio::time::timeout(Duration::from_secs(9), second.wait()).await.is_err());
        let mut third = bench.acks.publish(bench.holding(3));
        bench.registry.reconnect();
        third.wait().await.unwrap();
        assert_eq!(bench.written().await, bench.holding(3), "only the newest is written");
        second.wait().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_published_under_a_lease_that_has_ended() {
        let bench = bench().await;
        bench.registry.revoke(bench.lease).await.unwrap();
        bench.acks.publish(bench.holding(1)).wait().await.unwrap_err();
        assert_eq!(bench.registry.get("acks/a").await.unwrap(), None);
    }
}
