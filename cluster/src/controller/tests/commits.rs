//! How the records of a plan become commits.

use std::time::Duration;

use roost_model::ids::{Generation, Incarnation, NodeId, Revision, SpecRevision, TenantId};

use crate::{
    controller::pass::{AssignmentUpdate, Batch, batches},
    election::Leadership,
    records::{AssignmentEntry, AssignmentRecord, Phase},
    registry::{Guard, MAX_OPS},
};

const LEADERSHIP: Leadership =
    Leadership { lease: Incarnation(1), revision: Revision(7), sent_at: Duration::ZERO };

fn update_of(number: usize, entries: usize) -> AssignmentUpdate {
    let entry = |at: usize| AssignmentEntry {
        tenant: TenantId::new(&format!("tenant-with-a-name-of-some-length-{at}")).unwrap(),
        generation: Generation(1),
        phase: Phase::Active,
        spec_revision: SpecRevision(1),
    };
    let record = AssignmentRecord { incarnation: Incarnation(1), entries: (0..entries).map(entry).collect() };
    let node = NodeId::new(&format!("n{number}")).unwrap();
    AssignmentUpdate { node, read_at: number.is_multiple_of(2).then_some(Revision(3)), record: Some(record) }
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
