//! The connections of a listener, as TLS where it is asked for.
//!
//! Each handshake is a task of its own with an end, so that a caller that connects and says nothing holds up nobody.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    task::JoinSet,
    time::{self, Interval, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::server::ServerTls;

/// The log has what is to be known of a certificate, whether anybody calls or not.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long a caller that was refused may take to read why.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// At a time; one more is closed at once, as one connection too many is.
const MAX_HANDSHAKES: usize = 512;
/// Between two lines of the log about handshakes that failed.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Those that have shaken hands; all of them, as they are, without `tls`.
pub fn accept<IO>(
    incoming: impl Stream<Item = io::Result<IO>> + Send,
    tls: Option<ServerTls>,
) -> impl Stream<Item = io::Result<Accepted<IO>>> + Send
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let look = time::interval(LOOK_EVERY);
    let waiting = Waiting { tls, under_way: JoinSet::new(), failed: Failed::default(), look };
    stream::unfold((Box::pin(incoming), waiting), async |(mut incoming, mut waiting)| {
        let next = waiting.next(&mut incoming).await?;
        Some((next, (incoming, waiting)))
    })
}

struct Waiting<IO> {
    tls: Option<ServerTls>,
    under_way: JoinSet<io::Result<TlsStream<IO>>>,
    failed: Failed,
    look: Interval,
}

impl<IO> Waiting<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// None when no more come.
    async fn next(
        &mut self,
        incoming: &mut (impl Stream<Item = io::Result<IO>> + Unpin),
    ) -> Option<io::Result<Accepted<IO>>> {
        loop {
            tokio::select! {
                connection = incoming.next() => match (connection?, &self.tls) {
                    (Err(error), _) => return Some(Err(error)),
                    (Ok(connection), None) => return Some(Ok(Accepted::Plain(connection))),
                    (Ok(connection), Some(tls)) if self.under_way.len() < MAX_HANDSHAKES => {
                        self.under_way.spawn(shake_hands(TlsAcceptor::from(tls.config()), connection));
                    }
                    (Ok(_one_too_many), Some(_)) => self.failed.note("there are too many at a time"),
                },
                Some(ended) = self.under_way.join_next() => match ended {
                    Ok(Ok(stream)) => return Some(Ok(Accepted::Secured(Box::new(stream)))),
                    Ok(Err(error)) => self.failed.note_error(&error),
                    // Nobody cancels one.
                    Err(panicked) => self.failed.note(&panicked.to_string()),
                },
                _ = self.look.tick() => drop(self.tls.as_ref().map(ServerTls::warnings)),
            }
        }
    }
}

async fn shake_hands<IO>(acceptor: TlsAcceptor, connection: IO) -> io::Result<TlsStream<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let shaken = timeout(HANDSHAKE_WITHIN, acceptor.accept(connection).into_fallible()).await;
    match shaken {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err((error, connection))) => {
            timeout(HEARD_WITHIN, until_heard(connection)).await.ok();
            Err(error)
        }
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// A caller that was refused may be writing already: a connection that is closed before it has read why is reset, and the reason lost.
async fn until_heard(mut connection: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    connection.shutdown().await?;
    let mut passed_over = [0; 1024];
    while connection.read(&mut passed_over).await? > 0 {}
    Ok(())
}

/// What of it the log does not have yet.
#[derive(Default)]
struct Failed {
    handshakes: u64,
    told_at: Option<Instant>,
}

impl Failed {
    /// One that goes away without a word, as what looks whether a port is open does, is no news.
    fn note_error(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                tracing::debug!(%error, "a caller left before it had shaken hands");
            }
            io::ErrorKind::TimedOut => self.note("the caller said nothing in time"),
            _ => self.note(&error.to_string()),
        }
    }

    fn note(&mut self, reason: &str) {
        self.handshakes += 1;
        if self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            let handshakes = std::mem::take(&mut self.handshakes);
            self.told_at = Some(Instant::now());
            tracing::warn!(handshakes, last = reason, "callers were refused by TLS");
        }
    }
}

/// A caller's connection.
#[derive(Debug)]
pub enum Accepted<IO> {
    Plain(IO),
    Secured(Box<TlsStream<IO>>),
}

impl<IO: Connected> Connected for Accepted<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> IO::ConnectInfo {
        match self {
            Self::Plain(io) => io.connect_info(),
            Self::Secured(stream) => stream.get_ref().0.connect_info(),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Accepted<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Accepted<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Secured(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
        }
    }
}
