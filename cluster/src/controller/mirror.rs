//! The registry as the term has read it so far, kept from pass to pass.
//!
//! A pass relies on one revision of everything. At 100,000 tenants that is some fifteen megabytes of JSON, nearly all
//! of it as it was a moment ago, and a drain takes hundreds of passes. So each pass asks for the keys with their mod
//! revisions and for the values that are new ([`Registry::list_since`]), and decodes only these. Why not follow the
//! watch instead: a watch that has said nothing is either silent or late, and etcd can tell the two apart only by
//! progress notifications, which name revisions of the whole store. Here what was read is as linearizable as a listing,
//! and the mirror proves it key by key: every key of the answer has to be here under the same mod revision.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::ids::Revision;

use crate::{
    election::Leadership,
    keys::{self, Key},
    registry::{Entry, Registry, RegistryError, Update},
};

use super::{
    error::ControllerError,
    registry_view::{Ack, RegistryView},
};

#[derive(Default)]
pub(super) struct Mirror {
    view: RegistryView,
    /// The mod revision of every key, also of those that this version does not know.
    versions: BTreeMap<String, Revision>,
    /// The create revision of the leader's key.
    leader: Option<Revision>,
}

impl Mirror {
    /// Brings it up to the present; `Superseded` if that shows another leader than `leadership`. A record that cannot be
    /// read stops every pass: what it says may be what keeps a tenant from being placed twice.
    pub(super) async fn refresh(
        &mut self,
        registry: &dyn Registry,
        leadership: &Leadership,
    ) -> Result<(), ControllerError> {
        let since = self.view.revision;
        let update = registry.list_since(keys::ALL, since).await.map_err(ControllerError::Registry)?;
        if !self.take_in(&update).map_err(ControllerError::Registry)? {
            tracing::warn!(%since, "the registry is not the one that was read before: it is read anew");
            *self = Self::default();
            let all = registry.list_since(keys::ALL, Revision(0)).await.map_err(ControllerError::Registry)?;
            if !self.take_in(&all).map_err(ControllerError::Registry)? {
                let reason = "a value is missing, or of another revision than its key".to_owned();
                return Err(ControllerError::Registry(RegistryError::Refused {
                    step: "listing keys",
                    reason,
                }));
            }
        }
        if self.leader == Some(leadership.revision) { Ok(()) } else { Err(ControllerError::Superseded) }
    }

    pub(super) fn view(&self) -> &RegistryView {
        &self.view
    }

    /// Whether it is now what the registry was at the update's revision.
    fn take_in(&mut self, update: &Update) -> Result<bool, RegistryError> {
        if update.revision < self.view.revision {
            return Ok(false);
        }
        for entry in &update.written {
            self.write(entry)?;
        }
        let present: BTreeSet<&str> = update.keys.iter().map(|(key, _)| key.as_str()).collect();
        let gone: Vec<String> =
            self.versions.keys().filter(|key| !present.contains(key.as_str())).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
        // Last, so that what could not be decoded is asked for again.
        self.view.revision = update.revision;
        Ok(update.keys.iter().all(|(key, revision)| self.versions.get(key) == Some(revision)))
    }

    pub(super) fn write(&mut self, entry: &Entry) -> Result<(), RegistryError> {
        match Key::parse(&entry.key) {
            Some(Key::Leader) => self.leader = Some(entry.create_revision),
            Some(Key::Node(node)) => {
                self.view.nodes.insert(node, keys::decode(entry)?);
            }
            Some(Key::Assignments(node)) => {
                self.view.assignments.insert(node, (keys::decode(entry)?, entry.mod_revision));
            }
            Some(Key::Ack(node)) => {
                self.view.acks.insert(node, Ack::of(keys::decode(entry)?));
            }
            Some(Key::Store) | None => {}
        }
        self.versions.insert(entry.key.clone(), entry.mod_revision);
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        match Key::parse(key) {
            Some(Key::Leader) => self.leader = None,
            Some(Key::Node(node)) => drop(self.view.nodes.remove(&node)),
            Some(Key::Assignments(node)) => drop(self.view.assignments.remove(&node)),
            Some(Key::Ack(node)) => drop(self.view.acks.remove(&node)),
            Some(Key::Store) | None => {}
        }
        self.versions.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::RuntimeClock,
        controller::tests::live_node,
        election,
        records::LeaderRecord,
        registry::{MemoryRegistry, Op},
        timing::Timing,
    };

