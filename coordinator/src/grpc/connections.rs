//! The connections of callers: bounded in number.
//!
//! One more than the bound is closed at once, so that its caller goes to another coordinator and does not wait in a queue
//! that nobody serves.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// The most at a time.
pub const MAX_CONNECTIONS: usize = 512;

/// The connections that the listener accepts, never more than `most` at a time.
pub fn bounded(listener: TcpListener, most: usize) -> impl Stream<Item = io::Result<Connection>> {
    let slots = Arc::new(Semaphore::new(most));
    let mut is_full = false;
    // Small answers wait 40 ms for the peer's acknowledgement without TCP_NODELAY.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    incoming.filter_map(move |accepted| {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return Some(Err(error)),
        };
        let slot = slots.clone().try_acquire_owned().ok();
        if slot.is_none() && !is_full {
            tracing::warn!(most, "more connections than are served, closing the newest");
        }
        is_full = slot.is_none();
        slot.map(|slot| Ok(Connection { stream, _slot: slot }))
    })
}

/// One of a caller, with its place among all of them.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _slot: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_a_place_that_is_given_back_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut incoming = bounded(listener, 2);
        let (_first, _second) =
            (TcpStream::connect(addr).await.unwrap(), TcpStream::connect(addr).await.unwrap());
        let served = [incoming.next().await.unwrap().unwrap(), incoming.next().await.unwrap().unwrap()];
        let mut refused = TcpStream::connect(addr).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(200), incoming.next());
        let (more, end) = tokio::join!(waiting, refused.read_u8());
        assert!(more.is_err() && end.is_err());
        drop(served);
        let mut later = TcpStream::connect(addr).await.unwrap();
        let mut answered = incoming.next().await.unwrap().unwrap();
        answered.write_all(b"!").await.unwrap();
        assert_eq!(later.read_u8().await.unwrap(), b'!');
    }
}
