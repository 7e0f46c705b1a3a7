//! What a node says of itself over HTTP: `/healthz` (this process works), `/readyz` (it may host tenants: registered, in
//! good standing, not impaired, and both Postgres and etcd answer it; if not, why), `/status` (all that names no tenant, as JSON).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use parking_lot::Mutex;
use roost_cluster::{keys, lease_deadline::Standing, records::Impairment, registry::SharedRegistry};
use roost_model::{
    causes,
    ids::{Incarnation, NodeId},
};
use roost_store::Store;
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch, time::timeout};

use crate::{
    host::{impairments::Impairments, worker_table::WorkerTable},
    spares::{Spares, SparesStatus},
};

/// What is shown. Cheap to clone; all clones show the same.
#[derive(Clone)]
pub struct NodeHealth {
    node: NodeId,
    workers: WorkerTable,
    impairments: Impairments,
    registered: Arc<Mutex<Option<Registered>>>,
    dependencies: Arc<Dependencies>,
    orphans: Arc<AtomicUsize>,
    spares: Spares,
}

/// What a node can do nothing without.
struct Dependencies {
    store: Store,
    registry: SharedRegistry,
    /// What was found last, and when: whoever asks often does not make the node ask as often.
    last: tokio::sync::Mutex<Option<(Instant, Vec<String>)>>,
}

/// How long what was found of the dependencies counts, and how long an answer may take.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl Dependencies {
    /// Which are away, and why.
    async fn away(&self) -> Vec<String> {
        let mut last = self.last.lock().await;
        if let Some((_, away)) = last.as_ref().filter(|(at, _)| at.elapsed() < LOOK_EVERY) {
            return away.clone();
        }
        let postgres = async { self.store.ping().await.map_err(|error| causes(&error).to_string()) };
        let etcd = async {
            self.registry.get(keys::LEADER).await.map(drop).map_err(|error| causes(&error).to_string())
        };
        let (postgres, etcd) = tokio::join!(timeout(ANSWER_WITHIN, postgres), timeout(ANSWER_WITHIN, etcd));
        let silent = |name: &str| format!("{name} does not answer within {ANSWER_WITHIN:?}");
        let answers = [
            postgres.unwrap_or_else(|_elapsed| Err(silent("Postgres"))),
            etcd.unwrap_or_else(|_elapsed| Err(silent("etcd"))),
        ];
        let away: Vec<String> = answers.into_iter().filter_map(Result::err).collect();
        *last = Some((Instant::now(), away.clone()));
        away
    }
}

#[derive(Debug)]
struct Registered {
    incarnation: Incarnation,
    standing: watch::Receiver<Standing>,
    leaving: bool,
}

/// The body of `/status`, which anybody may read who reaches it: it names no tenant. Who they are is told by [`crate::rpc`].
#[derive(Debug, Serialize)]
pub struct NodeStatus {
    pub node: NodeId,
    pub version: &'static str,
    /// None while the node is not registered.
    pub incarnation: Option<Incarnation>,
    /// "good", "soft_stop", "expired", or "unregistered".
    pub standing: &'static str,
    pub leaving: bool,
    impairments: Vec<Impairment>,
    /// How many it holds.
    tenants: usize,
    /// Profiles on its disk whose tenants the database neither knows nor has deleted.
    orphans: usize,
    /// Browsers that wait for a tenant.
    spares: SparesStatus,
}

impl NodeHealth {
    pub fn new(
        node: NodeId,
        workers: WorkerTable,
        impairments: Impairments,
        store: Store,
        registry: SharedRegistry,
        spares: Spares,
    ) -> Self {
        let dependencies = Arc::new(Dependencies { store, registry, last: tokio::sync::Mutex::default() });
        let (registered, orphans) = (Arc::default(), Arc::default());
        Self { node, workers, impairments, registered, dependencies, orphans, spares }
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

    /// What the last sweep has found.
    pub(crate) fn set_orphans(&self, orphans: usize) {
        self.orphans.store(orphans, Ordering::Relaxed);
    }

    /// Its registration is over.
    pub(crate) fn end(&self) {
        *self.registered.lock() = None;
    }

    /// Why no tenants may be brought here; nothing when they may.
    async fn unready(&self) -> Vec<String> {
        let mut reasons = self.dependencies.away().await;
        match self.registered.lock().as_ref() {
            None => reasons.push("the node is not registered".to_owned()),
            Some(registered) if registered.leaving => reasons.push("the node is leaving".to_owned()),
            Some(registered) if *registered.standing.borrow() != Standing::Good => {
                reasons.push("the node's lease is not renewed".to_owned());
            }
            Some(_) => {}
        }
        reasons.extend(self.impairments.present().iter().map(|impairment| format!("impaired: {impairment}")));
        reasons
    }

    fn warnings(&self) -> Vec<String> {
        self.dependencies.store.durability_gaps().iter().map(ToString::to_string).collect()
    }

    pub fn status(&self) -> NodeStatus {
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
            impairments: self.impairments.present(),
            tenants: self.workers.count(),
            orphans: self.orphans.load(Ordering::Relaxed),
            spares: self.spares.status(),
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

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// What is in the way.
    reasons: Vec<String>,
    /// What a person should mend, and what is in no tenant's way.
    warnings: Vec<String>,
}

async fn ready(State(health): State<NodeHealth>) -> (StatusCode, Json<Readiness>) {
    let reasons = health.unready().await;
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons, warnings: health.warnings() }))
}

#[cfg(test)]
mod tests {
    use roost_cluster::{records::ImpairmentKind, registry::MemoryRegistry};

    use super::*;

    fn health(impairments: &Impairments) -> NodeHealth {
        let store = Store::connect_lazy("postgres://roost:x@127.0.0.1:1/roost", 1).unwrap();
        let registry = Arc::new(MemoryRegistry::new("a"));
        let node = NodeId::new("n1").unwrap();
        NodeHealth::new(node, WorkerTable::default(), impairments.clone(), store, registry, Spares::none())
    }

    #[tokio::test]
    async fn a_node_that_is_impaired_is_not_ready_and_says_why() {
        let impairments = Impairments::default();
        let health = health(&impairments);
        health.begin(Incarnation(1), watch::channel(Standing::Good).1);
        impairments.found(ImpairmentKind::Browser, "x");
        impairments.found(ImpairmentKind::Site, "y");
        let reasons = health.unready().await;
        for told in ["impaired: browser: x", "impaired: site: y"] {
            assert!(reasons.iter().any(|reason| reason == told), "{reasons:?}");
        }
        impairments.is_over(ImpairmentKind::Browser);
        impairments.is_over(ImpairmentKind::Site);
        let reasons = health.unready().await;
        assert!(!reasons.iter().any(|reason| reason.starts_with("impaired")), "{reasons:?}");
    }

    #[tokio::test]
    async fn a_registered_node_that_does_not_reach_postgres_is_not_ready_and_says_why() {
        let impairments = Impairments::default();
        let health = health(&impairments);
        let (_standing, standing) = watch::channel(Standing::Good);
        health.begin(Incarnation(1), standing);
        let (status, body) = ready(State(health)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!body.ready && body.reasons.len() == 1, "{body:?}");
        assert!(body.reasons[0].contains("Postgres"), "{body:?}");
    }
}
