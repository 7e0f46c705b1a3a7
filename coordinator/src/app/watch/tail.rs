//! Which rows of a log were read, where a row may appear below one that was read already: ids are given before their rows are
//! committed. Each reading begins at a floor that follows some seconds behind, and what was read above it is remembered.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a row may take from its id to its commit and still be found.
const LATE: Duration = Duration::from_secs(5);
/// Rows that are remembered; with more than these in [`LATE`], a row that comes late may be missed.
const REMEMBERED: usize = 4_096;

/// What has been read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Everything up to this id has been read or came too late.
    floor: i64,
    /// What was sent above the floor, and when.
    sent: BTreeMap<i64, Instant>,
}

impl Tail {
    /// The rows of these ids, in order, are all there were at the end of the log; they count as sent.
    pub(super) fn begin(ids: impl Iterator<Item = i64>, now: Instant) -> Self {
        let sent: BTreeMap<i64, Instant> = ids.map(|id| (id, now)).collect();
        Self { floor: sent.keys().next().map_or(0, |first| first - 1), sent }
    }

    /// Whether the row has not been sent; it counts as sent from now on.
    pub(super) fn is_new(&mut self, id: i64, now: Instant) -> bool {
        if id <= self.floor || self.sent.contains_key(&id) {
            return false;
        }
        self.sent.insert(id, now);
        true
    }

    pub(super) fn floor(&self) -> i64 {
        self.floor
    }

    /// Raises the floor over what was sent long enough ago.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(first) = self.sent.first_entry() {
            if now.duration_since(*first.get()) < LATE && self.sent.len() <= REMEMBERED {
                return;
            }
            if let Some((id, _)) = self.sent.pop_first() {
                self.floor = id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_appears_below_one_already_sent_is_sent_once() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        assert!(tail.is_new(11, now));
        tail.settle(now + LATE / 2);
        assert!(tail.is_new(10, now + LATE / 2));
        assert!(!tail.is_new(10, now + LATE / 2));
        assert!(!tail.is_new(11, now + LATE / 2));
    }

    #[test]
    fn a_tail_begins_at_the_end_of_the_log() {
        let now = Instant::now();
        let mut tail = Tail::begin([40, 42].into_iter(), now);
        assert_eq!(tail.floor, 39);
        let told: Vec<_> = (1..=43).filter(|id| tail.is_new(*id, now)).collect();
        assert_eq!(told, [41, 43]);
        assert_eq!(Tail::begin([].into_iter(), now).floor, 0);
    }

    #[test]
    fn the_floor_follows_and_what_is_below_it_is_not_read_again() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        tail.is_new(10, now);
        tail.is_new(12, now + LATE);
        tail.settle(now + LATE);
        assert_eq!((tail.floor, tail.sent.len()), (10, 1));
        assert!(!tail.is_new(9, now + LATE));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        for id in 1..=REMEMBERED as i64 * 2 {
            tail.is_new(id, now);
        }
        tail.settle(now);
        assert_eq!(tail.sent.len(), REMEMBERED);
        assert_eq!(tail.floor, REMEMBERED as i64);
    }
}
