//! What a pass plans from: the registry as the term has read it so far ([`Mirror`]), what the orders and the assessment of the
//! pass mean for its plan ([`PlanInputs`]), and the [`Snapshot`] that follows from these and the ledger's tenants.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roost_model::ids::{Generation, Incarnation, NodeId, Revision, TenantId};
use serde::de::DeserializeOwned;

use crate::{
    election::Leadership,
    keys::{self, Key},
    ledger::{DesiredTenant, NodeOrder, OperationKind, Orders},
    plan::{Goal, Hold, Intake, MoveLimits, NodeView, Preparation, Snapshot, TenantView, Wanted},
    records::{
        AckRecord, AssignmentEntry, AssignmentRecord, ChallengerRecord, FailedPreparation, HeldTenant,
        ImpairmentKind, NodeRecord, Phase,
    },
    registry::{Entry, Registry, RegistryError, Update},
};

use super::{
    error::ControllerError, failure_detector::Assessment, memory_shortage, ordered_moves::OrderedMoves,
    unreadable::UnreadableRecord,
};

/// The registry as the term has read it so far, kept from pass to pass.
///
/// A pass relies on one revision of everything. At 100,000 tenants that is some fifteen megabytes of JSON, nearly all
/// of it as it was a moment ago, and a drain takes hundreds of passes. So each pass asks for the keys with their mod
/// revisions and for the values that are new ([`Registry::list_since`]), and decodes only these. Why not follow the
/// watch instead: a watch that has said nothing is either silent or late, and etcd can tell the two apart only by
/// progress notifications, which name revisions of the whole store. Here what was read is as linearizable as a listing,
/// and the mirror proves it key by key: every key of the answer has to be here under the same mod revision.
#[derive(Default)]
pub(super) struct Mirror {
    view: RegistryView,
    /// The mod revision of every key, also of those that this version does not know.
    versions: BTreeMap<String, Revision>,
    /// The lease of the leader's key.
    leader: Option<Incarnation>,
    /// The lease of the leader that a coordinator asks to give way.
    challenged: Option<Incarnation>,
}

impl Mirror {
    /// Brings it up to the present; `Superseded` if that shows another leader than `leadership`.
    pub(super) async fn refresh(
        &mut self,
        registry: &dyn Registry,
        leadership: &Leadership,
    ) -> Result<(), ControllerError> {
        let since = self.view.revision;
        let update = registry.list_since(keys::ALL, since).await.map_err(ControllerError::Registry)?;
        if !self.take_in(&update) {
            tracing::warn!(%since, "the registry is not the one that was read before: it is read anew");
            *self = Self::default();
            let all = registry.list_since(keys::ALL, Revision(0)).await.map_err(ControllerError::Registry)?;
            if !self.take_in(&all) {
                let reason = "a value is missing, or of another revision than its key".to_owned();
                return Err(ControllerError::Registry(RegistryError::Refused {
                    step: "listing keys",
                    reason,
                }));
            }
        }
        if self.leader == Some(leadership.lease) { Ok(()) } else { Err(ControllerError::Superseded) }
    }

    /// Whether the leader is a node that is to give way to a coordinator.
    pub(super) fn is_challenged(&self) -> bool {
        self.leader.is_some() && self.challenged == self.leader
    }

    pub(super) fn view(&self) -> &RegistryView {
        &self.view
    }

    /// Whether it is now what the registry was at the update's revision.
    fn take_in(&mut self, update: &Update) -> bool {
        if update.revision < self.view.revision {
            return false;
        }
        for entry in &update.written {
            self.write(entry);
        }
        let present: BTreeSet<&str> = update.keys.iter().map(|(key, _)| key.as_str()).collect();
        let gone: Vec<String> =
            self.versions.keys().filter(|key| !present.contains(key.as_str())).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
        self.view.revision = update.revision;
        update.keys.iter().all(|(key, revision)| self.versions.get(key) == Some(revision))
    }

