//! Letting etcd forget its history. Every write adds a revision that etcd keeps until it is told that nobody asks for it any
//! more; one that is never told fills its quota and then takes no writes. The leader keeps so much history that a watch
//! that was cut off can go on, and no more.

use std::{collections::VecDeque, time::Duration};

use roost_model::ids::Revision;

/// So many times within the span that is kept: what is kept is at most that much longer.
const STEPS: u32 = 12;

/// Which revision is old enough, for one term. Costs a note every five minutes with an hour of history.
pub(super) struct Compaction {
    keep: Option<Duration>,
    /// How far the registry was, and when; oldest first.
    notes: VecDeque<(Duration, Revision)>,
    compacted: Revision,
}

impl Compaction {
    /// `keep`: none where somebody else compacts.
    pub(super) fn new(keep: Option<Duration>) -> Self {
        Self { keep, notes: VecDeque::new(), compacted: Revision(0) }
    }

    /// Notes how far the registry is now. What may be forgotten, if that is more than was forgotten last.
    pub(super) fn due(&mut self, seen: Revision, now: Duration) -> Option<Revision> {
        let keep = self.keep?;
        if self.notes.back().is_none_or(|(at, _)| *at + keep / STEPS <= now) {
            self.notes.push_back((now, seen));
        }
        let mut old_enough = None;
        while self.notes.front().is_some_and(|(at, _)| *at + keep <= now) {
            old_enough = self.notes.pop_front().map(|(_, revision)| revision);
        }
        old_enough.filter(|revision| *revision > self.compacted)
    }

    pub(super) fn done(&mut self, revision: Revision) {
        self.compacted = revision;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A revision a second.
    fn run(compaction: &mut Compaction, from: u64, to: u64) -> Vec<(u64, i64)> {
        let mut compacted = Vec::new();
        for second in from..to {
            let seen = Revision(second as i64);
            if let Some(revision) = compaction.due(seen, Duration::from_secs(second)) {
                compaction.done(revision);
                compacted.push((second, revision.0));
            }
        }
        compacted
    }

    #[test]
    fn an_hour_is_kept_and_hardly_more() {
        let mut compaction = Compaction::new(Some(HOUR));
        let compacted = run(&mut compaction, 1, 3 * 3600);
        assert_eq!(compacted.first(), Some(&(3601, 1)), "nothing in the first hour of a term");
        assert!(
            compacted.iter().all(|(second, revision)| (3600..=3900).contains(&(*second as i64 - revision)))
        );
        assert_eq!(compacted.len(), 24);
        assert!(compaction.notes.len() <= STEPS as usize + 1);
    }

    #[test]
    fn a_registry_that_stands_still_is_compacted_once() {
        let mut compaction = Compaction::new(Some(HOUR));
        let mut times = 0;
        for minute in 0..600 {
            if let Some(revision) = compaction.due(Revision(7), Duration::from_secs(60 * minute)) {
                compaction.done(revision);
                times += 1;
            }
        }
        assert_eq!(times, 1);
    }

    #[test]
    fn nothing_is_compacted_where_somebody_else_does_it() {
        assert_eq!(run(&mut Compaction::new(None), 1, 2 * 3600), []);
    }
}
