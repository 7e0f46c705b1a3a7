//! Keys, leases, history and watchers behind one lock: a model of etcd's store.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ids::{Incarnation, Revision};
use tokio::{sync::mpsc, time::Instant};

use crate::registry::{
    Change, Commit, Entry, Guard, Listing, NO_SPACE, Op, Reading, RegistryError, Update, WATCH_BUFFER,
};

/// The changes that are kept for watches from the past (I5).
const HISTORY: usize = 10_000;

pub(super) struct KeyValueStore {
    reachable: bool,
    /// Puts under it are refused.
    full: Option<String>,
    revision: i64,
    keys: BTreeMap<String, Entry>,
    leases: BTreeMap<Incarnation, Lease>,
    next_lease: i64,
    /// In the order of revisions, from `compacted` on.
    history: Vec<Change>,
    compacted: Revision,
    watchers: Vec<Watcher>,
}

struct Lease {
    ttl: Duration,
    ends_at: Instant,
}

/// What a watch is of.
pub(super) enum Watched {
    Prefix(String),
    Key(String),
}

impl Watched {
    fn only(&self, changes: &[Change]) -> Vec<Change> {
        let concerns = |change: &&Change| match self {
            Self::Prefix(prefix) => change.key().starts_with(prefix),
            Self::Key(key) => change.key() == key,
        };
        changes.iter().filter(concerns).cloned().collect()
    }
}

struct Watcher {
    watched: Watched,
    sender: mpsc::Sender<Vec<Change>>,
}

impl KeyValueStore {
    pub(super) fn new() -> Self {
        Self {
            reachable: true,
            full: None,
            revision: 1,
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            next_lease: 1,
            history: Vec::new(),
            compacted: Revision(0),
            watchers: Vec::new(),
        }
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.reachable
    }

    pub(super) fn set_reachable(&mut self, reachable: bool) {
        self.reachable = reachable;
        if !reachable {
            self.watchers.clear();
        }
    }

    pub(super) fn refuse_puts(&mut self, prefix: Option<&str>) {
        self.full = prefix.map(str::to_owned);
    }

    pub(super) fn go_to(&mut self, revision: Revision) {
        self.revision = revision.0;
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.keys.get(key)
    }

    pub(super) fn read(&self, key: &str) -> Reading {
        Reading { entry: self.entry(key).cloned(), revision: Revision(self.revision) }
    }

    pub(super) fn list(&self, prefix: &str) -> Listing {
        Listing { entries: self.under(prefix).cloned().collect(), revision: Revision(self.revision) }
    }

    pub(super) fn list_since(&self, prefix: &str, since: Revision) -> Update {
        let keys = self.under(prefix).map(|entry| (entry.key.clone(), entry.mod_revision));
        let written = self.under(prefix).filter(|entry| entry.mod_revision > since);
        Update {
            keys: keys.collect(),
            written: written.cloned().collect(),
            revision: Revision(self.revision),
        }
    }

    fn under(&self, prefix: &str) -> impl Iterator<Item = &Entry> {
        let from_prefix = self.keys.range(prefix.to_owned()..);
        from_prefix.take_while(move |(key, _)| key.starts_with(prefix)).map(|(_, entry)| entry)
    }

    pub(super) fn commit(&mut self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError> {
        if !guards.iter().all(|guard| self.holds(guard)) {
            return Ok(Commit::Refused);
        }
        let puts_under = |full: &String| {
            ops.iter().any(|op| matches!(op, Op::Put { key, .. } if key.starts_with(full.as_str())))
        };
        if self.full.as_ref().is_some_and(puts_under) {
            let reason = format!("ResourceExhausted: etcdserver: mvcc: {NO_SPACE}");
            return Err(RegistryError::Refused { step: "a commit", reason });
        }
        for op in ops {
            if let Op::Put { lease: Some(lease), .. } = op
                && !self.leases.contains_key(lease)
            {
                return Err(RegistryError::LeaseLost { lease: *lease });
            }
        }
        let next = self.revision + 1;
        let changes: Vec<Change> = ops.iter().filter_map(|op| self.apply(op, Revision(next))).collect();
        self.publish(changes);
        Ok(Commit::Done { revision: Revision(self.revision) })
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Absent { key } => !self.keys.contains_key(key),
            Guard::HeldBy { key, lease } => {
                self.keys.get(key).is_some_and(|entry| entry.lease == Some(*lease))
            }
            Guard::ModifiedAt { key, revision } => {
                self.keys.get(key).is_some_and(|entry| entry.mod_revision == *revision)
            }
        }
    }

