//! The registry and the ledger as a pass finds them, and the [`Snapshot`] that follows from them.

use std::collections::{BTreeMap, HashMap};

use roost_model::ids::{Generation, Incarnation, NodeId, Revision, TenantId};

use crate::{
    ledger::DesiredTenant,
    plan::{Hold, Intake, NodeView, Preparation, Snapshot, TenantView, Wanted},
    records::{AckRecord, AssignmentEntry, AssignmentRecord, HeldTenant, NodeRecord, Phase},
};

use super::plan_inputs::PlanInputs;

/// One moment of the registry.
#[derive(Default)]
pub(super) struct RegistryView {
    pub(super) revision: Revision,
    /// The live ones.
    pub(super) nodes: BTreeMap<NodeId, NodeRecord>,
    /// What is published, of nodes alive and dead, with the mod revision of each.
    pub(super) assignments: BTreeMap<NodeId, (AssignmentRecord, Revision)>,
    pub(super) acks: BTreeMap<NodeId, Ack>,
}

/// An [`AckRecord`] that can be asked quickly.
pub(super) struct Ack {
    incarnation: Incarnation,
    applied: Revision,
    /// In order.
    held: Vec<TenantId>,
    /// In order.
    prepared: Vec<HeldTenant>,
}

impl Ack {
    pub(super) fn of(record: AckRecord) -> Self {
        let AckRecord { incarnation, applied, held, mut prepared } = record;
        let mut held: Vec<TenantId> = held.into_iter().map(|held| held.tenant).collect();
        held.sort_unstable();
        prepared.sort_unstable();
        Self { incarnation, applied, held, prepared }
    }
}

/// What the ledger wants, by tenant.
pub(super) type DesiredByTenant<'a> = HashMap<&'a TenantId, &'a DesiredTenant>;

/// What the live nodes have of one tenant.
#[derive(Default)]
struct Presence {
    holds: Vec<Hold>,
    preparations: Vec<Preparation>,
}

impl RegistryView {
    /// The published entries of a node that are addressed to its present life; those of an ended life count for
    /// nothing, for nothing of it is alive.
    pub(super) fn live_entries(&self, node: &NodeId) -> &[AssignmentEntry] {
        let alive = self.nodes.get(node).map(|record| record.incarnation);
        match self.assignments.get(node) {
            Some((record, _)) if Some(record.incarnation) == alive => &record.entries,
            Some(_) | None => &[],
        }
    }

    pub(super) fn snapshot(
        &self,
        desired_tenants: &[DesiredTenant],
        by_tenant: &DesiredByTenant<'_>,
        inputs: &PlanInputs,
    ) -> Snapshot {
        let mut presences = self.presences(by_tenant);
        let mut tenants = Vec::with_capacity(desired_tenants.len());
        for desired in desired_tenants {
            let presence = presences.remove(&desired.tenant).unwrap_or_default();
            tenants.push(TenantView {
                tenant: desired.tenant.clone(),
                wanted: if desired.running { Wanted::Running } else { Wanted::Stopped },
                generation: desired.generation,
                last: desired.node.clone(),
                pin: desired.pin.clone(),
                move_to: inputs.moves.get(&desired.tenant).cloned(),
                preparations: presence.preparations,
                holds: presence.holds,
            });
        }
        // What is left of them is no tenant's any more.
        tenants.extend(presences.into_iter().map(|(tenant, presence)| deleted(tenant, presence)));
        Snapshot {
            nodes: self.nodes.values().map(|record| node_view(record, inputs)).collect(),
            tenants,
            goal: inputs.goal,
            awaited: inputs.awaited.clone(),
            failover_paused: inputs.failover_paused,
            failing_zones: inputs.failing_zones.clone(),
            limits: inputs.limits,
        }
    }

    fn presences(&self, by_tenant: &DesiredByTenant<'_>) -> HashMap<&TenantId, Presence> {
        let mut presences: HashMap<&TenantId, Presence> = HashMap::with_capacity(by_tenant.len());
        for node in self.nodes.keys() {
            for entry in self.live_entries(node) {
                let tenant = &entry.tenant;
                match entry.phase {
                    Phase::Active | Phase::Releasing => {
                        let hold = Hold {
                            node: node.clone(),
                            generation: entry.generation,
                            phase: entry.phase,
                            let_go: entry.phase == Phase::Releasing && self.has_let_go(node, tenant),
                        };
                        presences.entry(tenant).or_default().holds.push(hold);
                    }
                    // One from before the last placement is on its way out: see the publishing.
                    Phase::Preparing if is_current(entry, by_tenant) => {
                        let ready = self.has_prepared(node, tenant, entry.generation);
                        presences
                            .entry(tenant)
                            .or_default()
                            .preparations
                            .push(Preparation { node: node.clone(), ready });
                    }
                    Phase::Preparing => {}
                }
            }
        }
        presences
    }

    /// The node has taken in its record as it is published, and does not have the tenant.
    fn has_let_go(&self, node: &NodeId, tenant: &TenantId) -> bool {
        let Some((published, modified_at)) = self.assignments.get(node) else { return false };
        self.acks.get(node).is_some_and(|ack| {
            ack.incarnation == published.incarnation
                && ack.applied >= *modified_at
                && ack.held.binary_search(tenant).is_err()
        })
    }

    /// This life of the node has done all that can be done ahead. An ack of an earlier preparation under the same
    /// generation counts too: at worst the start is a cold one.
    fn has_prepared(&self, node: &NodeId, tenant: &TenantId, generation: Generation) -> bool {
        let alive = self.nodes.get(node).map(|record| record.incarnation);
        let prepared = HeldTenant { tenant: tenant.clone(), generation };
        self.acks.get(node).is_some_and(|ack| {
            Some(ack.incarnation) == alive && ack.prepared.binary_search(&prepared).is_ok()
        })
    }
}

/// A preparation is for the next generation after the one it names; once the tenant was placed it is void, and so it
/// is when nobody wants the tenant to run.
pub(super) fn is_current(entry: &AssignmentEntry, by_tenant: &DesiredByTenant<'_>) -> bool {
    by_tenant
        .get(&entry.tenant)
        .is_some_and(|desired| desired.running && desired.generation == entry.generation)
}

fn deleted(tenant: &TenantId, presence: Presence) -> TenantView {
    let Presence { holds, preparations } = presence;
    TenantView {
        tenant: tenant.clone(),
        wanted: Wanted::Deleted,
        generation: holds.iter().map(|hold| hold.generation).max().unwrap_or_default(),
        last: None,
        pin: None,
        move_to: None,
        preparations,
        holds,
    }
}

fn node_view(record: &NodeRecord, inputs: &PlanInputs) -> NodeView {
    let ordered = inputs.intakes.get(&record.node).copied().unwrap_or(Intake::Open);
    NodeView {
        node: record.node.clone(),
        capacity: record.capacity,
        weight: record.weight,
        zone: record.zone.clone(),
        intake: if record.leaving { Intake::Leaving } else { ordered },
    }
}
