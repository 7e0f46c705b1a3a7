//! What a node says of itself over HTTP: `/healthz` (this process works), `/readyz` (it may host tenants: registered and
//! in good standing), `/status` (all of it, as JSON).

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use parking_lot::Mutex;
use roost_cluster::lease_deadline::Standing;
use roost_model::ids::{Incarnation, NodeId};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::host::worker_table::{HeldTenantStatus, WorkerTable};

/// What is shown. Cheap to clone; all clones show the same.
#[derive(Debug, Clone)]
pub struct NodeHealth {
    node: NodeId,
    workers: WorkerTable,
    registered: Arc<Mutex<Option<Registered>>>,
}

#[derive(Debug)]
struct Registered {
    incarnation: Incarnation,
    standing: watch::Receiver<Standing>,
    leaving: bool,
}

/// The body of `/status`.
#[derive(Debug, Serialize)]
pub struct NodeStatus {
    node: NodeId,
    version: &'static str,
    /// None while the node is not registered.
    incarnation: Option<Incarnation>,
    /// "good", "soft_stop", "expired", or "unregistered".
    standing: &'static str,
    leaving: bool,
    tenants: Vec<HeldTenantStatus>,
}

impl NodeHealth {
    pub fn new(node: NodeId, workers: WorkerTable) -> Self {
        Self { node, workers, registered: Arc::default() }
    }

    /// The node is registered.
    pub(crate) fn begin(&self, incarnation: Incarnation, standing: watch::Receiver<Standing>) {
        *self.registered.lock() = Some(Registered { incarnation, standing, leaving: false });
    }

    /// It hands its tenants over.
    pub(crate) fn leave(&self) {
        if let Some(registered) = self.registered.lock().as_mut() {
            registered.leaving = true;
        }
    }

    /// Its registration is over.
    pub(crate) fn end(&self) {
        *self.registered.lock() = None;
    }

    fn is_ready(&self) -> bool {
        let registered = self.registered.lock();
        registered
            .as_ref()
            .is_some_and(|registered| !registered.leaving && *registered.standing.borrow() == Standing::Good)
    }

    fn status(&self) -> NodeStatus {
        let registered = self.registered.lock();
        NodeStatus {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION"),
            incarnation: registered.as_ref().map(|registered| registered.incarnation),
            standing: registered.as_ref().map_or("unregistered", |registered| {
                match *registered.standing.borrow() {
                    Standing::Good => "good",
                    Standing::SoftStop => "soft_stop",
                    Standing::Expired => "expired",
                }
            }),
            leaving: registered.as_ref().is_some_and(|registered| registered.leaving),
            tenants: self.workers.statuses(),
        }
    }
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, health: NodeHealth) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(|State(health): State<NodeHealth>| async move { Json(health.status()) }))
        .with_state(health);
    axum::serve(listener, routes).await
}

async fn ready(State(health): State<NodeHealth>) -> (StatusCode, &'static str) {
    if health.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
