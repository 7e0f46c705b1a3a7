//! Streams that are open, by the token they were opened with: looked at together, and ended when it counts no more.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::caller::Source;

#[derive(Debug, Default)]
pub(super) struct LiveTokens {
    tokens: Mutex<HashMap<Source, Live>>,
}

#[derive(Debug)]
struct Live {
    streams: usize,
    ended: CancellationToken,
}

/// One stream's hold on its token.
#[derive(Debug)]
pub struct LiveToken {
    source: Source,
    tokens: Arc<LiveTokens>,
    ended: CancellationToken,
}

impl LiveTokens {
    pub fn open(self: &Arc<Self>, source: Source) -> LiveToken {
        let mut tokens = self.tokens.lock();
        let live =
            tokens.entry(source).or_insert_with(|| Live { streams: 0, ended: CancellationToken::new() });
        live.streams += 1;
        LiveToken { source, tokens: self.clone(), ended: live.ended.clone() }
    }

    /// Whose streams are open.
    pub fn sources(&self) -> Vec<Source> {
        self.tokens.lock().keys().copied().collect()
    }

    /// Ends the streams of these. One that is opened with such a token afterwards is another one's.
    pub fn end(&self, gone: &HashSet<Source>) {
        self.tokens.lock().retain(|source, live| {
            let ends = gone.contains(source);
            if ends {
                live.ended.cancel();
            }
            !ends
        });
    }
}

impl LiveToken {
    /// Cancelled when the token counts no more.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// What is told, until the token counts no more. It is held for as long as that is read.
    pub fn while_it_counts<T>(self, told: impl Stream<Item = T>) -> impl Stream<Item = T> {
        told.take_until(self.ended.clone().cancelled_owned()).map(move |item| {
            let _held = &self;
            item
        })
    }
}

impl Drop for LiveToken {
    fn drop(&mut self) {
        let mut tokens = self.tokens.tokens.lock();
        // After its end another one may stand under the key.
        if self.ended.is_cancelled() {
            return;
        }
        if let Some(live) = tokens.get_mut(&self.source) {
            live.streams -= 1;
            if live.streams == 0 {
                tokens.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_of_a_token_end_together_and_those_of_others_go_on() {
        let tokens = Arc::new(LiveTokens::default());
        let (ours, others) = (Source::Database([1; 32]), Source::File([1; 32]));
        let (one, two, other) = (tokens.open(ours), tokens.open(ours), tokens.open(others));
        drop(one);
        assert_eq!(tokens.sources().len(), 2);
        tokens.end(&HashSet::from([ours]));
        assert!(two.ended().is_cancelled() && !other.ended().is_cancelled());
        let again = tokens.open(ours);
        drop(two);
        assert!(!again.ended().is_cancelled());
        assert_eq!(tokens.sources().len(), 2);
        drop((again, other));
        assert!(tokens.sources().is_empty());
    }
}
