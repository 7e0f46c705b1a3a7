//! The tenant's reply limit: at most so many replies in any 60 seconds, one warning per window, the rest suppressed.
//! Pure. What it remembers is also in the database (the rows of the replies themselves), from which the next owner
//! seeds its own; so a failover neither lifts the limit nor repeats the warning.
//!
//! A chat that floods silences nobody else: it has at most half of the limit while others have some of it, and what it
//! took beyond that while it was alone is not held against them. They are answered then as soon as the pace of the sends
//! ([`super::send_pace`]) has room, a minute later at most. Whose replies an earlier owner sent is not known any more:
//! they count in full.

use std::fmt;

use roost_store::ReplyWindow;

use super::{
    context::PipelineTime,
    sliding_window::{SlidingWindow, WINDOW},
};

/// What may be done with the replies to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send them; they count.
    Reply,
    /// Send the warning in their place; it does not count.
    Warn(Over),
    /// Send nothing; the message is left unanswered on purpose.
    Suppress(Over),
}

/// What is over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Tenant { limit: u32 },
    Chat { share: u32, limit: u32 },
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant { limit } => {
                write!(f, "the tenant had its {limit} replies in 60 s; see its reply_limit_per_minute")
            }
            Self::Chat { share, limit } => write!(
                f,
                "the chat had {share} of the tenant's {limit} replies in 60 s, which is its share while others write"
            ),
        }
    }
}

/// A sliding window over the replies of one tenant.
#[derive(Debug, Clone)]
pub struct ReplyLimit {
    /// 0 lifts the limit.
    per_window: u32,
    /// The replies that were decided on.
    decided: SlidingWindow,
    warned: Option<PipelineTime>,
}

impl ReplyLimit {
    /// Goes on from what the database knows of the last window.
    pub fn seeded(per_window: u32, window: &ReplyWindow, now: PipelineTime) -> Self {
        let decided = SlidingWindow::seeded(&window.counted_ages, now);
        Self { per_window, decided, warned: window.warned_age.map(|age| now.saturating_sub(age)) }
    }

    /// The operator changed the limit; what was sent already counts against the new one.
    pub fn set(&mut self, per_window: u32) {
        self.per_window = per_window;
    }

    /// Decides on the `replies` to one message of a chat, all or none, and counts them. More replies than the whole limit
    /// go when the window is empty; they could never be sent otherwise.
    pub fn judge(&mut self, chat: &str, replies: usize, now: PipelineTime) -> Verdict {
        if self.per_window == 0 {
            return Verdict::Reply;
        }
        self.decided.expire(now);
        let Some(over) = self.over(chat, replies) else {
            self.decided.count(chat, replies, now);
            return Verdict::Reply;
        };
        if self.warned.is_some_and(|at| now.saturating_sub(at) < WINDOW) {
            return Verdict::Suppress(over);
        }
        self.warned = Some(now);
        Verdict::Warn(over)
    }

