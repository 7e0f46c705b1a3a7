//! One reader of a process, for all who follow the same log.
//!
//! A feed is a task that reads while somebody follows, and hands what it has read to everyone; who follows leaves out what
//! it does not want. So the database is asked as often for 500 streams as for one, and for none not at all.

use std::{future::Future, sync::Arc, time::Duration};

use roost_model::causes;
use roost_store::StoreError;
use tokio::{
    sync::{
        Mutex,
        broadcast::{self, error::RecvError},
    },
    time::sleep,
};

use super::streams::{Outage, Outlet};
use crate::app::Error;

/// From one reading to the next while the database is away.
pub(super) const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Readings that one who follows may be behind before it has to read for itself.
const BACKLOG: usize = 32;

/// What a feed reads from.
pub(super) trait Source: Send + 'static {
    type Item: Send + Sync + 'static;

    /// Until there may be something new.
    fn wait(&mut self) -> impl Future<Output = ()> + Send;

    /// Some of what is new, and whether there may be more.
    fn read(&mut self) -> impl Future<Output = Result<(Vec<Self::Item>, bool), StoreError>> + Send;
}

/// What a reading has found.
enum Reading<T> {
    /// There may be nothing new: the database answers again.
    New(Arc<Vec<T>>),
    /// The database has not answered.
    Failed,
}

impl<T> Clone for Reading<T> {
    fn clone(&self) -> Self {
        match self {
            Self::New(items) => Self::New(items.clone()),
            Self::Failed => Self::Failed,
        }
    }
}

/// Cheap to clone; all clones are one feed.
pub(super) struct Feed<T> {
    /// None while nobody follows.
    running: Arc<Mutex<Option<broadcast::Sender<Reading<T>>>>>,
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self { running: self.running.clone() }
    }
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<T: Send + Sync + 'static> Feed<T> {
    /// All that is new from now on, and perhaps some of what was there. `begin` is called if nobody follows yet.
    pub(super) async fn follow<S: Source<Item = T>>(
        &self,
        begin: impl Future<Output = Result<S, StoreError>>,
    ) -> Result<Follower<T>, StoreError> {
        let mut running = self.running.lock().await;
        if let Some(sender) = &*running {
            return Ok(Follower::new(sender.subscribe()));
        }
        let source = begin.await?;
        let (sender, receiver) = broadcast::channel(BACKLOG);
        *running = Some(sender.clone());
        tokio::spawn(self.clone().run(source, sender));
        Ok(Follower::new(receiver))
    }

    async fn run<S: Source<Item = T>>(self, mut source: S, sender: broadcast::Sender<Reading<T>>) {
        let mut is_away = false;
        loop {
            if is_away {
                sleep(RETRY_EVERY).await
            } else {
                source.wait().await
            }
            if self.ends(&sender).await {
                return;
            }
            // Nobody may be left to be told.
            match read_all(&mut source, &sender).await {
                Ok(()) if std::mem::take(&mut is_away) => drop(sender.send(Reading::New(Arc::default()))),
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(error = %causes(&error), "what callers follow could not be read");
                    is_away = true;
                    drop(sender.send(Reading::Failed));
                }
            }
        }
    }

    /// Whether nobody follows any more. Decided under the lock, so that nobody begins to follow what has just ended.
    async fn ends(&self, sender: &broadcast::Sender<Reading<T>>) -> bool {
        let mut running = self.running.lock().await;
        let ends = sender.receiver_count() == 0;
        if ends {
            *running = None;
        }
        ends
    }
}

async fn read_all<S: Source>(
    source: &mut S,
    sender: &broadcast::Sender<Reading<S::Item>>,
) -> Result<(), StoreError> {
    loop {
        let (items, more) = source.read().await?;
        if !items.is_empty() {
            drop(sender.send(Reading::New(Arc::new(items))));
        }
        if !more {
            return Ok(());
        }
    }
}

/// One who follows.
pub(super) struct Follower<T> {
    feed: broadcast::Receiver<Reading<T>>,
    outage: Outage,
    /// It was too slow for the feed.
    is_behind: bool,
}

/// What a stream does with what it follows.
pub(super) trait Reader<T>: Send {
    /// Sends those of them that its caller wants and has not got.
    fn take(&mut self, outlet: &Outlet<T>, items: &[T]) -> impl Future<Output = ()> + Send;

    /// Reads for itself what the feed has read meanwhile, and sends it.
    fn catch_up(&mut self, outlet: &Outlet<T>) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What one who follows has to do.
enum Next<T> {
    /// Take these.
    Take(Arc<Vec<T>>),
    /// Read for itself what the feed has read meanwhile, and say what came of it ([`Follower::caught_up`]).
    CatchUp,
}

impl<T> Follower<T> {
    fn new(feed: broadcast::Receiver<Reading<T>>) -> Self {
        Self { feed, outage: Outage::default(), is_behind: false }
    }

