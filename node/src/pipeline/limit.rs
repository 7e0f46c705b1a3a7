//! The tenant's reply limit: at most so many replies in any 60 seconds, one warning per window, the rest suppressed.
//! Pure. What it remembers is also in the database (the rows of the replies themselves), from which the next owner
//! seeds its own; so a failover neither lifts the limit nor repeats the warning.

use std::{collections::VecDeque, time::Duration};

use roost_store::ReplyWindow;

use super::context::PipelineTime;

/// The length of the sliding window.
pub const WINDOW: Duration = Duration::from_secs(60);

/// What may be done with the replies to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send them; they count.
    Reply,
    /// Send the warning in their place; it does not count.
    Warn,
    /// Send nothing; the chat has been left unanswered on purpose.
    Suppress,
}

/// A sliding window over the replies of one tenant. `now` must be at least [`WINDOW`], so that what was sent before
/// this process began has a time too.
#[derive(Debug, Clone)]
pub struct ReplyLimit {
    /// 0 lifts the limit.
    per_window: u32,
    /// When the replies of the window were decided on, oldest first.
    counted: VecDeque<PipelineTime>,
    warned: Option<PipelineTime>,
}

impl ReplyLimit {
    /// Goes on from what the database knows of the last window.
    pub fn seeded(per_window: u32, window: &ReplyWindow, now: PipelineTime) -> Self {
        let mut counted: Vec<PipelineTime> =
            window.counted_ages.iter().map(|age| now.saturating_sub(*age)).collect();
        counted.sort_unstable();
        let warned = window.warned_age.map(|age| now.saturating_sub(age));
        Self { per_window, counted: counted.into(), warned }
    }

    /// The operator changed the limit; what was sent already counts against the new one.
    pub fn set(&mut self, per_window: u32) {
        self.per_window = per_window;
    }

    /// Decides on the `replies` to one message, all or none, and counts them. More replies than the whole limit go
    /// when the window is empty; they could never be sent otherwise.
    pub fn judge(&mut self, replies: usize, now: PipelineTime) -> Verdict {
        let gone = |at: PipelineTime| now.saturating_sub(at) >= WINDOW;
        while self.counted.front().is_some_and(|at| gone(*at)) {
            self.counted.pop_front();
        }
        let limit = self.per_window as usize;
        if limit == 0 || self.counted.len() + replies <= limit || self.counted.is_empty() {
            if limit > 0 {
                self.counted.extend(std::iter::repeat_n(now, replies));
            }
            return Verdict::Reply;
        }
        if self.warned.is_some_and(|at| !gone(at)) {
            return Verdict::Suppress;
        }
        self.warned = Some(now);
        Verdict::Warn
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> PipelineTime {
        WINDOW + Duration::from_secs(secs)
    }

    fn fresh(per_window: u32) -> ReplyLimit {
        ReplyLimit { per_window, counted: VecDeque::new(), warned: None }
    }

    #[test]
    fn ten_replies_one_warning_then_silence_until_the_window_slides() {
        let mut limit = fresh(10);
        for second in 0..10 {
            assert_eq!(limit.judge(1, at(second)), Verdict::Reply);
        }
        assert_eq!(limit.judge(1, at(10)), Verdict::Warn);
        assert_eq!(limit.judge(1, at(11)), Verdict::Suppress);
        assert_eq!(limit.judge(1, at(59)), Verdict::Suppress);
        assert_eq!(limit.judge(1, at(60)), Verdict::Reply, "the first reply has left the window");
        assert_eq!(limit.judge(1, at(60)), Verdict::Suppress);
        assert_eq!(limit.judge(1, at(61)), Verdict::Reply);
        assert_eq!(
            limit.judge(2, at(61)),
            Verdict::Suppress,
            "a message's replies go together or not at all"
        );
        assert_eq!(limit.judge(2, at(63)), Verdict::Reply);
    }

    #[test]
    fn zero_lifts_the_limit() {
        let mut limit = fresh(0);
        assert!((0..10_000).all(|_| limit.judge(1, at(0)) == Verdict::Reply));
        assert!(limit.counted.is_empty(), "nothing is remembered for a limit that does not exist");
    }

    #[test]
    fn more_replies_than_the_limit_go_when_nothing_else_did() {
        let mut limit = fresh(2);
        assert_eq!(limit.judge(3, at(0)), Verdict::Reply);
        assert_eq!(limit.judge(1, at(0)), Verdict::Warn);
    }

    #[test]
    fn the_next_owner_goes_on_where_the_last_one_ended() {
        let window = ReplyWindow {
            counted_ages: vec![Duration::from_secs(1), Duration::from_secs(59)],
            warned_age: Some(Duration::from_secs(30)),
        };
        let mut limit = ReplyLimit::seeded(2, &window, at(0));
        assert_eq!(limit.judge(1, at(0)), Verdict::Suppress);
        assert_eq!(limit.judge(1, at(1)), Verdict::Reply);
        assert_eq!(limit.judge(1, at(2)), Verdict::Suppress);
        assert_eq!(limit.judge(1, at(58)), Verdict::Warn, "thirty seconds were left of the warning's window");
    }

    #[test]
    fn a_raised_limit_counts_what_was_sent() {
        let mut limit = fresh(1);
        assert_eq!(limit.judge(1, at(0)), Verdict::Reply);
        limit.set(2);
        assert_eq!(limit.judge(1, at(1)), Verdict::Reply);
        assert_eq!(limit.judge(1, at(2)), Verdict::Warn);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_limit_nor_two_warnings(
            per_window in 1u32..12,
            gaps in prop::collection::vec(0u64..20_000, 1..200),
        ) {
            let mut limit = fresh(per_window);
            let (mut now, mut replies, mut warnings) = (WINDOW, Vec::new(), Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                match limit.judge(1, now) {
                    Verdict::Reply => replies.push(now),
                    Verdict::Warn => warnings.push(now),
                    Verdict::Suppress => {}
                }
            }
            for window in replies.windows(per_window as usize + 1) {
                prop_assert!(window[per_window as usize] - window[0] >= WINDOW);
            }
            for pair in warnings.windows(2) {
                prop_assert!(pair[1] - pair[0] >= WINDOW);
            }
        }
    }
}
