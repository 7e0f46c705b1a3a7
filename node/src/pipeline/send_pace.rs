//! The pace at which replies go: no more than the tenant's reply limit in any 60 s, also when many were decided while none
//! could be sent. Pure. The next owner seeds its own from the times of the sends in the database.

use std::time::Duration;

use super::{context::PipelineTime, sliding_window::SlidingWindow};

#[derive(Debug, Default)]
pub(super) struct SendPace {
    /// 0 lifts the limit.
    per_window: usize,
    sent: SlidingWindow,
}

impl SendPace {
    pub fn seeded(per_window: u32, sent_ages: &[Duration], now: PipelineTime) -> Self {
        Self { per_window: per_window as usize, sent: SlidingWindow::seeded(sent_ages, now) }
    }

    pub fn set(&mut self, per_window: u32) {
        self.per_window = per_window as usize;
    }

    /// How many may go now.
    pub fn room(&mut self, now: PipelineTime) -> usize {
        if self.per_window == 0 {
            return usize::MAX;
        }
        self.sent.expire(now);
        self.per_window.saturating_sub(self.sent.len())
    }

    pub fn sent(&mut self, chat: &str, now: PipelineTime) {
        if self.per_window > 0 {
            self.sent.count(chat, 1, now);
        }
    }

    /// When another one may go, if none may now.
    pub fn opens_at(&self) -> Option<PipelineTime> {
        let is_full = self.per_window > 0 && self.sent.len() >= self.per_window;
        self.sent.next_leaves_at().filter(|_| is_full)
    }
}
