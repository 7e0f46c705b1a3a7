//! Which member of etcd is asked: one of them until a call to it fails for its sake, then the next that has not been silent
//! of late. A frozen member keeps its connections open, so nothing but the silence tells.
//!
//! Watches are opened where calls go, and a frozen member says nothing on them either. They are ended once another
//! member answers: only then is it known that it is the member, not all of etcd, and that a new watch will work. Ending
//! them at every slow answer would have the whole cluster list anew when etcd is busiest.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Of the members by their number, of which there is at least one.
#[derive(Debug)]
pub(super) struct Rotation {
    current: usize,
    members: Vec<Member>,
    /// How long a member that was silent is asked only when all were.
    shunned_for: Duration,
}

#[derive(Debug, Default)]
struct Member {
    silent_since: Option<Instant>,
    /// Cancelled when its watches are to end.
    watches: CancellationToken,
}

impl Rotation {
    /// `first` is taken modulo the number.
    pub(super) fn new(members: usize, first: usize, shunned_for: Duration) -> Self {
        let members: Vec<Member> = (0..members).map(|_| Member::default()).collect();
        Self { current: first % members.len(), members, shunned_for }
    }

    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// For a watch that is opened on this member.
    pub(super) fn watches_of(&self, member: usize) -> CancellationToken {
        self.members[member].watches.clone()
    }

    pub(super) fn answered(&mut self, member: usize) {
        self.members[member].silent_since = None;
        for silent in self.members.iter_mut().filter(|other| other.silent_since.is_some()) {
            std::mem::take(&mut silent.watches).cancel();
        }
    }

    pub(super) fn silent(&mut self, member: usize, now: Instant) {
        self.members[member].silent_since = Some(now);
        self.leave(member, now);
    }

    /// It answered, or its host did, that it cannot serve.
    pub(super) fn failed(&mut self, member: usize, now: Instant) {
        self.members[member].silent_since = None;
        self.leave(member, now);
    }

    /// Only the first of several calls that fail together moves on.
    fn leave(&mut self, member: usize, now: Instant) {
        if self.current != member {
            return;
        }
        let count = self.members.len();
        let after = (1..=count).map(|step| (member + step) % count);
        let shunned = |at: usize| {
            let since = self.members[at].silent_since;
            since.filter(|since| now.saturating_duration_since(*since) < self.shunned_for)
        };
        // Of those that are shunned the one whose silence is the oldest; `None` is less than any moment.
        self.current = after.min_by_key(|at| shunned(*at)).unwrap_or(member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHUNNED_FOR: Duration = Duration::from_secs(5);

    fn three() -> (Rotation, Instant) {
        (Rotation::new(3, 0, SHUNNED_FOR), Instant::now())
    }

    #[test]
    fn members_that_fail_are_left_in_turn() {
        let (mut rotation, now) = three();
        let mut asked = vec![];
        for _ in 0..4 {
            asked.push(rotation.current());
            rotation.failed(rotation.current(), now);
        }
        assert_eq!(asked, [0, 1, 2, 0]);
    }

    #[test]
    fn calls_that_fail_together_move_on_once() {
        let (mut rotation, now) = three();
        rotation.failed(0, now);
        rotation.failed(0, now);
        rotation.silent(0, now);
        assert_eq!(rotation.current(), 1);
    }

    #[test]
    fn a_silent_member_is_passed_over_while_the_others_fail_at_once() {
        let (mut rotation, now) = three();
        rotation.silent(0, now);
        let mut asked = vec![];
        for _ in 0..4 {
            asked.push(rotation.current());
            rotation.failed(rotation.current(), now);
        }
        assert_eq!(asked, [1, 2, 1, 2]);
        rotation.failed(rotation.current(), now + SHUNNED_FOR);
        rotation.failed(rotation.current(), now + SHUNNED_FOR);
        assert_eq!(rotation.current(), 0, "it may have thawed");
    }

    #[test]
    fn when_all_are_silent_the_one_whose_silence_is_the_oldest_is_asked() {
        let (mut rotation, now) = three();
        let mut asked = vec![];
        for second in 0..5 {
            asked.push(rotation.current());
            rotation.silent(rotation.current(), now + Duration::from_secs(second));
        }
        assert_eq!(asked, [0, 1, 2, 0, 1]);
    }

    #[test]
    fn a_single_member_is_asked_whatever_it_does() {
        let mut rotation = Rotation::new(1, 7, SHUNNED_FOR);
        rotation.silent(0, Instant::now());
        rotation.failed(0, Instant::now());
        assert_eq!(rotation.current(), 0);
    }

    #[test]
    fn watches_on_a_silent_member_end_when_another_answers_and_not_before() {
        let (mut rotation, now) = three();
        let (on_silent, on_other) = (rotation.watches_of(0), rotation.watches_of(1));
        rotation.silent(0, now);
        rotation.failed(1, now);
        assert!(!on_silent.is_cancelled());
        rotation.answered(2);
        assert!(on_silent.is_cancelled() && !on_other.is_cancelled());
        assert!(!rotation.watches_of(0).is_cancelled(), "a later watch lives");
        let again = rotation.watches_of(0);
        rotation.answered(0);
        rotation.answered(1);
        assert!(!again.is_cancelled(), "it is not silent any more");
    }
}
