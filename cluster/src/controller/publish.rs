//! From a plan to the records of the nodes it is about, and to commits that etcd takes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    election::Leadership,
    ids::{Generation, NodeId, Revision, TenantId},
    keys,
    ledger::Demand,
    plan::{Action, Plan},
    records::{AssignmentEntry, AssignmentRecord, Phase},
    registry::{Guard, MAX_OPS, Op},
};

use super::view::View;

/// Well below the 1.5 MB that etcd takes in one request.
const MAX_COMMIT_BYTES: usize = 1 << 20;

/// A node's record as it is to be; `None` where it is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) node: NodeId,
    /// The mod revision it was read at; `None` where there is none yet.
    pub(super) read_at: Option<Revision>,
    pub(super) record: Option<AssignmentRecord>,
}

/// One guarded write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) guards: Vec<Guard>,
    pub(super) ops: Vec<Op>,
}

/// The records that differ from what is published once the plan is carried out. Records of lives that have ended go;
/// entries of running workers carry the spec revision that the ledger has now. `generations` are those that the
/// ledger gave for the plan's placements; a placement without one is left out, for its tenant has been deleted.
pub(super) fn updates(
    view: &View,
    plan: &Plan,
    generations: &BTreeMap<TenantId, Generation>,
    demands: &[Demand],
) -> Vec<Update> {
    let specs: BTreeMap<&TenantId, &Demand> = demands.iter().map(|demand| (&demand.tenant, demand)).collect();
    let mut entries: BTreeMap<&NodeId, BTreeMap<&TenantId, AssignmentEntry>> = BTreeMap::new();
    for node in view.nodes.keys() {
        let live = view.live_entries(node).iter().map(|entry| (&entry.tenant, entry.clone()));
        entries.insert(node, live.collect());
    }
    carry_out(plan, generations, &mut entries);
    for entry in entries.values_mut().flat_map(BTreeMap::values_mut) {
        if let Some(demand) = specs.get(&entry.tenant).filter(|_| entry.phase == Phase::Active) {
            entry.spec_revision = demand.spec_revision;
        }
    }
    let nodes: BTreeSet<&NodeId> = view.nodes.keys().chain(view.assignments.keys()).collect();
    nodes.into_iter().filter_map(|node| update(view, node, entries.remove(node))).collect()
}

fn carry_out<'a>(
    plan: &'a Plan,
    generations: &BTreeMap<TenantId, Generation>,
    entries: &mut BTreeMap<&'a NodeId, BTreeMap<&'a TenantId, AssignmentEntry>>,
) {
    for decision in &plan.decisions {
        let tenant = &decision.tenant;
        match &decision.action {
            Action::Place { node, .. } => {
                let (Some(entries), Some(&generation)) = (entries.get_mut(node), generations.get(tenant))
                else {
                    continue;
                };
                let entry = AssignmentEntry {
                    tenant: tenant.clone(),
                    generation,
                    phase: Phase::Active,
                    spec_revision: Default::default(),
                };
                entries.insert(tenant, entry);
            }
            Action::Release { node, .. } => {
                if let Some(entry) = entries.get_mut(node).and_then(|entries| entries.get_mut(tenant)) {
                    entry.phase = Phase::Releasing;
                }
            }
            Action::Remove { node } => {
                if let Some(entries) = entries.get_mut(node) {
                    entries.remove(tenant);
                }
            }
            Action::Wait { .. } => {}
        }
    }
}

fn update(
    view: &View,
    node: &NodeId,
    entries: Option<BTreeMap<&TenantId, AssignmentEntry>>,
) -> Option<Update> {
    let published = view.assignments.get(node);
    let entries: Vec<AssignmentEntry> = entries.unwrap_or_default().into_values().collect();
    let record = match view.nodes.get(node) {
        None => None,
        Some(alive) => {
            let same_life = published.is_some_and(|(record, _)| record.incarnation == alive.incarnation);
            // A node that has nothing and never had anything in this life needs no record.
            let needed = same_life || !entries.is_empty();
            needed.then_some(AssignmentRecord { incarnation: alive.incarnation, entries })
        }
    };
    let differs = published.map(|(record, _)| record) != record.as_ref();
    differs.then(|| Update { node: node.clone(), read_at: published.map(|(_, read_at)| *read_at), record })
}

/// The updates as commits, each guarded by the leadership and by what was read of every record in it.
pub(super) fn batches(updates: &[Update], leadership: &Leadership) -> Vec<Batch> {
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
            batches.push(Batch { guards: vec![leadership.guard()], ops: Vec::new() });
            bytes = 0;
        }
        if let Some(batch) = batches.last_mut() {
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

    use super::*;
    use crate::ids::{Incarnation, SpecRevision};

    const LEADERSHIP: Leadership =
        Leadership { lease: Incarnation(1), revision: Revision(7), sent_at: Duration::ZERO };

    fn update_of(number: usize, entries: usize) -> Update {
        let entry = |at: usize| AssignmentEntry {
            tenant: TenantId::new(&format!("tenant-with-a-name-of-some-length-{at}")).unwrap(),
            generation: Generation(1),
            phase: Phase::Active,
            spec_revision: SpecRevision(1),
        };
        let record =
            AssignmentRecord { incarnation: Incarnation(1), entries: (0..entries).map(entry).collect() };
        let node = NodeId::new(&format!("n{number}")).unwrap();
        Update { node, read_at: number.is_multiple_of(2).then_some(Revision(3)), record: Some(record) }
    }

    fn sizes(batches: &[Batch]) -> Vec<usize> {
        batches.iter().map(|batch| batch.ops.len()).collect()
    }

    #[test]
    fn a_large_plan_is_split_into_commits_that_etcd_takes() {
        let updates: Vec<Update> = (0..300).map(|number| update_of(number, 1)).collect();
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
        let updates: Vec<Update> = (0..7).map(|number| update_of(number, 2_500)).collect();
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
