//! The listener of what is served to callers over HTTP: bounded in connections, and in what those who are slow may hold.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use roost_model::causes;
use roost_tls::{Accepted, ServerTls};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{site::Site, stalled_writes::StalledWrites};
use crate::grpc::connections::{Connection, MAX_CONNECTIONS, bounded};

/// How long the head of a request may take, and how long a connection may wait for the next one.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a peer may take nothing of an answer.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// The largest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// What is waited for when no connection can be accepted, as when the process has no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until `stop` is cancelled and every request has been answered; dropping it cuts them off. By TLS, if there is any.
pub async fn serve(listener: TcpListener, tls: Option<ServerTls>, site: Site, stop: CancellationToken) {
    let site = Arc::new(site);
    let mut connections = JoinSet::new();
    let mut incoming = pin!(roost_tls::accept(bounded(listener, MAX_CONNECTIONS), tls));
    while let Some(Some(accepted)) = stop.run_until_cancelled(incoming.next()).await {
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok(connection) => {
                connections.spawn(serve_one(connection, site.clone(), stop.clone().cancelled_owned()));
            }
            Err(error) => {
                tracing::warn!(error = %causes(&error), "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve_one(connection: Accepted<Connection>, site: Arc<Site>, stop: impl Future<Output = ()>) {
    let caller = connection.connect_info();
    let answer = service_fn(move |request: Request<Incoming>| {
        let (site, caller) = (site.clone(), caller.clone());
        async move { Ok::<_, Infallible>(site.answer(request, caller).await) }
    });
    let io = TokioIo::new(StalledWrites::new(connection, TAKEN_WITHIN));
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(MAX_HEAD)
            .serve_connection(io, answer)
    );
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %causes(&error), "a connection ended before its time");
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        task::JoinHandle,
        time::Instant,
    };
    use tonic::{Status, body::Body};
    use tower::{service_fn, util::BoxCloneSyncService};

    use super::*;
    use crate::http::json::JsonApi;
    use crate::http::proxies::TrustedProxies;

    async fn served(answers: bool, stop: &CancellationToken) -> (TcpStream, JoinHandle<()>) {
        let calls = service_fn(move |_: Request<Body>| async move {
            if !answers {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(Status::not_found("there is none").into_http())
        });
        let site = Site::new(
            Some(JsonApi::over(BoxCloneSyncService::new(calls)).unwrap()),
            None,
            None,
            TrustedProxies::default(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, None, site, stop.clone()));
        (TcpStream::connect(addr).await.unwrap(), server)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_to_its_end_holds_no_place() {
        let (mut caller, _server) = served(true, &CancellationToken::new()).await;
        caller.write_all(b"GET /v1/tenants/a HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        let begun = Instant::now();
        let mut told = Vec::new();
        caller.read_to_end(&mut told).await.unwrap();
        let waited = begun.elapsed();
        assert!(waited >= HEAD_WITHIN && waited < HEAD_WITHIN * 2, "{waited:?}");
    }

    #[tokio::test]
    async fn a_stop_ends_connections_that_wait_and_lets_none_be_begun() {
        let stop = CancellationToken::new();
        let (mut caller, server) = served(true, &stop).await;
        caller.write_all(b"GET /v1/tenants/a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut begun = [0; 12];
        caller.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 404");
        stop.cancel();
        server.await.unwrap();
        let mut rest = Vec::new();
        caller.read_to_end(&mut rest).await.unwrap();
        assert!(TcpStream::connect(caller.peer_addr().unwrap()).await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_is_given_up_cuts_its_connections_off() {
        let (mut caller, server) = served(false, &CancellationToken::new()).await;
        caller.write_all(b"GET /v1/tenants/a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(200), caller.read_u8()).await;
        assert!(waiting.is_err());
        server.abort();
        assert!(caller.read_u8().await.is_err());
    }
}