    /// Until the stream ends. `backlog` comes first.
    pub(super) async fn run(mut self, mut reader: impl Reader<T>, backlog: Vec<T>, outlet: Outlet<T>) -> Error
    where
        T: Send + Sync,
    {
        for item in backlog {
            outlet.send(item).await;
        }
        loop {
            match self.next().await {
                Ok(Next::Take(items)) => reader.take(&outlet, &items).await,
                Ok(Next::CatchUp) => {
                    let outcome = reader.catch_up(&outlet).await;
                    if let Err(end) = self.caught_up(outcome) {
                        return end;
                    }
                }
                Err(end) => return end,
            }
        }
    }

    async fn next(&mut self) -> Result<Next<T>, Error> {
        loop {
            match self.feed.recv().await {
                Ok(Reading::New(items)) if !self.is_behind => {
                    self.outage.over();
                    return Ok(Next::Take(items));
                }
                // What it has missed comes before these.
                Ok(Reading::New(_)) => {}
                // Its own reading says why.
                Ok(Reading::Failed) => self.is_behind |= self.outage.is_too_long(),
                Err(RecvError::Lagged(_)) => self.is_behind = true,
                // The feed lives as long as one follows, but for the end of the process.
                Err(RecvError::Closed) => return Err(Error::Stopping),
            }
            if self.is_behind {
                return Ok(Next::CatchUp);
            }
        }
    }

    /// The error ends the stream.
    fn caught_up(&mut self, outcome: Result<(), StoreError>) -> Result<(), Error> {
        match outcome {
            Ok(()) => {
                self.outage.over();
                self.is_behind = false;
                Ok(())
            }
            Err(error) => self.outage.sit_out(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    /// Reads what it is given, and counts how often it was begun.
    struct Given(mpsc::UnboundedReceiver<Result<u32, ()>>, Option<Result<u32, ()>>);

    impl Source for Given {
        type Item = u32;

        async fn wait(&mut self) {
            match self.0.recv().await {
                Some(next) => self.1 = Some(next),
                None => std::future::pending().await,
            }
        }

        async fn read(&mut self) -> Result<(Vec<u32>, bool), StoreError> {
            match self.1.take() {
                Some(Ok(number)) => Ok((vec![number], false)),
                Some(Err(())) => Err(StoreError::Corrupt { what: "a column", reason: String::new() }),
                None => Ok((vec![], false)),
            }
        }
    }

    async fn taken(follower: &mut Follower<u32>) -> Option<Vec<u32>> {
        match follower.next().await.unwrap() {
            Next::Take(items) => Some(items.to_vec()),
            Next::CatchUp => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_follow_one_reader_which_begins_anew_when_all_have_left() {
        let (feed, begun) = (Feed::default(), AtomicU32::new(0));
        let begin = || {
            let (sender, receiver) = mpsc::unbounded_channel();
            begun.fetch_add(1, Ordering::Relaxed);
            (sender, async { Ok(Given(receiver, None)) })
        };
        let (tell, source) = begin();
        let mut first = feed.follow(source).await.unwrap();
        let (_unused, source) = begin();
        let mut second = feed.follow(source).await.unwrap();
        for number in [7, 8] {
            tell.send(Ok(number)).unwrap();
            assert_eq!(taken(&mut first).await, Some(vec![number]));
            assert_eq!(taken(&mut second).await, Some(vec![number]));
        }
        drop((first, second));
        tell.send(Ok(9)).unwrap();
        while feed.running.lock().await.is_some() {
            tokio::task::yield_now().await;
        }
        let (tell, source) = begin();
        let mut third = feed.follow(source).await.unwrap();
        tell.send(Ok(10)).unwrap();
        assert_eq!(taken(&mut third).await, Some(vec![10]), "the reader is a new one");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_sat_out_by_all_and_its_end_is_told() {
        let feed = Feed::default();
        let (tell, receiver) = mpsc::unbounded_channel();
        let mut follower = feed.follow(async { Ok(Given(receiver, None)) }).await.unwrap();
        tell.send(Err(())).unwrap();
        assert_eq!(taken(&mut follower).await, Some(vec![]), "it answers again");
        tell.send(Ok(7)).unwrap();
        assert_eq!(taken(&mut follower).await, Some(vec![7]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_slow_reads_for_itself_until_it_has_caught_up() {
        let feed = Feed::default();
        let (tell, receiver) = mpsc::unbounded_channel();
        let mut slow = feed.follow(async { Ok(Given(receiver, None)) }).await.unwrap();
        let mut quick = another(&feed).await;
        for number in 0..100 {
            tell.send(Ok(number)).unwrap();
            assert_eq!(taken(&mut quick).await, Some(vec![number]));
        }
        assert_eq!(taken(&mut slow).await, None);
        let corrupt = StoreError::Corrupt { what: "a column", reason: String::new() };
        assert!(slow.caught_up(Err(corrupt)).is_err(), "that does not pass");
        assert_eq!(taken(&mut slow).await, None, "it is still behind");
        slow.caught_up(Ok(())).unwrap();
        while slow.feed.try_recv().is_ok() {}
        tell.send(Ok(100)).unwrap();
        assert_eq!(taken(&mut slow).await, Some(vec![100]));
    }

    async fn another(feed: &Feed<u32>) -> Follower<u32> {
        feed.follow(async { Ok(Given(mpsc::unbounded_channel().1, None)) }).await.unwrap()
    }
}
