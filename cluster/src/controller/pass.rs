//! One pass: read everything, plan, place, publish, tell the ledger.
//!
//! Publishing is in two steps: from the plan to the records of the nodes it is about, and from these to commits that etcd
//! takes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use roost_model::ids::{Generation, NodeId, Revision, SpecRevision, TenantId};

use crate::{
    election::Leadership,
    keys,
    ledger::{Complaint, ComplaintKind, LedgerError},
    plan::{self, Action, Cause, Decision, Plan},
    records::{AssignmentEntry, AssignmentRecord, MAX_RECORD_BYTES, Phase},
    registry::{Commit, Guard, MAX_OPS, Op, RegistryError},
    timing::Timing,
};

use super::{
    context::{Context, ROWS_AT_ONCE, WriteAuthority},
    error::ControllerError,
    failure_detector::{FailureDetector, Sight},
    history::{self, DecisionLog, PendingHistory},
    impairments::Impairments,
    left_out::{LeftOut, Placed},
    operations,
    overdue_releases::OverdueReleases,
    plan_inputs::{DesiredByTenant, Mirror, PlanInputs, RegistryView, is_current},
    preparations::Preparations,
    stabilisation_window::{StabilisationWindow, is_disturbed},
    unreadable::UnreadableRecords,
    waits::PassFindings,
};

/// What a pass found and did.
#[derive(Default)]
pub(super) struct PassOutcome {
    /// The registry's revision that it has seen.
    pub(super) seen: Revision,
    /// It changed something, or found that something had changed meanwhile: look again at once.
    pub(super) again: bool,
    /// What it found changes by itself after so long.
    pub(super) recheck_after: Option<Duration>,
    /// What it could not do, for people.
    pub(super) complaint: Option<Complaint>,
    /// A coordinator is there to lead in this one's stead.
    pub(super) is_challenged: bool,
}

/// What is kept from pass to pass, for one term. None of it is needed by the next one: what has to outlive a term is in
/// the ledger.
pub(super) struct PassState {
    pub(super) mirror: Mirror,
    pub(super) failure_detector: FailureDetector,
    pub(super) impairments: Impairments,
    pub(super) preparations: Preparations,
    pub(super) stabilisation: StabilisationWindow,
    pub(super) decision_log: DecisionLog,
    pub(super) left_out: LeftOut,
    pub(super) unreadable: UnreadableRecords,
    pub(super) overdue_releases: OverdueReleases,
    pub(super) pending: PendingHistory,
    /// Generations that this term has given and that no node has been told of, because etcd refused the write: they are
    /// given again, so that nothing is counted up while etcd takes no writes.
    pub(super) unpublished: HashMap<TenantId, Generation>,
    /// Something was published that the ledger does not know the registry to have got to.
    pub(super) has_published: bool,
    /// When the ledger was last told that this controller lives.
    pub(super) sign_given_at: Duration,
}

impl PassState {
    pub(super) fn new(timing: Timing, now: Duration) -> Self {
        Self {
            mirror: Mirror::default(),
            failure_detector: FailureDetector::new(timing),
            impairments: Impairments::default(),
            preparations: Preparations::new(timing.prepare_within),
            stabilisation: StabilisationWindow::new(timing.ttl),
            decision_log: DecisionLog::default(),
            left_out: LeftOut::default(),
            unreadable: UnreadableRecords::default(),
            overdue_releases: OverdueReleases::new(timing.release_patience),
            pending: PendingHistory::default(),
            unpublished: HashMap::new(),
            has_published: false,
            sign_given_at: now,
        }
    }
}

