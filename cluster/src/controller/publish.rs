//! From a plan to the records of the nodes it is about, and to commits that etcd takes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roost_model::ids::{Generation, NodeId, Revision, SpecRevision, TenantId};

use crate::{
    election::Leadership,
    keys,
    plan::{Action, Decision, Plan},
    records::{AssignmentEntry, AssignmentRecord, Phase},
    registry::{Guard, MAX_OPS, Op},
};

use super::registry_view::{DesiredByTenant, RegistryView, is_current};

/// Well below the 1.5 MB that etcd takes in one request.
const MAX_COMMIT_BYTES: usize = 1 << 20;

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
    pub(super) guards: Vec<Guard>,
    pub(super) ops: Vec<Op>,
}

/// The records that differ from what is published once the plan is carried out. Records of lives that have ended go;
/// entries of running workers carry the spec revision that the ledger has now; preparations go whose tenant was placed
/// since. `generations` are those that the ledger gave for the plan's placements; a placement without one is left out,
/// for its tenant has been deleted.
pub(super) fn updates(
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
        let fits = |batch: &Batch| batch.guards.len() < MAX_OPS && bytes + size <= MAX_COMMIT_BYTES;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roost_model::ids::Incarnation;

    use super::*;

    const LEADERSHIP: Leadership =
        Leadership { lease: Incarnation(1), revision: Revision(7), sent_at: Duration::ZERO };

    fn update_of(number: usize, entries: usize) -> AssignmentUpdate {
        let entry = |at: usize| AssignmentEntry {
            tenant: TenantId::new(&format!("tenant-with-a-name-of-some-length-{at}")).unwrap(),
            generation: Generation(1),
            phase: Phase::Active,
            spec_revision: SpecRevision(1),
        };
        let record =
            AssignmentRecord { incarnation: Incarnation(1), entries: (0..entries).map(entry).collect() };
        let node = NodeId::new(&format!("n{number}")).unwrap();
        AssignmentUpdate {
            node,
            read_at: number.is_multiple_of(2).then_some(Revision(3)),
            record: Some(record),
        }
    }

    fn sizes(batches: &[Batch]) -> Vec<usize> {
        batches.iter().map(|batch| batch.ops.len()).collect()
    }

    #[test]
    fn a_large_plan_is_split_into_commits_that_etcd_takes() {
        let updates: Vec<AssignmentUpdate> = (0..300).map(|number| update_of(number, 1)).collect();
        let batches = batches(&updates, &LEADERSHIP);
        assert_eq!(sizes(&batches), [127, 127, 46]);
        for batch in &batches {
            assert_eq!(batch.guards[0], LEADERSHIP.guard());
            assert_eq!(batch.guards.len(), batch.ops.len() + 1);
            assert!(batch.guards.len() <= MAX_OPS);
        }
    }

    #[test]
    fn large_records_are_split_by_their_size() {
        // About 250 KiB each.
        let updates: Vec<AssignmentUpdate> = (0..7).map(|number| update_of(number, 2_500)).collect();
        let batches = batches(&updates, &LEADERSHIP);
        assert_eq!(sizes(&batches), [4, 3]);
    }

    #[test]
    fn every_record_is_guarded_by_what_was_read_of_it() {
        let batches = batches(&[update_of(0, 1), update_of(1, 1)], &LEADERSHIP);
        let read = Guard::ModifiedAt { key: "assignments/n0".to_owned(), revision: Revision(3) };
        let unknown = Guard::Absent { key: "assignments/n1".to_owned() };
        assert_eq!(batches[0].guards, [LEADERSHIP.guard(), read, unknown]);
    }
}
