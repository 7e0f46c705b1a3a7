//! Streams to callers: bounded in number and in what waits to be read, and ended with a reason.
//!
//! A stream is a task that puts what it is told (`feed`, `state_feed`) into a small channel. A caller that does not read stalls
//! its own task and nothing else; when it reads again it is told what is true by then, so nothing piles up. The
//! task is dropped when the caller leaves, and ends with [`Error::Stopping`] when the coordinator stops.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::{Duration, Instant},
};

use roost_store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::app::Error;

/// The most streams of this coordinator at a time. One that is refused may go to another coordinator.
const MAX_STREAMS: usize = 512;
/// Items that wait for the caller to read them.
const WAITING: usize = 16;
/// The longest outage of the database that a stream sits out.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a caller follows. It ends after an error.
pub type Watched<T> = ReceiverStream<Result<T, Error>>;

/// Opens streams.
#[derive(Clone)]
pub struct Streams {
    slots: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Streams {
    /// `stop` ends all of them.
    pub fn new(stop: CancellationToken) -> Self {
        Self { slots: Arc::new(Semaphore::new(MAX_STREAMS)), stop }
    }

    /// A place among the streams, for one that is not opened here.
    pub fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = self.slots.clone().try_acquire_owned();
        place.map_err(|_| Error::TooManyStreams { limit: MAX_STREAMS })
    }

    /// Runs `body` until it ends, the caller leaves or the coordinator stops. A body without an error at its end has said
    /// all that there was to say.
    pub fn open<T, F, E>(&self, body: impl FnOnce(Outlet<T>) -> F) -> Result<Watched<T>, Error>
    where
        T: Send + 'static,
        F: Future<Output = E> + Send + 'static,
        E: Into<Option<Error>>,
    {
        let place = self.place()?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let running = body(Outlet { sender: sender.clone() });
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let _place = place;
            let end = tokio::select! {
                () = sender.closed() => return,
                () = stop.cancelled() => Some(Error::Stopping),
                end = running => end.into(),
            };
            if let Some(end) = end {
                // A caller that has left needs no reason.
                sender.send(Err(end)).await.ok();
            }
        });
        Ok(ReceiverStream::new(receiver))
    }
}

/// Where a stream's task puts its items.
pub struct Outlet<T> {
    sender: mpsc::Sender<Result<T, Error>>,
}

impl<T> Outlet<T> {
    /// Waits until there is room. Never returns once the caller has left: the task is dropped here.
    pub async fn send(&self, item: T) {
        if self.sender.send(Ok(item)).await.is_err() {
            pending().await
        }
    }
}

/// How long the database has been away from a stream that has begun.
#[derive(Default)]
pub struct Outage {
    since: Option<Instant>,
}

impl Outage {
    /// The database has answered.
    pub fn over(&mut self) {
        self.since = None;
    }

    /// The database has not answered somebody else. Whether that lasts for longer than a stream sits out.
    pub fn is_too_long(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
    }

    /// Whether the stream sits this one out; else the error that it ends with.
    pub fn sit_out(&mut self, error: StoreError) -> Result<(), Error> {
        let StoreError::Unavailable { .. } = error else { return Err(error.into()) };
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE { Ok(()) } else { Err(error.into()) }
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::*;

    fn endless(streams: &Streams) -> Result<Watched<u32>, Error> {
        async fn count(outlet: Outlet<u32>) -> Error {
            let mut number = 0;
            loop {
                outlet.send(number).await;
                number += 1;
            }
        }
        streams.open(count)
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_reason_of_its_body() {
        let streams = Streams::new(CancellationToken::new());
        let body = |outlet: Outlet<u32>| async move {
            outlet.send(7).await;
            Error::NotMigrated(None)
        };
        let mut answers = streams.open(body).unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap(), 7);
        assert!(matches!(answers.next().await.unwrap(), Err(Error::NotMigrated(None))));
        assert!(answers.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_has_told_all_ends_without_an_error() {
        let streams = Streams::new(CancellationToken::new());
        let body = |outlet: Outlet<u32>| async move {
            outlet.send(7).await;
            None
        };
        let answers = streams.open(body).unwrap();
        let told: Vec<u32> = answers.map(Result::unwrap).collect().await;
        assert_eq!(told, [7]);
    }

    #[tokio::test]
    async fn streams_end_with_a_reason_when_the_coordinator_stops() {
        let stop = CancellationToken::new();
        let answers = endless(&Streams::new(stop.clone())).unwrap();
        stop.cancel();
        let last = answers.collect::<Vec<_>>().await.pop().unwrap();
        assert!(matches!(last, Err(Error::Stopping)));
    }

    #[tokio::test]
    async fn a_stream_gives_its_place_back_when_its_caller_leaves() {
        let streams = Streams::new(CancellationToken::new());
        let open: Vec<_> = (0..MAX_STREAMS).map(|_| endless(&streams).unwrap()).collect();
        assert!(matches!(endless(&streams), Err(Error::TooManyStreams { limit: MAX_STREAMS })));
        drop(open);
        let all = u32::try_from(MAX_STREAMS).unwrap();
        let free = tokio::time::timeout(Duration::from_secs(10), streams.slots.acquire_many(all)).await;
        assert!(free.unwrap().is_ok());
    }
}
