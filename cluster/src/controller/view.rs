//! The registry and the ledger as a pass finds them, and the [`Snapshot`] that follows from them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    election::Leadership,
    ids::{NodeId, Revision, TenantId},
    keys::{self, Key},
    ledger::Demand,
    plan::{Goal, Hold, Intake, NodeView, Snapshot, TenantView, Wanted},
    records::{AckRecord, AssignmentEntry, AssignmentRecord, NodeRecord},
    registry::{Listing, RegistryError},
};

use super::trouble::Trouble;

/// One moment of the registry.
pub(super) struct View {
    pub(super) revision: Revision,
    /// The live ones.
    pub(super) nodes: BTreeMap<NodeId, NodeRecord>,
    /// What is published, of nodes alive and dead, with the mod revision of each.
    pub(super) assignments: BTreeMap<NodeId, (AssignmentRecord, Revision)>,
    acks: BTreeMap<NodeId, AckRecord>,
}

impl View {
    /// A listing of everything, taken in at one revision; `Superseded` if it shows another leader than `leadership`.
    pub(super) fn read(listing: &Listing, leadership: &Leadership) -> Result<Self, Trouble> {
        let mut view = Self {
            revision: listing.revision,
            nodes: BTreeMap::new(),
            assignments: BTreeMap::new(),
            acks: BTreeMap::new(),
        };
        let mut leads = false;
        for entry in &listing.entries {
            match Key::parse(&entry.key) {
                Some(Key::Leader) => leads = entry.create_revision == leadership.revision,
                Some(Key::Node(node)) => {
                    view.nodes.insert(node, readable(keys::decode(entry))?);
                }
                Some(Key::Assignments(node)) => {
                    view.assignments.insert(node, (readable(keys::decode(entry))?, entry.mod_revision));
                }
                Some(Key::Ack(node)) => {
                    view.acks.insert(node, readable(keys::decode(entry))?);
                }
                Some(Key::Store) | None => {}
            }
        }
        if leads { Ok(view) } else { Err(Trouble::Superseded) }
    }

    /// The published entries of a node that are addressed to its present life; those of an ended life count for
    /// nothing, for nothing of it is alive.
    pub(super) fn live_entries(&self, node: &NodeId) -> &[AssignmentEntry] {
        let alive = self.nodes.get(node).map(|record| record.incarnation);
        match self.assignments.get(node) {
            Some((record, _)) if Some(record.incarnation) == alive => &record.entries,
            Some(_) | None => &[],
        }
    }

    /// The node has taken in its record as it is published, and does not have the tenant.
    fn has_let_go(&self, node: &NodeId, tenant: &TenantId) -> bool {
        let Some((published, modified_at)) = self.assignments.get(node) else { return false };
        self.acks.get(node).is_some_and(|ack| {
            ack.incarnation == published.incarnation
                && ack.applied >= *modified_at
                && !ack.held.iter().any(|held| held.tenant == *tenant)
        })
    }

    pub(super) fn snapshot(&self, demands: &[Demand], goal: Goal) -> Snapshot {
        let mut holds = self.holds();
        let wanted: BTreeSet<&TenantId> = demands.iter().map(|demand| &demand.tenant).collect();
        let deleted: Vec<TenantId> =
            holds.keys().filter(|tenant| !wanted.contains(tenant)).cloned().collect();
        let mut tenants = Vec::with_capacity(demands.len() + deleted.len());
        for demand in demands {
            tenants.push(TenantView {
                tenant: demand.tenant.clone(),
                wanted: if demand.running { Wanted::Running } else { Wanted::Stopped },
                generation: demand.generation,
                last: demand.node.clone(),
                pin: None,
                holds: holds.remove(&demand.tenant).unwrap_or_default(),
            });
        }
        for tenant in deleted {
            let holds = holds.remove(&tenant).unwrap_or_default();
            let generation = holds.iter().map(|hold| hold.generation).max().unwrap_or_default();
            tenants.push(TenantView {
                tenant,
                wanted: Wanted::Deleted,
                generation,
                last: None,
                pin: None,
                holds,
            });
        }
        Snapshot { nodes: self.nodes.values().map(node_view).collect(), tenants, goal }
    }

    fn holds(&self) -> BTreeMap<TenantId, Vec<Hold>> {
        let mut holds: BTreeMap<TenantId, Vec<Hold>> = BTreeMap::new();
        for node in self.nodes.keys() {
            for entry in self.live_entries(node) {
                holds.entry(entry.tenant.clone()).or_default().push(Hold {
                    node: node.clone(),
                    generation: entry.generation,
                    phase: entry.phase,
                    let_go: self.has_let_go(node, &entry.tenant),
                });
            }
        }
        holds
    }
}

/// A record that cannot be read stops every pass: what it says may be what keeps a tenant from being placed twice.
fn readable<R>(decoded: Result<R, RegistryError>) -> Result<R, Trouble> {
    decoded.map_err(Trouble::Registry)
}

fn node_view(record: &NodeRecord) -> NodeView {
    NodeView {
        node: record.node.clone(),
        capacity: record.capacity,
        weight: record.weight,
        intake: if record.leaving { Intake::Leaving } else { Intake::Open },
    }
}