    /// A record that cannot be read is taken in as one that nothing follows from, and its node is remembered.
    pub(super) fn write(&mut self, entry: &Entry) {
        self.view.unreadable.remove(&entry.key);
        match Key::parse(&entry.key) {
            Some(Key::Leader) => self.leader = entry.lease,
            Some(Key::Challenger) => {
                let record: Option<ChallengerRecord> = keys::decode(entry).ok();
                self.challenged = record.map(|record| record.leader);
            }
            Some(Key::Node(node)) => {
                let record = self.decoded(entry, &node).unwrap_or_else(|| stand_in(&node, entry));
                self.view.nodes.insert(node, record);
            }
            Some(Key::Assignments(node)) => {
                let nothing = AssignmentRecord { incarnation: UNKNOWN_LIFE, entries: Vec::new() };
                let record = self.decoded(entry, &node).unwrap_or(nothing);
                self.view.assignments.insert(node, (record, entry.mod_revision));
            }
            Some(Key::Ack(node)) => match self.decoded(entry, &node) {
                Some(record) => drop(self.view.acks.insert(node, Ack::of(record))),
                None => drop(self.view.acks.remove(&node)),
            },
            Some(Key::Store) | None => {}
        }
        self.versions.insert(entry.key.clone(), entry.mod_revision);
    }

    fn decoded<R: DeserializeOwned>(&mut self, entry: &Entry, node: &NodeId) -> Option<R> {
        keys::decode(entry)
            .map_err(|error| {
                let record = UnreadableRecord { node: node.clone(), reason: error.to_string() };
                self.view.unreadable.insert(entry.key.clone(), record)
            })
            .ok()
    }

    fn remove(&mut self, key: &str) {
        match Key::parse(key) {
            Some(Key::Leader) => self.leader = None,
            Some(Key::Challenger) => self.challenged = None,
            Some(Key::Node(node)) => drop(self.view.nodes.remove(&node)),
            Some(Key::Assignments(node)) => drop(self.view.assignments.remove(&node)),
            Some(Key::Ack(node)) => drop(self.view.acks.remove(&node)),
            Some(Key::Store) | None => {}
        }
        self.view.unreadable.remove(key);
        self.versions.remove(key);
    }
}

/// No lease has this id.
const UNKNOWN_LIFE: Incarnation = Incarnation(0);

/// For a node that is there and whose record cannot be read: it lives, and takes nothing.
fn stand_in(node: &NodeId, entry: &Entry) -> NodeRecord {
    NodeRecord {
        node: node.clone(),
        incarnation: entry.lease.unwrap_or(UNKNOWN_LIFE),
        address: String::new(),
        capacity: 0,
        weight: 0,
        zone: String::new(),
        version: String::new(),
        leaving: false,
        rpc_address: String::new(),
        spare_browsers: 0,
        started_at_ms: 0,
        impairments: Vec::new(),
        memory: None,
    }
}

/// The part of a snapshot that is not read from the registry.
pub(super) struct PlanInputs {
    /// Of nodes about which something is ordered.
    pub(super) intakes: BTreeMap<NodeId, Intake>,
    pub(super) moves: OrderedMoves,
    pub(super) goal: Goal,
    pub(super) limits: MoveLimits,
    pub(super) rebalance_limits: MoveLimits,
    pub(super) awaited: BTreeSet<NodeId>,
    pub(super) failover_paused: bool,
    pub(super) failover_ramp: Option<u32>,
    pub(super) failing_zones: BTreeSet<String>,
    pub(super) draining: BTreeSet<NodeId>,
    pub(super) impaired: BTreeSet<NodeId>,
    pub(super) shedding: BTreeMap<NodeId, ImpairmentKind>,
    /// By tenant: nodes that have lately not got ready for it.
    pub(super) unprepared: HashMap<TenantId, Vec<NodeId>>,
}

impl PlanInputs {
    pub(super) fn new(orders: &Orders, assessment: &Assessment, desired_tenants: &[DesiredTenant]) -> Self {
        let mut inputs = Self {
            intakes: orders.nodes.iter().map(|order| (order.node.clone(), intake(order))).collect(),
            awaited: assessment.awaited.clone(),
            failover_paused: orders.policy.failover_paused.is_some() || assessment.failover_held,
            failover_ramp: assessment.failover_ramp,
            failing_zones: assessment.failing_zones.clone(),
            moves: OrderedMoves::new(orders),
            goal: Goal::Settle,
            limits: MoveLimits::default(),
            rebalance_limits: MoveLimits::default(),
            draining: BTreeSet::new(),
            impaired: assessment.impaired.clone(),
            shedding: assessment.shedding.clone(),
            unprepared: assessment.unprepared.clone(),
        };
        for operation in &orders.operations {
            inputs.follow(&operation.kind, desired_tenants);
        }
        inputs
    }

