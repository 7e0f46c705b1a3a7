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