impl Context {
    pub(super) async fn pass(
        &self,
        authority: &WriteAuthority<'_>,
        state: &mut PassState,
    ) -> Result<PassOutcome, ControllerError> {
        let refreshed = state.mirror.refresh(self.registry.as_ref(), authority.leadership);
        let (refreshed, desired_tenants, orders) =
            tokio::join!(refreshed, self.desired_tenants(), self.orders());
        let (desired_tenants, orders) = (refreshed.and(desired_tenants)?, orders?);
        let now = self.config.clock.now();
        self.etcd.lock().heard(now);
        let failover = self.failover_facts(&state.failure_detector).await?;
        let view = state.mirror.view();
        let by_tenant: DesiredByTenant<'_> =
            desired_tenants.iter().map(|desired| (&desired.tenant, desired)).collect();
        if self.outrun_forgotten(authority, view, &desired_tenants, &by_tenant).await? {
            let seen = view.revision;
            return Ok(PassOutcome { seen, again: true, ..PassOutcome::default() });
        }
        let sight = Sight {
            nodes: &view.nodes,
            desired_tenants: &desired_tenants,
            orders: &orders,
            failover: &failover,
            after_gap: self.etcd.lock().is_back_since(now, self.config.timing.ttl * 2),
        };
        let mut assessment = state.failure_detector.observe(&sight, now);
        state.impairments.observe(&view.nodes, &orders.nodes, now, &mut assessment);
        state.preparations.observe(view, &by_tenant, &orders, now, &mut assessment);
        state.pending.add_events(std::mem::take(&mut assessment.events));
        let inputs = PlanInputs::new(&orders, &assessment, &desired_tenants);
        let snapshot = view.snapshot(&desired_tenants, &by_tenant, &inputs);
        let plan = plan::plan(&snapshot);
        state.decision_log.write(&plan);
        let seen = view.revision;

        if std::mem::take(&mut state.has_published) || self.sign_is_due(state.sign_given_at, now) {
            self.remember_revision(authority, seen).await?;
            state.sign_given_at = now;
        }
        let placed = self.place(authority, &plan, &by_tenant, &mut state.unpublished).await?;
        let try_again_after = state.left_out.step(&plan, &placed, now, self.config.timing.coalesce);
        let next_sign = (state.sign_given_at + self.config.timing.ttl).saturating_sub(now);
        let damage = state.unreadable.step(view.unreadable_records());
        let releases = state.overdue_releases.step(&snapshot, now);
        state.pending.add_events(releases.events);
        let held_up = operations::held_up(&orders.operations, &plan);
        let kind = if damage.is_some() { ComplaintKind::Records } else { ComplaintKind::Tenants };
        let complaints = [damage, releases.complaint, held_up, state.left_out.complaint(&placed)];
        let complaint = complaints.into_iter().flatten().reduce(|all, one| format!("{all}; {one}"));
        let complaint = complaint.map(|reason| Complaint::new(kind, &reason));
        let generations = placed.generations;
        let published = self.publish(authority, view, &plan, &generations, &by_tenant).await?;
        state.has_published |= !published.nodes.is_empty();
        state.failure_detector.gave(failed_over(&plan));
        let untold = published.untold(&plan);
        state.unpublished.retain(|tenant, _| untold.contains(tenant));
        state.pending.extend(history::placements(&plan, &orders, &generations, &published.nodes));
        let unplaced = self.unplace(authority, &snapshot, &plan, &inputs).await?;

        let mut news = std::mem::take(&mut assessment.records);
        let found = PassFindings {
            snapshot: &snapshot,
            plan: &plan,
            preparations: &state.preparations,
            overdue_releases: &state.overdue_releases,
        };
        let progress = self.assess_operations(authority, &orders, found).await?;
        news.extend(progress.news);
        let rechecks = [
            assessment.recheck_after,
            try_again_after,
            Some(next_sign),
            releases.recheck_after,
            progress.recheck_after,
        ];
        let recheck_after = rechecks.into_iter().flatten().min();
        let is_disturbed = is_disturbed(&assessment, &orders, &snapshot, &plan);
        if state.stabilisation.step(is_disturbed, now) && orders.policy.auto_rebalance {
            news.extend(state.stabilisation.rebalance(seen, &inputs, snapshot));
        }
        let ordered = self.record(authority, &mut state.pending, news).await?;
        match published.refused {
            Some(error) => Err(ControllerError::Registry(error)),
            None => {
                let again = published.any || unplaced || ordered;
                let is_challenged = state.mirror.is_challenged();
                Ok(PassOutcome { seen, again, recheck_after, complaint, is_challenged })
            }
        }
    }