    fn follow(&mut self, kind: &OperationKind, desired_tenants: &[DesiredTenant]) {
        match kind {
            OperationKind::Drain { node, urgent } => {
                let intake = if *urgent { Intake::Overdue } else { Intake::Draining };
                self.intakes.insert(node.clone(), intake);
                self.draining.insert(node.clone());
            }
            OperationKind::Rebalance { max_concurrent, max_unavailable_percent } => {
                self.goal = Goal::Rebalance;
                let running = desired_tenants.iter().filter(|desired| desired.running).count();
                self.rebalance_limits = limits(*max_concurrent, *max_unavailable_percent, running);
            }
            // See [`OrderedMoves`].
            OperationKind::Move { .. } | OperationKind::Fleet(_) | OperationKind::Rollout(_) => {}
        }
    }

    /// Nodes that did not get ready for the tenant. Of no matter where it is started cold in any case.
    fn unprepared_for(&self, desired: &DesiredTenant) -> Vec<NodeId> {
        let intake = desired.node.as_ref().and_then(|node| self.intakes.get(node));
        match intake {
            Some(Intake::Overdue) => Vec::new(),
            _ => self.unprepared.get(&desired.tenant).cloned().unwrap_or_default(),
        }
    }

    /// A tenant that waits keeps its place in the ledger while it waits for that very node, or while an operation
    /// has to know where it came from.
    pub(super) fn keeps_place(&self, node: &NodeId, is_live: bool) -> bool {
        let waits_its_turn = self.failover_paused || self.failover_ramp.is_some();
        self.awaited.contains(node) || self.draining.contains(node) || (waits_its_turn && !is_live)
    }
}

fn intake(order: &NodeOrder) -> Intake {
    match order {
        NodeOrder { cordoned: true, .. } => Intake::Cordoned,
        NodeOrder { suspect_for: Some(_), .. } => Intake::Suspect,
        NodeOrder { .. } => Intake::Open,
    }
}

/// Never none at all, or the operation could not end.
fn limits(max_concurrent: u32, max_unavailable_percent: u32, running: usize) -> MoveLimits {
    let usual = MoveLimits::default();
    let unavailable = running as u64 * u64::from(max_unavailable_percent) / 100;
    MoveLimits {
        per_cluster: max_concurrent.max(1),
        per_node: usual.per_node.min(max_concurrent.max(1)),
        unavailable: u32::try_from(unavailable).unwrap_or(u32::MAX).clamp(1, max_concurrent.max(1)),
    }
}

/// One moment of the registry.
#[derive(Default)]
pub(super) struct RegistryView {
    pub(super) revision: Revision,
    /// The live ones.
    pub(super) nodes: BTreeMap<NodeId, NodeRecord>,
    /// What is published, of nodes alive and dead, with the mod revision of each.
    pub(super) assignments: BTreeMap<NodeId, (AssignmentRecord, Revision)>,
    pub(super) acks: BTreeMap<NodeId, Ack>,
    /// By key.
    unreadable: BTreeMap<String, UnreadableRecord>,
}

/// An [`AckRecord`] that can be asked quickly.
pub(super) struct Ack {
    incarnation: Incarnation,
    applied: Revision,
    /// In order.
    held: Vec<TenantId>,
    /// In order.
    prepared: Vec<HeldTenant>,
    /// In order.
    failed: Vec<FailedPreparation>,
}

