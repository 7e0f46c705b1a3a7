//! What this node has of memory for its tenants, as its record says it: the controller places tenants by it.
//!
//! What its tenants use changes with every look at them, and each change of a record is a write to etcd and a plan. So it is rounded,
//! looked at once a minute, and said anew only when it is something else by a step.

use std::time::Duration;

use roost_cluster::records::NodeMemory;
use tokio::sync::watch;

use crate::resources::{MachineMemory, Resources};

const EVERY: Duration = Duration::from_secs(60);
/// With fewer tenants than this, one of them decides what all are taken to need.
const ENOUGH: usize = 5;
const STEP_BYTES: u64 = 16 << 20;

/// One of a process; cheap to clone, and all clones show the same.
#[derive(Debug, Clone)]
pub struct PublishedMemory {
    present: watch::Sender<Option<NodeMemory>>,
}

impl PublishedMemory {
    /// `None`: nothing is said of it, and the node is limited by its capacity alone.
    pub(super) fn new(machine: Option<&MachineMemory>) -> Self {
        let memory =
            machine.map(|machine| NodeMemory { allocatable_bytes: machine.for_tenants(), p95_bytes: None });
        Self { present: watch::Sender::new(memory) }
    }

    pub(super) fn present(&self) -> Option<NodeMemory> {
        *self.present.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<NodeMemory>> {
        self.present.subscribe()
    }

    /// Runs for as long as the process.
    pub(super) async fn follow(self, resources: Resources) {
        loop {
            tokio::time::sleep(EVERY).await;
            let used = resources.usages().into_values().map(|usage| usage.memory_bytes).collect();
            self.take_in(used);
        }
    }

    fn take_in(&self, used: Vec<u64>) {
        self.present.send_if_modified(|present| {
            let Some(memory) = present else { return false };
            let p95_bytes = rounded(memory.p95_bytes, p95(used));
            std::mem::replace(&mut memory.p95_bytes, p95_bytes) != p95_bytes
        });
    }
}

/// Nineteen in twenty are not above it.
fn p95(mut used: Vec<u64>) -> Option<u64> {
    if used.len() < ENOUGH {
        return None;
    }
    used.sort_unstable();
    Some(used[(used.len() * 19).div_ceil(20) - 1])
}

/// Up to a whole step. What was said before stands until it is too little, or too much by more than a step; and where there are too
/// few tenants by now to say another.
fn rounded(before: Option<u64>, measured: Option<u64>) -> Option<u64> {
    let Some(measured) = measured else { return before };
    let stands = |said: &u64| measured <= *said && said - measured < 2 * STEP_BYTES;
    before.filter(stands).or_else(|| Some(measured.max(1).next_multiple_of(STEP_BYTES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_tenants_tell_what_one_of_them_needs_when_there_are_enough() {
        assert_eq!(p95((1..5).collect()), None);
        assert_eq!(p95((1..=5).rev().collect()), Some(5));
        assert_eq!(p95((1..=20).rev().collect()), Some(19));
        assert_eq!(p95((1..=100).collect()), Some(95));
    }

    #[test]
    fn what_is_said_changes_by_steps_and_not_with_every_look() {
        let (total_bytes, reserve_bytes, short_bytes) = (1_024 * MIB, 24 * MIB, 12 * MIB);
        let proc = "/proc".into();
        let machine = MachineMemory {
            total_bytes,
            reserve_bytes,
            short_bytes,
            spares_bytes: 0,
            stall_percent: 10,
            proc,
        };
        let memory = PublishedMemory::new(Some(&machine));
        let mut told = memory.subscribe();
        let mut says = |mib: &[u64]| {
            memory.take_in(mib.iter().map(|mib| mib * MIB).collect());
            let is_news = told.has_changed().unwrap();
            told.mark_unchanged();
            (memory.present().unwrap().p95_bytes.map(|bytes| bytes / MIB), is_news)
        };
        assert_eq!(says(&[500]), (None, false));
        assert_eq!(says(&[90; 5]), (Some(96), true));
        assert_eq!(says(&[96; 5]), (Some(96), false));
        assert_eq!(says(&[65; 5]), (Some(96), false));
        assert_eq!(says(&[97; 5]), (Some(112), true));
        assert_eq!(says(&[80; 5]), (Some(80), true));
        assert_eq!(says(&[500; 4]), (Some(80), false), "too few to say another");
        assert_eq!(memory.present().unwrap().allocatable_bytes, 1_000 * MIB);
    }

    #[test]
    fn of_a_node_without_browsers_nothing_is_said() {
        let memory = PublishedMemory::new(None);
        memory.take_in(vec![MIB; 100]);
        assert_eq!(memory.present(), None);
    }
}