    pub(super) async fn place(
        &self,
        authority: &WriteAuthority<'_>,
        plan: &Plan,
        by_tenant: &DesiredByTenant<'_>,
        unpublished: &mut HashMap<TenantId, Generation>,
    ) -> Result<Placed, ControllerError> {
        let mut placed = Placed::default();
        let mut placements = Vec::new();
        for (tenant, node) in plan.placements() {
            match unpublished.get(tenant) {
                Some(&generation) if is_placed(by_tenant, tenant, node, generation) => {
                    placed.generations.insert(tenant.clone(), generation);
                }
                _ => placements.push((tenant.clone(), node.clone())),
            }
        }
        let mut batches: Vec<_> = placements.chunks(ROWS_AT_ONCE).rev().collect();
        while let Some(some) = batches.pop() {
            authority.check()?;
            match self.ask_ledger(self.ledger.place(authority.term, some)).await {
                Ok(generations) => {
                    unpublished.extend(generations.iter().cloned());
                    placed.generations.extend(generations);
                }
                Err(LedgerError::Refused { reason, .. }) => batches.extend(placed.refused(some, &reason)),
                Err(error) => return Err(ControllerError::writing_ledger("a placement", error)),
            }
        }
        Ok(placed)
    }

    pub(super) async fn publish(
        &self,
        authority: &WriteAuthority<'_>,
        view: &RegistryView,
        plan: &Plan,
        generations: &HashMap<TenantId, Generation>,
        by_tenant: &DesiredByTenant<'_>,
    ) -> Result<Published, ControllerError> {
        let updates = updates(view, plan, generations, by_tenant);
        let mut published = Published { any: !updates.is_empty(), nodes: HashSet::new(), refused: None };
        let mut left: VecDeque<Batch> = batches(&updates, authority.leadership).into();
        let mut refusals = 0;
        while let Some(batch) = left.pop_front() {
            authority.check()?;
            match self.registry.commit(&batch.guards, &batch.ops).await {
                Ok(Commit::Done { .. }) => published.nodes.extend(batch.nodes),
                // The next pass sees what has changed.
                Ok(Commit::Refused) => {}
                // Nothing of this one was written. One record may be to blame: the others are tried without it.
                Err(error @ RegistryError::Refused { .. }) => {
                    published.refused = Some(error);
                    refusals += 1;
                    if refusals == MOST_REFUSALS {
                        break;
                    }
                    left.extend(batch.halves());
                }
                Err(error) => return Err(ControllerError::writing_registry("an assignment", error)),
            }
        }
        Ok(published)
    }
}

/// How many tenants the plan gives a new node because theirs is gone.
fn failed_over(plan: &Plan) -> u32 {
    let lost = |decision: &&Decision| {
        matches!(&decision.action, Action::Place { cause: Cause::NodeLost { .. }, .. })
    };
    u32::try_from(plan.decisions.iter().filter(lost).count()).unwrap_or(u32::MAX)
}

fn is_placed(
    by_tenant: &DesiredByTenant<'_>,
    tenant: &TenantId,
    node: &NodeId,
    generation: Generation,
) -> bool {
    by_tenant
        .get(tenant)
        .is_some_and(|desired| desired.generation == generation && desired.node.as_ref() == Some(node))
}

/// The nodes whose records were written, and whether there were any to write.
pub(super) struct Published {
    any: bool,
    nodes: HashSet<NodeId>,
    /// Why etcd did not take some of them.
    refused: Option<RegistryError>,
}

impl Published {
    /// Tenants that the plan has placed and whose nodes have not been told.
    fn untold<'a>(&self, plan: &'a Plan) -> HashSet<&'a TenantId> {
        plan.placements().filter(|(_, node)| !self.nodes.contains(node)).map(|(tenant, _)| tenant).collect()
    }
}

/// Of one pass: enough to find a record that is to blame among a commit's, and no more where all are refused.
const MOST_REFUSALS: usize = 8;

