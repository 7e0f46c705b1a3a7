//! When the session of a running browser is saved. Every message moves the session's ratchet, so the copy is to stay
//! close behind; but each copy freezes the browser for some milliseconds. So: soon after the session has come to rest,
//! and now and then while it does not. What changes it without a message (history after a linking, groups, keys) is found by
//! looking at the files: one `stat` for each of a session's files every 15 s. For 200 tenants of 60 files these
//! are 30 ms, two thousandths of a processor. Pure.

use std::time::Duration;

use super::{state::WorkerTime, timing::WorkerTiming};

/// After a snapshot that failed.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Operators are told when no snapshot has succeeded for so long.
const OVERDUE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct SnapshotSchedule {
    timing: WorkerTiming,
    /// The first and the last change that no snapshot holds.
    changed: Option<(WorkerTime, WorkerTime)>,
    /// Not before this; a linking is saved at once.
    not_before: WorkerTime,
    /// When what a look has found is to be saved.
    noticed: Option<WorkerTime>,
    /// When the last snapshot was begun, and when the files were last looked at; none while they are.
    begun: WorkerTime,
    looked: Option<WorkerTime>,
    /// Since when the snapshot that is being taken is.
    saving: Option<WorkerTime>,
    /// When the first of the snapshots that failed since the last good one was begun.
    failing_since: Option<WorkerTime>,
}

impl SnapshotSchedule {
    pub fn new(timing: WorkerTiming) -> Self {
        Self {
            timing,
            changed: None,
            not_before: WorkerTime::ZERO,
            noticed: None,
            begun: WorkerTime::ZERO,
            looked: Some(WorkerTime::ZERO),
            saving: None,
            failing_since: None,
        }
    }

    /// A message was received or sent.
    pub fn changed(&mut self, now: WorkerTime) {
        let first = self.changed.map_or(now, |(first, _)| first);
        self.changed = Some((first, now));
    }

    /// A phone has just been linked: without a copy a crash now would cost the owner another scan.
    pub fn linked(&mut self) {
        self.changed = Some((WorkerTime::ZERO, WorkerTime::ZERO));
        self.not_before = WorkerTime::ZERO;
    }

    /// When the files are to be looked at; `None` while they are, and while it is known that they have changed.
    pub fn look_due(&self) -> Option<WorkerTime> {
        let is_known = self.saving.is_some() || self.changed.is_some() || self.noticed.is_some();
        self.looked.filter(|_| !is_known).map(|looked| looked.max(self.begun) + self.timing.look_every)
    }

    pub fn look(&mut self) {
        self.looked = None;
    }

    /// What a look has found.
    pub fn looked(&mut self, now: WorkerTime, has_changed: bool) {
        self.looked = Some(now);
        if has_changed && self.saving.is_none() {
            self.noticed = Some(now.max(self.begun + self.timing.looked_apart));
        }
    }

    /// When the next snapshot is due; `None` while nothing has changed or one is being taken.
    pub fn due(&self) -> Option<WorkerTime> {
        if self.saving.is_some() {
            return None;
        }
        let noticed = self.noticed.map(|due| due.max(self.not_before));
        [self.due_for_messages(), noticed].into_iter().flatten().min()
    }

    fn due_for_messages(&self) -> Option<WorkerTime> {
        let (first, last) = self.changed?;
        let at_rest = last + self.timing.snapshot_quiet;
        let at_most = first + self.timing.snapshot_at_most;
        if last == WorkerTime::ZERO {
            return Some(WorkerTime::ZERO);
        }
        Some(at_rest.min(at_most).max(self.not_before))
    }

    /// A snapshot is being taken; what changes from here on may not be in it.
    pub fn begin(&mut self, now: WorkerTime) {
        (self.saving, self.begun) = (Some(now), now);
        self.noticed = None;
        self.changed = None;
    }

    pub fn done(&mut self) {
        (self.saving, self.failing_since) = (None, None);
    }

    /// It was not taken: what it was to hold is still unsaved. `true` when that has been so for too long.
    pub fn failed(&mut self, now: WorkerTime) -> bool {
        let begun = self.saving.take().unwrap_or(now);
        self.changed(now);
        self.not_before = now + TRY_AGAIN;
        now.saturating_sub(*self.failing_since.get_or_insert(begun)) >= OVERDUE
    }

