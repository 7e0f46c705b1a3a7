//! The two listeners: HTTP, and TLS with a certificate made at start for web.whatsapp.com.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use parking_lot::Mutex;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::app_state::AppState;
use crate::config::Config;
use crate::world::World;
use crate::{builds, control, page, socket};

/// Connections of browsers that do not close by themselves are cut after this time.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(200);

#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// A running simulator; dropping it stops it.
#[derive(Debug)]
pub struct Simulator {
    http_addr: SocketAddr,
    tls_addr: SocketAddr,
    handle: Handle<SocketAddr>,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Simulator {
    /// Both listeners are bound when this returns. Has to be called within a Tokio runtime.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let (http, http_addr) = bind(config.http)?;
        let (tls, tls_addr) = bind(config.tls)?;
        let acceptor = RustlsAcceptor::new(tls_config()?).acceptor(NoDelayAcceptor::new());
        let world = Arc::new(Mutex::new(World::new(config.hardness.clone())));
        let app = router(AppState { world, timing: config.timing }).into_make_service();
        let handle = Handle::new();

        let listen = |address| move |source| StartError::Listen { address, source };
        let http = axum_server::from_tcp(http).map_err(listen(http_addr))?;
        let tls = axum_server::from_tcp(tls).map_err(listen(tls_addr))?;
        let http = http.acceptor(NoDelayAcceptor::new()).handle(handle.clone()).serve(app.clone());
        let tls = tls.acceptor(acceptor).handle(handle.clone()).serve(app);
        let tasks = vec![tokio::spawn(http), tokio::spawn(tls)];
        Ok(Self { http_addr, tls_addr, handle, tasks })
    }

    /// Base URL of the page and of the control API.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http_addr)
    }

    /// Where `web.whatsapp.com` is to be mapped to.
    pub fn tls_addr(&self) -> SocketAddr {
        self.tls_addr
    }

    pub async fn stop(mut self) {
        self.handle.graceful_shutdown(Some(SHUTDOWN_GRACE));
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a listener panicked");
            }
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

fn router(state: AppState) -> Router {
    Router::new()
        .merge(page::routes())
        .nest("/builds", builds::routes())
        .nest("/control", control::routes())
        .merge(control::page_routes())
        .route("/ws", get(socket::upgrade))
        .with_state(state)
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listen = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    Ok((listener, bound))
}

/// HTTP/1.1 only: a WebSocket needs it, and a browser would open a second connection for it otherwise.
fn tls_config() -> Result<RustlsConfig, StartError> {
    let names = ["web.whatsapp.com", "localhost", "127.0.0.1"].map(str::to_owned);
    let certified = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    // Named here: a process that links several providers has no default one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