/// A node's record as it is to be; `None` where it is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AssignmentUpdate {
    pub(super) node: NodeId,
    /// The mod revision it was read at; `None` where there is none yet.
    pub(super) read_at: Option<Revision>,
    pub(super) record: Option<AssignmentRecord>,
}

/// One guarded write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Whose records it is about.
    pub(super) nodes: Vec<NodeId>,
    /// The leadership's, then one for each node.
    pub(super) guards: Vec<Guard>,
    pub(super) ops: Vec<Op>,
}

impl Batch {
    /// The same as two commits; nothing of one that cannot be divided.
    fn halves(mut self) -> Vec<Self> {
        let half = self.nodes.len() / 2;
        if half == 0 {
            return Vec::new();
        }
        let mut guards = vec![self.guards[0].clone()];
        guards.extend(self.guards.split_off(1 + half));
        let rest = Self { nodes: self.nodes.split_off(half), guards, ops: self.ops.split_off(half) };
        vec![self, rest]
    }
}

/// The records that differ from what is published once the plan is carried out. Records of lives that have ended go;
/// entries of running workers carry the spec revision that the ledger has now; preparations go whose tenant was placed
/// since. `generations` are those that the ledger gave for the plan's placements; a placement without one is left out,
/// for its tenant has been deleted.
fn updates(
    view: &RegistryView,
    plan: &Plan,
    generations: &HashMap<TenantId, Generation>,
    by_tenant: &DesiredByTenant<'_>,
) -> Vec<AssignmentUpdate> {
    let drafting = RecordDrafts { view, orders: by_node(plan), generations, by_tenant };
    let nodes: BTreeSet<&NodeId> = view.nodes.keys().chain(view.assignments.keys()).collect();
    nodes.into_iter().filter_map(|node| drafting.update(node)).collect()
}

/// What the plan wants of each node.
fn by_node(plan: &Plan) -> HashMap<&NodeId, Vec<&Decision>> {
    let mut orders: HashMap<&NodeId, Vec<&Decision>> = HashMap::new();
    for decision in &plan.decisions {
        match &decision.action {
            Action::Place { node, .. }
            | Action::Prepare { node, .. }
            | Action::Forget { node }
            | Action::Release { node, .. }
            | Action::Remove { node } => orders.entry(node).or_default().push(decision),
            Action::Wait { .. } => {}
        }
    }
    orders
}

type Entries = BTreeMap<TenantId, AssignmentEntry>;

struct RecordDrafts<'a> {
    view: &'a RegistryView,
    orders: HashMap<&'a NodeId, Vec<&'a Decision>>,
    generations: &'a HashMap<TenantId, Generation>,
    by_tenant: &'a DesiredByTenant<'a>,
}

