//! One reader of a process, for all who follow how things stand: workers, sessions, operations.
//!
//! ```text
//!  wakeups ─► one reading ─► state log ─► each stream, when it comes to read: what differs from what it was told
//! ```
//!
//! A feed reads while somebody follows. One who begins has the reader look, so that it begins with what is true, and goes on from
//! there without a gap; from then on it costs no statement of its own. One who is slow holds up nobody, and is told how
//! things stand by then.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use roost_model::causes;
use roost_store::StoreError;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    feed::RETRY_EVERY,
    state_log::{Change, StateLog},
    streams::{Outlet, PATIENCE},
    wakeups::Look,
};
use crate::app::Error;

/// What a feed reads from.
pub(super) trait Source: Send + 'static {
    type Key: Ord + Clone + Send + Sync + 'static;
    type State: Send + Sync + 'static;
    type Wakeups: Wakeups<Self::Key>;
    /// Each thing is followed by itself, and only those that somebody follows are read.
    const EACH: bool;

    /// `followed`: the things that somebody follows, where each is by itself. A reading that fails or is dropped leaves the
    /// source as it was.
    fn read(
        &mut self,
        look: Look<Self::Key>,
        followed: BTreeSet<Self::Key>,
    ) -> impl Future<Output = Result<Found<Self::Key, Self::State>, StoreError>> + Send;

    /// Whether callers are told.
    fn differs(before: &Self::State, now: &Self::State) -> bool;
}

/// When to look.
pub(super) trait Wakeups<K>: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Look<K>> + Send;
}

/// What a reading has found.
pub(super) struct Found<K, S> {
    /// What was looked at; none for all there is. What of that is not among the states is not there.
    pub looked_at: Option<BTreeSet<K>>,
    pub states: Vec<(K, S)>,
}

impl<K, S> Found<K, S> {
    /// Those of these that there are.
    pub fn of(looked_at: BTreeSet<K>, states: Vec<S>, key: impl Fn(&S) -> K) -> Self {
        Self { looked_at: Some(looked_at), states: keyed(states, key) }
    }

    pub fn all(states: Vec<S>, key: impl Fn(&S) -> K) -> Self {
        Self { looked_at: None, states: keyed(states, key) }
    }
}

fn keyed<K, S>(states: Vec<S>, key: impl Fn(&S) -> K) -> Vec<(K, S)> {
    states.into_iter().map(|state| (key(&state), state)).collect()
}

/// Cheap to clone; all clones are one feed.
pub(super) struct StateFeed<S: Source> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Source> {
    states: watch::Sender<States<S>>,
    /// By how many.
    followed: Mutex<BTreeMap<S::Key, usize>>,
    reader: tokio::sync::Mutex<Reader<S>>,
    /// Readings of everything that have begun.
    begun: AtomicU64,
}

/// Who has it reads.
struct Reader<S> {
    /// None while nobody follows.
    source: Option<S>,
    /// The last reading of everything that has succeeded.
    everything: u64,
}

struct States<S: Source> {
    log: StateLog<S::Key, S::State>,
    away: Option<Away>,
}

/// Readings fail.
struct Away {
    since: Instant,
    error: Arc<StoreError>,
}

impl<S: Source> Default for States<S> {
    fn default() -> Self {
        Self { log: StateLog::default(), away: None }
    }
}

