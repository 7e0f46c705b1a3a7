//! How many messages of a tenant went through in the last minute. Counted in spans of ten seconds, so that it costs the same however
//! many there are; what is told is of the last 50 to 60 seconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

const SPAN: Duration = Duration::from_secs(10);
const SPANS: u64 = 6;

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Traffic {
    begun: Instant,
    /// Of each span its number and its messages; one that is older than a minute has its place taken.
    spans: Arc<Mutex<[(u64, u32); SPANS as usize]>>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { begun: Instant::now(), spans: Arc::default() }
    }
}

impl Traffic {
    pub fn count(&self, messages: usize) {
        self.count_at(messages, self.begun.elapsed());
    }

    pub fn last_minute(&self) -> u32 {
        self.last_minute_at(self.begun.elapsed())
    }

    fn count_at(&self, messages: usize, at: Duration) {
        let number = span_of(at);
        let mut spans = self.spans.lock();
        let span = &mut spans[(number % SPANS) as usize];
        if span.0 != number {
            *span = (number, 0);
        }
        span.1 = span.1.saturating_add(u32::try_from(messages).unwrap_or(u32::MAX));
    }

    fn last_minute_at(&self, at: Duration) -> u32 {
        let now = span_of(at);
        let spans = self.spans.lock();
        let lately = spans.iter().filter(|(number, _)| number + SPANS > now);
        lately.fold(0, |sum, (_, messages)| sum.saturating_add(*messages))
    }
}

fn span_of(at: Duration) -> u64 {
    at.as_secs() / SPAN.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_and_what_is_older_is_forgotten() {
        let traffic = Traffic::default();
        let at = Duration::from_secs;
        traffic.count_at(3, at(0));
        traffic.count_at(4, at(9));
        traffic.count_at(5, at(30));
        assert_eq!(traffic.last_minute_at(at(30)), 12);
        assert_eq!(traffic.last_minute_at(at(59)), 12);
        assert_eq!(traffic.last_minute_at(at(60)), 5, "the first span is over a minute ago");
        traffic.count_at(1, at(61));
        assert_eq!(traffic.last_minute_at(at(61)), 6, "its place is taken");
        assert_eq!(traffic.last_minute_at(at(600)), 0);
    }
}