impl RecordDrafts<'_> {
    fn update(&self, node: &NodeId) -> Option<AssignmentUpdate> {
        if self.view.is_unreadable(node) {
            return None;
        }
        let published = self.view.assignments.get(node);
        let read_at = published.map(|(_, read_at)| *read_at);
        let Some(alive) = self.view.nodes.get(node) else {
            return Some(AssignmentUpdate { node: node.clone(), read_at, record: None });
        };
        let entries = self.view.live_entries(node);
        let ordered = self.orders.get(node).map_or(&[][..], Vec::as_slice);
        let same_life = published.is_some_and(|(record, _)| record.incarnation == alive.incarnation);
        // Nearly all records of a large cluster stay as they are: these are not copied.
        if ordered.is_empty() && same_life && entries.iter().all(|entry| self.is_up_to_date(entry)) {
            return None;
        }
        let mut drafted: Entries = entries
            .iter()
            .filter_map(|entry| self.refreshed(entry))
            .map(|entry| (entry.tenant.clone(), entry))
            .collect();
        for decision in ordered {
            self.carry_out(decision, &mut drafted);
        }
        let entries: Vec<AssignmentEntry> = drafted.into_values().collect();
        // A node that has nothing and never had anything in this life needs no record.
        let needed = same_life || !entries.is_empty();
        let record = needed.then_some(AssignmentRecord { incarnation: alive.incarnation, entries });
        let differs = published.map(|(record, _)| record) != record.as_ref();
        differs.then(|| AssignmentUpdate { node: node.clone(), read_at, record })
    }

    fn is_up_to_date(&self, entry: &AssignmentEntry) -> bool {
        self.stays(entry) && self.spec_revision(entry) == entry.spec_revision
    }

    fn refreshed(&self, entry: &AssignmentEntry) -> Option<AssignmentEntry> {
        let spec_revision = self.spec_revision(entry);
        self.stays(entry).then(|| AssignmentEntry { spec_revision, ..entry.clone() })
    }

    /// Whatever may hold a tenant stays until the plan says otherwise.
    fn stays(&self, entry: &AssignmentEntry) -> bool {
        match entry.phase {
            Phase::Active | Phase::Releasing => true,
            Phase::Preparing => {
                is_current(entry, self.by_tenant) && !self.generations.contains_key(&entry.tenant)
            }
        }
    }

    fn spec_revision(&self, entry: &AssignmentEntry) -> SpecRevision {
        match (entry.phase, self.by_tenant.get(&entry.tenant)) {
            (Phase::Active, Some(desired)) => desired.spec_revision,
            (Phase::Active | Phase::Releasing | Phase::Preparing, _) => entry.spec_revision,
        }
    }

    fn carry_out(&self, decision: &Decision, entries: &mut Entries) {
        let tenant = &decision.tenant;
        match &decision.action {
            Action::Place { .. } => {
                if let Some(&generation) = self.generations.get(tenant) {
                    entries.insert(tenant.clone(), self.entry(tenant, generation, Phase::Active));
                }
            }
            Action::Prepare { .. } => {
                if let Some(desired) = self.by_tenant.get(tenant) {
                    let entry = || self.entry(tenant, desired.generation, Phase::Preparing);
                    entries.entry(tenant.clone()).or_insert_with(entry);
                }
            }
            Action::Release { .. } => {
                if let Some(entry) = entries.get_mut(tenant) {
                    entry.phase = Phase::Releasing;
                }
            }
            Action::Forget { .. } => {
                if entries.get(tenant).is_some_and(|entry| entry.phase == Phase::Preparing) {
                    entries.remove(tenant);
                }
            }
            Action::Remove { .. } => {
                entries.remove(tenant);
            }
            Action::Wait { .. } => {}
        }
    }

    fn entry(&self, tenant: &TenantId, generation: Generation, phase: Phase) -> AssignmentEntry {
        let spec_revision =
            self.by_tenant.get(tenant).map(|desired| desired.spec_revision).unwrap_or_default();
        AssignmentEntry { tenant: tenant.clone(), generation, phase, spec_revision }
    }
}

/// The updates as commits, each guarded by the leadership and by what was read of every record in it.
pub(super) fn batches(updates: &[AssignmentUpdate], leadership: &Leadership) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut bytes = 0;
    for update in updates {
        let key = keys::assignments(&update.node);
        let guard = match update.read_at {
            Some(revision) => Guard::ModifiedAt { key: key.clone(), revision },
            None => Guard::Absent { key: key.clone() },
        };
        let value = update.record.as_ref().map(keys::encode);
        let size = key.len() + value.as_ref().map_or(0, Vec::len);
        let op = match value {
            Some(value) => Op::Put { key, value, lease: None },
            None => Op::Delete { key },
        };
        let fits = |batch: &Batch| batch.guards.len() < MAX_OPS && bytes + size <= MAX_RECORD_BYTES;
        if !batches.last().is_some_and(fits) {
            batches.push(Batch { nodes: Vec::new(), guards: vec![leadership.guard()], ops: Vec::new() });
            bytes = 0;
        }
        if let Some(batch) = batches.last_mut() {
            batch.nodes.push(update.node.clone());
            batch.guards.push(guard);
            batch.ops.push(op);
            bytes += size;
        }
    }
    batches
}
