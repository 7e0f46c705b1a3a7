//! What the coordinator says of itself over HTTP, as a node does of itself: `/healthz` (this process works), `/readyz` (it
//! answers its callers; if not, why), with every dependency by name.

use std::{collections::BTreeMap, io};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::app::health::Health;

/// Serves until it is dropped. Nothing is asked for the answers: they are what was found last.
pub async fn serve(listener: TcpListener, health: watch::Receiver<Health>) -> io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(health);
    axum::serve(listener, routes).await
}

/// The body of `/readyz`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Readiness {
    ready: bool,
    /// What is in the way.
    reasons: Vec<String>,
    /// Of each dependency `ok` or what is wrong. The controller's is told here alone: it is no reason to ask another one.
    checks: BTreeMap<&'static str, String>,
    /// What a person should mend, and what is no reason to ask another coordinator either.
    warnings: Vec<String>,
}

impl Readiness {
    fn of(health: &Health) -> Self {
        let own = [&health.postgres, &health.schema, &health.etcd];
        let checks = health.checks().map(|(name, wrong)| (name, wrong.unwrap_or("ok").to_owned()));
        Self {
            ready: health.is_ready(),
            reasons: own.into_iter().flatten().cloned().collect(),
            checks: checks.into(),
            warnings: health.warnings.clone(),
        }
    }
}

async fn ready(State(health): State<watch::Receiver<Health>>) -> (StatusCode, Json<Readiness>) {
    let readiness = Readiness::of(&health.borrow());
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_well_is_named_and_a_cluster_without_a_controller_is_no_reason_to_go_elsewhere() {
        let mut health = Health {
            postgres: None,
            schema: None,
            etcd: None,
            controller: Some("none".into()),
            warnings: vec!["fsync".into()],
        };
        let (sender, receiver) = watch::channel(health.clone());
        let (status, Json(body)) = ready(State(receiver.clone())).await;
        assert_eq!((status, body.ready, body.reasons), (StatusCode::OK, true, vec![]));
        assert_eq!(body.warnings, ["fsync"]);
        assert_eq!((body.checks["controller"].as_str(), body.checks["schema"].as_str()), ("none", "ok"));
        health.etcd = Some("no answer".to_owned());
        sender.send_replace(health);
        let (status, Json(body)) = ready(State(receiver)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((body.ready, body.reasons), (false, vec!["no answer".to_owned()]));
    }
}
