//! Records of live nodes that cannot be read: each is told of once, with what a person can do, and holds up nobody but the
//! tenants of its node. See [`crate::plan::Snapshot::unreadable`] for what follows from one.

use std::collections::BTreeMap;

use roost_model::ids::NodeId;

use crate::ledger::ComplaintKind;

/// A value in the registry that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnreadableRecord {
    pub(super) node: NodeId,
    /// Names the key.
    pub(super) reason: String,
}

/// Those that have been told of, by key.
#[derive(Default)]
pub(super) struct UnreadableRecords {
    told: BTreeMap<String, String>,
}

impl UnreadableRecords {
    /// Takes in what a pass has found; for the controller's status.
    pub(super) fn step<'a>(
        &mut self,
        found: impl Iterator<Item = (&'a String, &'a UnreadableRecord)>,
    ) -> Option<String> {
        let found: BTreeMap<&String, &UnreadableRecord> = found.collect();
        self.told.retain(|key, _| {
            let stays = found.contains_key(key);
            if !stays {
                tracing::info!(key, "the record no longer holds up the tenants of its node");
            }
            stays
        });
        for (key, UnreadableRecord { node, reason }) in &found {
            if self.told.insert((*key).clone(), reason.clone()).as_ref() != Some(reason) {
                tracing::error!(
                    key,
                    %node,
                    reason,
                    remedy = ComplaintKind::Records.remedy(),
                    "a record in etcd cannot be read: its node's tenants are left as they are, and it takes no others"
                );
            }
        }
        self.told.values().cloned().reduce(|all, one| format!("{all}; {one}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::*;

    /// Counts what a person is told by the log.
    #[derive(Clone, Default)]
    struct Errors(Arc<AtomicUsize>);

    impl Subscriber for Errors {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::ERROR
        }
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn each_record_is_told_of_once_and_again_when_it_is_another_damage() {
        let mut unreadable = UnreadableRecords::default();
        let errors = Errors::default();
        let mut step = |found: &[(&str, &str)]| {
            let damaged = |&(key, reason): &(&str, &str)| {
                let node = NodeId::new("a").unwrap();
                (key.to_owned(), UnreadableRecord { node, reason: reason.to_owned() })
            };
            let found: Vec<_> = found.iter().map(damaged).collect();
            let before = errors.0.load(Ordering::Relaxed);
            let complaint = tracing::subscriber::with_default(errors.clone(), || {
                unreadable.step(found.iter().map(|(key, record)| (key, record)))
            });
            (errors.0.load(Ordering::Relaxed) - before, complaint)
        };
        let (told, complaint) = step(&[("acks/a", "acks/a: x"), ("nodes/a", "nodes/a: y")]);
        assert_eq!((told, complaint), (2, Some("acks/a: x; nodes/a: y".to_owned())));
        let (told, complaint) = step(&[("nodes/a", "nodes/a: y")]);
        assert_eq!((told, complaint), (0, Some("nodes/a: y".to_owned())));
        assert_eq!(step(&[("nodes/a", "nodes/a: z")]).0, 1);
        assert_eq!(step(&[]), (0, None));
        assert_eq!(step(&[("nodes/a", "nodes/a: z")]).0, 1, "it was whole in between");
    }
}