    fn over(&self, chat: &str, replies: usize) -> Option<Over> {
        let limit = self.per_window as usize;
        let share = (limit / 2).max(1);
        let (all, own) = (self.decided.len(), self.decided.of(chat));
        let within_share = own == 0 || own + replies <= share;
        let has_others = self.decided.has_others_than(chat);
        if all == 0 || (all + replies <= limit && (within_share || !has_others)) {
            return None;
        }
        if within_share && has_others && self.decided.len_with_shares(share) + replies <= limit {
            return None;
        }
        Some(if within_share || !has_others {
            Over::Tenant { limit: self.per_window }
        } else {
            Over::Chat { share: u32::try_from(share).unwrap_or(u32::MAX), limit: self.per_window }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> PipelineTime {
        WINDOW + Duration::from_secs(secs)
    }

    fn all(limit: u32) -> Over {
        Over::Tenant { limit }
    }

    fn fresh(per_window: u32) -> ReplyLimit {
        ReplyLimit { per_window, decided: SlidingWindow::default(), warned: None }
    }

    #[test]
    fn ten_replies_one_warning_then_silence_until_the_window_slides() {
        let mut limit = fresh(10);
        for second in 0..10 {
            assert_eq!(limit.judge("a", 1, at(second)), Verdict::Reply);
        }
        assert_eq!(limit.judge("a", 1, at(10)), Verdict::Warn(all(10)));
        assert_eq!(limit.judge("a", 1, at(11)), Verdict::Suppress(all(10)));
        assert_eq!(limit.judge("a", 1, at(59)), Verdict::Suppress(all(10)));
        assert_eq!(limit.judge("a", 1, at(60)), Verdict::Reply, "the first reply has left the window");
        assert_eq!(limit.judge("a", 1, at(60)), Verdict::Suppress(all(10)));
        assert_eq!(limit.judge("a", 1, at(61)), Verdict::Reply);
        assert_eq!(
            limit.judge("a", 2, at(61)),
            Verdict::Suppress(all(10)),
            "a message's replies go together or not at all"
        );
        assert_eq!(limit.judge("a", 2, at(63)), Verdict::Reply);
    }

    #[test]
    fn zero_lifts_the_limit() {
        let mut limit = fresh(0);
        assert!((0..10_000).all(|_| limit.judge("a", 1, at(0)) == Verdict::Reply));
        assert!(limit.decided.len() == 0, "nothing is remembered for a limit that does not exist");
    }

    #[test]
    fn more_replies_than_the_limit_go_when_nothing_else_did() {
        let mut limit = fresh(2);
        assert_eq!(limit.judge("a", 3, at(0)), Verdict::Reply);
        assert_eq!(limit.judge("a", 1, at(0)), Verdict::Warn(all(2)));
    }

    #[test]
    fn the_next_owner_goes_on_where_the_last_one_ended() {
        let window = ReplyWindow {
            counted_ages: vec![Duration::from_secs(1), Duration::from_secs(59)],
            sent_ages: Vec::new(),
            warned_age: Some(Duration::from_secs(30)),
        };
        let mut limit = ReplyLimit::seeded(2, &window, at(0));
        assert_eq!(limit.judge("a", 1, at(0)), Verdict::Suppress(all(2)));
        assert_eq!(limit.judge("a", 1, at(1)), Verdict::Reply);
        assert_eq!(limit.judge("a", 1, at(2)), Verdict::Suppress(all(2)));
        assert_eq!(
            limit.judge("a", 1, at(58)),
            Verdict::Warn(all(2)),
            "thirty seconds were left of the warning's window"
        );
    }

    #[test]
    fn a_raised_limit_counts_what_was_sent() {
        let mut limit = fresh(1);
        assert_eq!(limit.judge("a", 1, at(0)), Verdict::Reply);
        limit.set(2);
        assert_eq!(limit.judge("a", 1, at(1)), Verdict::Reply);
        assert_eq!(limit.judge("a", 1, at(2)), Verdict::Warn(all(2)));
    }

    #[test]
    fn one_chat_that_floods_has_half_of_it_while_others_write() {
        let mut limit = fresh(4);
        assert_eq!(limit.judge("flood", 1, at(0)), Verdict::Reply);
        assert_eq!(limit.judge("b", 1, at(1)), Verdict::Reply);
        assert_eq!(limit.judge("flood", 1, at(2)), Verdict::Reply);
        let share = Over::Chat { share: 2, limit: 4 };
        assert_eq!(limit.judge("flood", 1, at(3)), Verdict::Warn(share));
        assert_eq!(limit.judge("c", 1, at(4)), Verdict::Reply);
        assert_eq!(limit.judge("d", 1, at(5)), Verdict::Suppress(all(4)), "others have the rest");
        assert_eq!(limit.judge("flood", 1, at(60)), Verdict::Reply, "its first has left the window");
        assert!(share.to_string().contains("2 of the tenant's 4 replies"), "{share}");
    }

    #[test]
    fn what_a_chat_took_while_it_was_alone_is_not_held_against_others() {
        let mut limit = fresh(4);
        for _ in 0..4 {
            assert_eq!(limit.judge("flood", 1, at(0)), Verdict::Reply, "nobody else writes");
        }
        assert_eq!(limit.judge("b", 1, at(1)), Verdict::Reply);
        assert_eq!(limit.judge("b", 1, at(2)), Verdict::Reply);
        assert_eq!(limit.judge("c", 1, at(3)), Verdict::Warn(all(4)));
        assert_eq!(limit.judge("flood", 1, at(4)), Verdict::Suppress(Over::Chat { share: 2, limit: 4 }));
        assert_eq!(limit.decided.len(), 6, "half of the limit more, at most");
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
                match limit.judge("a", 1, now) {
                    Verdict::Reply => replies.push(now),
                    Verdict::Warn(_) => warnings.push(now),
                    Verdict::Suppress(_) => {}
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