    /// The browser is gone, and a snapshot that was being taken with it.
    pub fn abandon(&mut self) {
        (self.saving, self.changed, self.noticed) = (None, None, None);
        self.looked.get_or_insert(self.begun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> WorkerTime {
        Duration::from_millis(n)
    }

    #[test]
    fn a_snapshot_waits_for_rest_but_not_for_ever() {
        let mut snapshot_schedule = SnapshotSchedule::new(WorkerTiming::default());
        assert_eq!(snapshot_schedule.due(), None);
        snapshot_schedule.changed(ms(10_000));
        assert_eq!(snapshot_schedule.due(), Some(ms(11_000)));
        snapshot_schedule.changed(ms(10_400));
        assert_eq!(snapshot_schedule.due(), Some(ms(11_400)));
        snapshot_schedule.changed(ms(11_000));
        assert_eq!(snapshot_schedule.due(), Some(ms(11_500)), "a second and a half after the first change");
    }

    #[test]
    fn changes_during_a_snapshot_are_for_the_next_one() {
        let mut snapshot_schedule = SnapshotSchedule::new(WorkerTiming::default());
        snapshot_schedule.changed(ms(1_000));
        snapshot_schedule.begin(ms(1_500));
        snapshot_schedule.changed(ms(2_000));
        assert_eq!(snapshot_schedule.due(), None);
        snapshot_schedule.done();
        assert_eq!(snapshot_schedule.due(), Some(ms(3_000)));
    }

    #[test]
    fn a_linking_is_saved_at_once_and_a_failure_is_made_up_for() {
        let mut snapshot_schedule = SnapshotSchedule::new(WorkerTiming::default());
        snapshot_schedule.linked();
        assert_eq!(snapshot_schedule.due(), Some(WorkerTime::ZERO));
        snapshot_schedule.begin(ms(6_000));
        snapshot_schedule.failed(ms(7_000));
        assert_eq!(snapshot_schedule.due(), Some(ms(12_000)));
    }

    /// As it is by default: 15 s until it is seen and 30 s after the last snapshot at least, so 45 s at most.
    #[test]
    fn what_only_the_files_tell_is_saved_within_a_minute_of_the_last_snapshot() {
        let mut snapshot_schedule = SnapshotSchedule::new(WorkerTiming::default());
        snapshot_schedule.begin(ms(100_000));
        snapshot_schedule.done();
        let look = snapshot_schedule.look_due().unwrap();
        assert_eq!(look, ms(115_000));
        snapshot_schedule.look();
        assert_eq!(snapshot_schedule.look_due(), None, "one at a time");
        snapshot_schedule.looked(look, true);
        assert_eq!((snapshot_schedule.due(), snapshot_schedule.look_due()), (Some(ms(130_000)), None));
        snapshot_schedule.changed(ms(116_000));
        assert_eq!(snapshot_schedule.due(), Some(ms(117_000)), "a message does not wait for that");
        snapshot_schedule.begin(ms(117_000));
        snapshot_schedule.done();
        assert_eq!((snapshot_schedule.due(), snapshot_schedule.look_due()), (None, Some(ms(132_000))));
        snapshot_schedule.looked(ms(500_000), true);
        assert_eq!(snapshot_schedule.due(), Some(ms(500_000)));
    }

    #[test]
    fn snapshots_that_fail_for_a_minute_are_overdue_and_so_is_one_that_hangs_as_long() {
        let mut snapshot_schedule = SnapshotSchedule::new(WorkerTiming::default());
        for begun in [0, 30_000] {
            snapshot_schedule.begin(ms(begun));
            assert!(!snapshot_schedule.failed(ms(begun + 1_000)));
        }
        snapshot_schedule.begin(ms(59_000));
        assert!(snapshot_schedule.failed(ms(60_000)), "since the first one was begun");
        snapshot_schedule.begin(ms(70_000));
        snapshot_schedule.done();
        snapshot_schedule.begin(ms(80_000));
        assert!(!snapshot_schedule.failed(ms(81_000)), "one was good in between");
        snapshot_schedule.done();
        snapshot_schedule.begin(ms(100_000));
        assert!(snapshot_schedule.failed(ms(160_000)));
    }
}
