//! What a node says of itself over HTTP: `/healthz` (this process works), `/readyz` (it may host tenants: registered and
//! in good standing), `/status` (all of it, as JSON).

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use parking_lot::Mutex;
use roost_cluster::lease_deadline::Standing;
use roost_model::ids::{Incarnation, NodeId};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::host::roster::{Roster, TenantStatus};

/// What is shown. Cheap to clone; all clones show the same.
#[derive(Debug, Clone)]
pub struct Board {
    node: NodeId,
    roster: Roster,
    life: Arc<Mutex<Option<Life>>>,
}

#[derive(Debug)]
struct Life {
    incarnation: Incarnation,
    standing: watch::Receiver<Standing>,
    leaving: bool,
}

/// The body of `/status`.
#[derive(Debug, Serialize)]
pub struct Status {
    node: NodeId,
    version: &'static str,
    /// None while the node is not registered.
    incarnation: Option<Incarnation>,
    /// "good", "soft_stop", "expired", or "unregistered".
    standing: &'static str,
    leaving: bool,
    tenants: Vec<TenantStatus>,
}

impl Board {
    pub fn new(node: NodeId, roster: Roster) -> Self {
        Self { node, roster, life: Arc::default() }
    }

    /// A life has begun.
    pub(crate) fn begin(&self, incarnation: Incarnation, standing: watch::Receiver<Standing>) {
        *self.life.lock() = Some(Life { incarnation, standing, leaving: false });
    }

    /// The life hands its tenants over.
    pub(crate) fn leave(&self) {
        if let Some(life) = self.life.lock().as_mut() {
            life.leaving = true;
        }
    }

    /// The life is over.
    pub(crate) fn end(&self) {
        *self.life.lock() = None;
    }

    fn is_ready(&self) -> bool {
        let life = self.life.lock();
        life.as_ref().is_some_and(|life| !life.leaving && *life.standing.borrow() == Standing::Good)
    }

    fn status(&self) -> Status {
        let life = self.life.lock();
        Status {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION"),
            incarnation: life.as_ref().map(|life| life.incarnation),
            standing: life.as_ref().map_or("unregistered", |life| match *life.standing.borrow() {
                Standing::Good => "good",
                Standing::SoftStop => "soft_stop",
                Standing::Expired => "expired",
            }),
            leaving: life.as_ref().is_some_and(|life| life.leaving),
            tenants: self.roster.statuses(),
        }
    }
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, board: Board) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(|State(board): State<Board>| async move { Json(board.status()) }))
        .with_state(board);
    axum::serve(listener, routes).await
}

async fn ready(State(board): State<Board>) -> (StatusCode, &'static str) {
    if board.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
