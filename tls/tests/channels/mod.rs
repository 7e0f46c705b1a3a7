//! What a caller is told that TLS refuses once it is done with its own side of the handshake, and how a channel waits for that.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use roost_tls::{Accepted, Advice, ClientTls, accept, advice, channel};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    body::Body,
    codegen::http::{Request, Response},
    transport::{Endpoint, Error},
};
use tower::ServiceExt;

use crate::{CertificateUse, SOON, Stage, echo};

async fn call(addr: SocketAddr, tls: ClientTls) -> Result<Response<Body>, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
    let request = Request::builder().uri("/").body(Body::empty()).unwrap();
    channel(&endpoint, tls, None).oneshot(request).await
}

#[tokio::test]
async fn a_caller_that_is_refused_hears_why_although_it_writes_on() {
    let stage = Stage::new();
    let addr = echo(stage.server(Some(&stage.authority.ca_file()))).await;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = stage.client(None).connect(addr, name).await.unwrap();
    for _ in 0..5 {
        stream.write_all(b"!").await.unwrap();
        stream.flush().await.unwrap();
        // Time for a reset, if the other side has closed the connection.
        sleep(Duration::from_millis(20)).await;
    }
    let refused = timeout(SOON, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(advice(&refused), Some(Advice::WantsCertificate));
}

/// Closes what it refuses at once, as others do, and takes nobody without a certificate.
async fn abrupt(stage: &Stage) -> SocketAddr {
    let own = stage.issue("server", &["127.0.0.1"], CertificateUse::Server);
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(stage.authority.ca_file()).unwrap()).unwrap();
    let callers =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(callers)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(own.cert).unwrap()],
            PrivateKeyDer::from_pem_file(own.key).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            acceptor.accept(caller).await.expect_err("nobody has one");
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_a_server_refuses_knows_why_each_time() {
    let stage = Stage::new();
    let addr = abrupt(&stage).await;
    for number in 0..200 {
        let refused = call(addr, stage.client(None)).await.unwrap_err();
        assert_eq!(advice(&refused), Some(Advice::WantsCertificate), "{number}: {refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_first_is_spoken_to_all_the_same() {
    let stage = Stage::new();
    let (tls, listener) = (stage.server(None), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let addr = listener.local_addr().unwrap();
    let (hears, heard) = oneshot::channel();
    tokio::spawn(async move {
        let mut callers = pin!(accept(TcpListenerStream::new(listener), Some(tls)));
        let mut caller: Accepted<TcpStream> = callers.next().await.unwrap().unwrap();
        let mut begun = [0; 14];
        caller.read_exact(&mut begun).await.unwrap();
        hears.send(begun).unwrap();
    });
    tokio::spawn(call(addr, stage.client(None)));
    assert_eq!(&timeout(SOON, heard).await.unwrap().unwrap(), b"PRI * HTTP/2.0");
}