impl<S: Source> Clone for StateFeed<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: Source> Default for StateFeed<S> {
    fn default() -> Self {
        let shared = Shared {
            states: watch::Sender::new(States::default()),
            followed: Mutex::default(),
            reader: tokio::sync::Mutex::new(Reader { source: None, everything: 0 }),
            begun: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl<S: Source> StateFeed<S> {
    /// All things, or one, as they stand and from now on. `begin` is called if nobody follows yet: the wakeups are for what
    /// changes after it.
    pub async fn follow(
        &self,
        one: Option<S::Key>,
        begin: impl Future<Output = (S, S::Wakeups)>,
    ) -> Result<Follower<S>, StoreError> {
        // Before the reader is looked for, so that it does not end meanwhile.
        let states = self.shared.states.subscribe();
        let one = one.map(|key| Interest::new(&self.shared, key));
        let asked = self.shared.begun.load(Ordering::Relaxed);
        let mut reader = self.shared.reader.lock().await;
        let mut wakeups = None;
        if reader.source.is_none() {
            let (source, begun) = begin.await;
            (reader.source, wakeups) = (Some(source), Some(begun));
        }
        let read = match &one {
            Some(interest) => {
                self.read(&mut reader, Look::At(BTreeSet::from([interest.key.clone()]))).await.map(drop)
            }
            // Somebody else may have asked meanwhile.
            None if reader.everything > asked => Ok(()),
            None => self.read(&mut reader, Look::Everything).await.map(drop),
        };
        match (read, wakeups) {
            (Ok(()), Some(wakeups)) => drop(tokio::spawn(self.clone().run(wakeups))),
            (Err(error), Some(_)) => {
                reader.source = None;
                return Err(error);
            }
            (read, None) => read?,
        }
        Ok(Follower::new(states, one))
    }

    async fn run(self, mut wakeups: S::Wakeups) {
        let mut look = wakeups.next().await;
        loop {
            let mut reader = self.shared.reader.lock().await;
            // Under the lock, so that nobody begins to follow what has just ended.
            if self.shared.states.receiver_count() == 0 {
                reader.source = None;
                self.shared.states.send_modify(|states| *states = States::default());
                return;
            }
            let outcome = self.read(&mut reader, look).await;
            drop(reader);
            look = match outcome {
                Ok(()) => wakeups.next().await,
                Err(error) => {
                    tracing::debug!(error = %causes(&error), "what callers follow could not be read");
                    self.is_away(error);
                    sleep(RETRY_EVERY).await;
                    // What was to be looked at, and what has changed meanwhile.
                    Look::Everything
                }
            };
        }
    }

    async fn read(&self, reader: &mut Reader<S>, look: Look<S::Key>) -> Result<(), StoreError> {
        let Some(source) = &mut reader.source else { return Ok(()) };
        let is_everything = matches!(look, Look::Everything);
        let number = self.shared.begun.fetch_add(u64::from(is_everything), Ordering::Relaxed) + 1;
        let followed = self.shared.followed.lock().keys().cloned().collect();
        let found = source.read(look, followed).await?;
        if is_everything {
            reader.everything = number;
        }
        self.take(found);
        Ok(())
    }

    fn take(&self, found: Found<S::Key, S::State>) {
        self.shared.states.send_if_modified(|states| {
            let mut is_news = states.away.take().is_some();
            let there: BTreeSet<S::Key> = found.states.iter().map(|(key, _)| key.clone()).collect();
            let gone = match found.looked_at {
                Some(looked_at) => looked_at.difference(&there).cloned().collect(),
                None => states.log.missing_from(&there),
            };
            let states_now = found.states.into_iter().map(|(key, state)| (key, Some(state)));
            for (key, now) in gone.into_iter().map(|key| (key, None)).chain(states_now) {
                is_news |= states.log.put(key, now, S::differs);
            }
            if S::EACH {
                let followed = self.shared.followed.lock();
                states.log.retain(|key| followed.contains_key(key));
            }
            is_news
        });
    }

    fn is_away(&self, error: StoreError) {
        self.shared.states.send_modify(|states| {
            let since = states.away.as_ref().map_or_else(Instant::now, |away| away.since);
            states.away = Some(Away { since, error: Arc::new(error) });
        });
    }
}

/// That somebody follows this thing.
struct Interest<S: Source> {
    shared: Arc<Shared<S>>,
    key: S::Key,
}

impl<S: Source> Interest<S> {
    fn new(shared: &Arc<Shared<S>>, key: S::Key) -> Self {
        *shared.followed.lock().entry(key.clone()).or_default() += 1;
        Self { shared: shared.clone(), key }
    }
}

impl<S: Source> Drop for Interest<S> {
    fn drop(&mut self) {
        let mut followed = self.shared.followed.lock();
        if let Some(by) = followed.get_mut(&self.key) {
            *by -= 1;
            if *by == 0 {
                followed.remove(&self.key);
            }
        }
    }
}

/// One who follows.
pub(super) struct Follower<S: Source> {
    states: watch::Receiver<States<S>>,
    one: Option<Interest<S>>,
    present: Vec<Change<S::State>>,
    /// What was told.
    seen: u64,
}

impl<S: Source> Follower<S> {
    fn new(mut states: watch::Receiver<States<S>>, one: Option<Interest<S>>) -> Self {
        let now = states.borrow_and_update();
        let present = match &one {
            Some(interest) => now.log.present_one(&interest.key).into_iter().collect(),
            None => now.log.present(),
        };
        let seen = now.log.last();
        drop(now);
        Self { states, one, present, seen }
    }

    /// How things stand at the beginning.
    pub fn present(&self) -> &[Change<S::State>] {
        &self.present
    }

    /// How one of those that are followed together stands by now.
    pub fn state_of(&self, key: &S::Key) -> Option<Arc<S::State>> {
        self.states.borrow().log.present_one(key).map(|change| change.state)
    }

    /// What is there, and then what changes. Cancel safe.
    pub async fn next(&mut self) -> Result<Vec<Change<S::State>>, Error> {
        let present = std::mem::take(&mut self.present);
        if !present.is_empty() {
            return Ok(present);
        }
        loop {
            // The feed lives as long as one follows, but for the end of the process.
            self.states.changed().await.map_err(|_| Error::Stopping)?;
            let changes = self.changes()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    fn changes(&mut self) -> Result<Vec<Change<S::State>>, Error> {
        let now = self.states.borrow_and_update();
        if let Some(Away { since, error }) = &now.away {
            let passes = matches!(**error, StoreError::Unavailable { .. });
            return match passes && since.elapsed() < PATIENCE {
                true => Ok(vec![]),
                false => Err(Error::Feed(error.clone())),
            };
        }
        let changes = match &self.one {
            Some(interest) => now.log.one_after(&interest.key, self.seen).into_iter().collect(),
            None => now.log.after(self.seen).ok_or(Error::TooSlow)?,
        };
        self.seen = now.log.last();
        Ok(changes)
    }

    /// Tells the caller of all of it, in its own words.
    pub async fn run<T: Send>(
        mut self,
        outlet: Outlet<T>,
        words: impl Fn(Change<S::State>) -> T + Send,
    ) -> Error {
        loop {
            match self.next().await {
                Ok(changes) => {
                    for change in changes {
                        outlet.send(words(change)).await;
                    }
                }
                Err(end) => return end,
            }
        }
    }
}

#[cfg(test)]
mod tests;
