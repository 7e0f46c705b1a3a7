//! Following `assignments/<node>`: what the controller wants this life of the node to host.

use roost_cluster::{
    keys,
    records::{AssignmentEntry, AssignmentRecord},
    registry::{Change, Entry, RegistryError, SharedRegistry},
    timing::Timing,
};
use roost_model::ids::{Incarnation, Revision};
use tokio::sync::watch;

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
            tracing::warn!(%error, "the assignments cannot be followed now");
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
        let listing = self.registry.list(&self.key).await?;
        // The key is a prefix of longer names; they are other nodes'.
        match listing.entries.iter().find(|entry| entry.key == self.key) {
            Some(entry) => self.take(entry)?,
            None => self.set(Assigned { revision: listing.revision, entries: Vec::new() }),
        }
        let mut watch = self.registry.watch(&self.key, listing.revision).await?;
        while let Some(changes) = watch.recv().await {
            for change in changes.iter().filter(|change| change.key() == self.key) {
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use roost_cluster::{
        records::Phase,
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
}