    fn apply(&mut self, op: &Op, revision: Revision) -> Option<Change> {
        match op {
            Op::Put { key, value, lease } => {
                let entry = Entry {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: self.keys.get(key).map_or(revision, |old| old.create_revision),
                    mod_revision: revision,
                    lease: *lease,
                };
                self.keys.insert(key.clone(), entry.clone());
                Some(Change::Put(entry))
            }
            Op::Delete { key } => {
                self.keys.remove(key)?;
                Some(Change::Delete { key: key.clone(), mod_revision: revision })
            }
        }
    }

    /// The revision grows by one if anything changed, as etcd's does.
    fn publish(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        self.revision += 1;
        self.watchers.retain(|watcher| {
            let seen = watcher.watched.only(&changes);
            // A reader that is too slow loses its watch, and lists again.
            seen.is_empty() || watcher.sender.try_send(seen).is_ok()
        });
        self.history.extend(changes);
        if self.history.len() > HISTORY {
            let newest_forgotten = self.history[self.history.len() - HISTORY / 2].revision();
            self.compact(newest_forgotten);
        }
    }

    pub(super) fn compact(&mut self, revision: Revision) {
        self.compacted = self.compacted.max(revision);
        let compacted = self.compacted;
        self.history.retain(|change| change.revision() > compacted);
    }

    pub(super) fn watch(&mut self, watched: Watched, after: Revision) -> mpsc::Receiver<Vec<Change>> {
        let (sender, receiver) = mpsc::channel(WATCH_BUFFER);
        if after < self.compacted {
            return receiver;
        }
        let missed: Vec<_> =
            self.history.iter().filter(|change| change.revision() > after).cloned().collect();
        let seen = watched.only(&missed);
        if !seen.is_empty() && sender.try_send(seen).is_err() {
            return receiver;
        }
        self.watchers.retain(|watcher| !watcher.sender.is_closed());
        self.watchers.push(Watcher { watched, sender });
        receiver
    }

    pub(super) fn grant(&mut self, ttl: Duration, now: Instant) -> Incarnation {
        let lease = Incarnation(self.next_lease);
        self.next_lease += 1;
        self.leases.insert(lease, Lease { ttl, ends_at: now + ttl });
        lease
    }

    /// Whether there was such a lease.
    pub(super) fn renew(&mut self, lease: Incarnation, now: Instant) -> bool {
        let Some(lease) = self.leases.get_mut(&lease) else { return false };
        lease.ends_at = now + lease.ttl;
        true
    }

    pub(super) fn lease_ends_at(&self, lease: Incarnation) -> Option<Instant> {
        self.leases.get(&lease).map(|lease| lease.ends_at)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let ended: Vec<_> =
            self.leases.iter().filter(|(_, lease)| lease.ends_at <= now).map(|(id, _)| *id).collect();
        for lease in ended {
            self.end_lease(lease);
        }
    }

    pub(super) fn end_lease(&mut self, lease: Incarnation) {
        if self.leases.remove(&lease).is_none() {
            return;
        }
        let next = Revision(self.revision + 1);
        let held = self.keys.values().filter(|entry| entry.lease == Some(lease));
        let deletes: Vec<_> = held.map(|entry| Op::Delete { key: entry.key.clone() }).collect();
        let changes = deletes.iter().filter_map(|op| self.apply(op, next)).collect();
        self.publish(changes);
    }
}
