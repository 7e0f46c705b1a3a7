//! What the database has said of tokens a moment ago.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_store::{TokenDigest, TokenState};

/// How long it counts: what is revoked is refused everywhere after that.
const FRESH: Duration = Duration::from_secs(2);
/// At most, so that tokens which nobody has made fill no memory.
const MOST: usize = 10_000;

/// None: there is no such token.
type Known = Option<TokenState>;

#[derive(Debug, Default)]
pub(super) struct TokenCache {
    known: Mutex<HashMap<TokenDigest, (Instant, Known)>>,
}

impl TokenCache {
    /// Only if it was said not long ago.
    pub fn get(&self, digest: &TokenDigest, now: Instant) -> Option<Known> {
        let known = self.known.lock();
        let (at, state) = known.get(digest)?;
        (now.saturating_duration_since(*at) < FRESH).then(|| state.clone())
    }

    /// What was said at `at` or later.
    pub fn put(&self, digest: TokenDigest, at: Instant, state: Known) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.retain(|_, (before, _)| at.saturating_duration_since(*before) < FRESH);
        }
        if known.len() < MOST || known.contains_key(&digest) {
            known.insert(digest, (at, state));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_counts_for_a_moment_and_is_bounded() {
        let (cache, begun) = (TokenCache::default(), Instant::now());
        let digest = |number: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            digest
        };
        cache.put(digest(0), begun, None);
        assert_eq!(cache.get(&digest(0), begun + FRESH / 2), Some(None));
        assert_eq!(cache.get(&digest(0), begun + FRESH), None);
        assert_eq!(cache.get(&digest(1), begun), None);
        for number in 0..=MOST {
            cache.put(digest(number), begun, None);
        }
        assert_eq!(cache.get(&digest(MOST), begun), None);
        cache.put(digest(MOST), begun + FRESH, None);
        assert_eq!(cache.get(&digest(MOST), begun + FRESH), Some(None));
        assert_eq!(cache.known.lock().len(), 1);
    }
}
