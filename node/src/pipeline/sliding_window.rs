//! What was counted in the last 60 s, and of which chat. Pure.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::context::PipelineTime;

/// The length of the window.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// `now` must be at least [`WINDOW`], so that what was counted before this process began has a time too.
#[derive(Debug, Clone, Default)]
pub(super) struct SlidingWindow {
    /// Oldest first. What an earlier owner counted is of chats that nobody knows any more.
    counted: VecDeque<(PipelineTime, Option<String>)>,
    chats: HashMap<String, usize>,
}

impl SlidingWindow {
    /// Goes on from what the database knows of the last window.
    pub fn seeded(ages: &[Duration], now: PipelineTime) -> Self {
        let mut counted: Vec<_> = ages.iter().map(|age| (now.saturating_sub(*age), None)).collect();
        counted.sort_unstable();
        Self { counted: counted.into(), chats: HashMap::new() }
    }

    pub fn expire(&mut self, now: PipelineTime) {
        while let Some((_, chat)) = self.counted.pop_front_if(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
            let Some(chat) = chat else { continue };
            if let Some(left) = self.chats.get_mut(&chat) {
                *left -= 1;
                if *left == 0 {
                    self.chats.remove(&chat);
                }
            }
        }
    }

    pub fn count(&mut self, chat: &str, times: usize, now: PipelineTime) {
        if times > 0 {
            self.counted.extend((0..times).map(|_| (now, Some(chat.to_owned()))));
            *self.chats.entry(chat.to_owned()).or_default() += times;
        }
    }

    pub fn len(&self) -> usize {
        self.counted.len()
    }

    pub fn of(&self, chat: &str) -> usize {
        self.chats.get(chat).copied().unwrap_or_default()
    }

    pub fn has_others_than(&self, chat: &str) -> bool {
        self.chats.len() > usize::from(self.chats.contains_key(chat))
    }

    /// How much there is when no chat counts for more than `share`.
    pub fn len_with_shares(&self, share: usize) -> usize {
        let beyond: usize = self.chats.values().map(|count| count.saturating_sub(share)).sum();
        self.counted.len() - beyond
    }

    /// When the oldest leaves it.
    pub fn next_leaves_at(&self) -> Option<PipelineTime> {
        self.counted.front().map(|(at, _)| *at + WINDOW)
    }
}