    async fn elected(registry: &MemoryRegistry) -> Leadership {
        let candidate = LeaderRecord { holder: "coordinator/one".to_owned(), address: String::new() };
        let (clock, timing) = (RuntimeClock::start(), Timing::default());
        election::stand(registry, &clock, &timing, &candidate).await.unwrap().unwrap()
    }

    async fn write(registry: &MemoryRegistry, ops: &[Op]) {
        registry.commit(&[], ops).await.unwrap();
    }

    fn node(name: &str, life: i64) -> Op {
        let record = live_node(name, life, "");
        Op::Put { key: keys::node(&record.node), value: keys::encode(&record), lease: None }
    }

    fn lives(mirror: &Mirror) -> Vec<(&str, i64)> {
        mirror.view().nodes.values().map(|record| (record.node.as_str(), record.incarnation.0)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn it_follows_what_is_written_and_what_goes() {
        let registry = MemoryRegistry::new("memory");
        let leadership = elected(&registry).await;
        let mut mirror = Mirror::default();
        write(&registry, &[node("a", 1), node("b", 1)]).await;
        mirror.refresh(&registry, &leadership).await.unwrap();
        assert_eq!(lives(&mirror), [("a", 1), ("b", 1)]);
        write(&registry, &[node("b", 2), node("c", 1), Op::Delete { key: "nodes/a".to_owned() }]).await;
        mirror.refresh(&registry, &leadership).await.unwrap();
        assert_eq!(lives(&mirror), [("b", 2), ("c", 1)]);
        assert_eq!(mirror.view().revision, registry.list("").await.unwrap().revision);

        registry.revoke(leadership.lease).await.unwrap();
        let refreshed = mirror.refresh(&registry, &leadership).await;
        assert!(matches!(refreshed, Err(ControllerError::Superseded)), "{refreshed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_is_another_one_is_read_anew() {
        let (old, new) = (MemoryRegistry::new("memory"), MemoryRegistry::new("memory"));
        let leadership = elected(&old).await;
        assert_eq!(elected(&new).await.revision, leadership.revision, "the backup has the leader's key");
        write(&old, &[node("a", 1), node("b", 1)]).await;
        write(&old, &[Op::Put { key: "other".to_owned(), value: Vec::new(), lease: None }]).await;
        let mut mirror = Mirror::default();
        mirror.refresh(&old, &leadership).await.unwrap();
        write(&new, &[node("c", 7)]).await;
        write(&new, &[node("a", 7), node("b", 7)]).await;
        write(&new, &[Op::Delete { key: "nodes/c".to_owned() }, node("b", 8)]).await;
        // First it is later than what was read, but has `a` from a revision that is no news; then it is earlier.
        mirror.refresh(&new, &leadership).await.unwrap();
        assert_eq!(lives(&mirror), [("a", 7), ("b", 8)]);
        mirror.refresh(&old, &leadership).await.unwrap();
        assert_eq!(lives(&mirror), [("a", 1), ("b", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_damaged_record_stops_every_pass_until_it_is_whole() {
        let registry = MemoryRegistry::new("memory");
        let leadership = elected(&registry).await;
        let mut mirror = Mirror::default();
        mirror.refresh(&registry, &leadership).await.unwrap();
        let damaged = Op::Put { key: "nodes/b".to_owned(), value: b"{".to_vec(), lease: None };
        write(&registry, &[node("a", 1), damaged]).await;
        for _ in 0..2 {
            let refreshed = mirror.refresh(&registry, &leadership).await;
            assert!(
                matches!(refreshed, Err(ControllerError::Registry(RegistryError::Corrupt { .. }))),
                "{refreshed:?}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        write(&registry, &[node("b", 1)]).await;
        mirror.refresh(&registry, &leadership).await.unwrap();
        assert_eq!(lives(&mirror), [("a", 1), ("b", 1)]);
    }
}