impl Ack {
    pub(super) fn of(record: AckRecord) -> Self {
        let AckRecord { incarnation, applied, held, mut prepared, mut failed } = record;
        let mut held: Vec<TenantId> = held.into_iter().map(|held| held.tenant).collect();
        held.sort_unstable();
        prepared.sort_unstable();
        failed.sort_unstable();
        Self { incarnation, applied, held, prepared, failed }
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
    /// Those that matter, by key: of a node that is not live nothing is alive, whatever its records say.
    pub(super) fn unreadable_records(&self) -> impl Iterator<Item = (&String, &UnreadableRecord)> {
        self.unreadable.iter().filter(|(_, record)| self.nodes.contains_key(&record.node))
    }

    pub(super) fn is_unreadable(&self, node: &NodeId) -> bool {
        self.unreadable_records().any(|(_, record)| record.node == *node)
    }

    /// The published entries of a node that are addressed to its present life; those of an ended life count for
    /// nothing, for nothing of it is alive. Where it is not known which life that is, all of them count.
    pub(super) fn live_entries(&self, node: &NodeId) -> &[AssignmentEntry] {
        let alive = self.nodes.get(node).map(|record| record.incarnation);
        match self.assignments.get(node) {
            Some((record, _)) if Some(record.incarnation) == alive || alive == Some(UNKNOWN_LIFE) => {
                &record.entries
            }
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
                move_to: inputs.moves.to(&desired.tenant),
                leaves: inputs.moves.away_from(&desired.tenant),
                memory_request_bytes: desired.memory_request_bytes,
                preparations: presence.preparations,
                unprepared: inputs.unprepared_for(desired),
                holds: presence.holds,
            });
        }
        // What is left of them is no tenant's any more.
        tenants.extend(presences.into_iter().map(|(tenant, presence)| deleted(tenant, presence)));
        Snapshot {
            nodes: self.nodes.values().map(|record| self.node_view(record, inputs)).collect(),
            tenants,
            goal: inputs.goal,
            awaited: inputs.awaited.clone(),
            failover_paused: inputs.failover_paused,
            failover_ramp: inputs.failover_ramp,
            failing_zones: inputs.failing_zones.clone(),
            limits: inputs.limits,
            rebalance_limits: inputs.rebalance_limits,
            sheds: memory_shortage::sheds(&self.nodes, &inputs.shedding),
            unreadable: self
                .unreadable_records()
                .map(|(_, record)| (record.node.clone(), record.reason.clone()))
                .collect(),
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
                    // One from before the last placement is on its way out: see how a pass publishes. And nothing can be
                    // said to a node whose record is not written.
                    Phase::Preparing if is_current(entry, by_tenant) && !self.is_unreadable(node) => {
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

    fn node_view(&self, record: &NodeRecord, inputs: &PlanInputs) -> NodeView {
        let ordered = inputs.intakes.get(&record.node).copied().unwrap_or(Intake::Open);
        let intake = match ordered {
            _ if self.is_unreadable(&record.node) => Intake::Cordoned,
            _ if record.leaving => Intake::Leaving,
            Intake::Leaving | Intake::Draining | Intake::Overdue => ordered,
            _ if inputs.shedding.get(&record.node).is_some_and(|kind| *kind != ImpairmentKind::Memory) => {
                Intake::Shedding
            }
            Intake::Open | Intake::Suspect if inputs.impaired.contains(&record.node) => Intake::Impaired,
            _ => ordered,
        };
        NodeView {
            node: record.node.clone(),
            capacity: record.capacity,
            weight: record.weight,
            zone: record.zone.clone(),
            intake,
            memory: memory_shortage::memory_for_tenants(record),
        }
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
    pub(super) fn has_prepared(&self, node: &NodeId, tenant: &TenantId, generation: Generation) -> bool {
        let alive = self.nodes.get(node).map(|record| record.incarnation);
        let prepared = HeldTenant { tenant: tenant.clone(), generation };
        self.acks.get(node).is_some_and(|ack| {
            Some(ack.incarnation) == alive && ack.prepared.binary_search(&prepared).is_ok()
        })
    }
}

impl RegistryView {
    /// Why nothing has come of a preparation, if this life of the node says so.
    pub(super) fn failure_to_prepare(&self, node: &NodeId, entry: &AssignmentEntry) -> Option<&str> {
        let alive = self.nodes.get(node).map(|record| record.incarnation);
        let ack = self.acks.get(node).filter(|ack| Some(ack.incarnation) == alive)?;
        let of = (&entry.tenant, entry.generation);
        let at = ack.failed.binary_search_by(|failed| (&failed.tenant, failed.generation).cmp(&of)).ok()?;
        Some(&ack.failed[at].reason)
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
        leaves: None,
        memory_request_bytes: None,
        preparations,
        unprepared: Vec::new(),
        holds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebalance_moves_within_its_limits_and_at_least_one_at_a_time() {
        assert_eq!(limits(4, 10, 1_000), MoveLimits { per_cluster: 4, per_node: 4, unavailable: 4 });
        assert_eq!(limits(40, 1, 1_000), MoveLimits { per_cluster: 40, per_node: 4, unavailable: 10 });
        assert_eq!(limits(2, 10, 5), MoveLimits { per_cluster: 2, per_node: 2, unavailable: 1 });
        assert_eq!(limits(0, 0, 0), MoveLimits { per_cluster: 1, per_node: 1, unavailable: 1 });
    }
}
