//! Answers to those who ask every second: made once, and told again until something changes.

use std::{
    collections::HashMap,
    future::pending,
    time::{Duration, Instant},
};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use parking_lot::Mutex;
use roost_model::ids::TenantId;
use roost_store::{Change, ClusterChange};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::error::RecvError;

use super::failure::Failure;
use crate::app::App;

/// Told no longer than this, for a notification may be lost.
const TOLD_FOR: Duration = Duration::from_secs(5);
/// Tenants whose answers are kept.
const MOST: usize = 10_000;

#[derive(Clone)]
struct Made {
    at: Instant,
    tag: String,
    body: String,
}

/// By tenant, and then by what was asked and who has asked.
#[derive(Default)]
pub struct Polled {
    made: Mutex<HashMap<TenantId, HashMap<String, Made>>>,
}

impl Polled {
    /// What was made for this question before, or what `make` makes of it now.
    pub async fn answer<T: Serialize>(
        &self,
        headers: &HeaderMap,
        tenant: &TenantId,
        question: &str,
        make: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Response, Failure> {
        let begun = Instant::now();
        let known = self.made.lock().get(tenant).and_then(|made| made.get(question)).cloned();
        let made = match known.filter(|made| begun.duration_since(made.at) < TOLD_FOR) {
            Some(made) => made,
            None => {
                let body = serde_json::to_string(&make.await?)
                    .map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
                let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..8]));
                let made = Made { at: begun, tag, body };
                self.keep(tenant, question, made.clone());
                made
            }
        };
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let about = [(header::ETAG, made.tag.as_str()), (header::CACHE_CONTROL, "no-cache, private")];
        if known == Some(made.tag.as_str()) {
            return Ok((StatusCode::NOT_MODIFIED, about).into_response());
        }
        Ok((about, [(header::CONTENT_TYPE, "application/json")], made.body.clone()).into_response())
    }

    fn keep(&self, tenant: &TenantId, question: &str, new: Made) {
        let mut made = self.made.lock();
        if made.len() >= MOST && !made.contains_key(tenant) {
            made.retain(|_, made| made.values().any(|made| new.at.duration_since(made.at) < TOLD_FOR));
        }
        if made.len() < MOST || made.contains_key(tenant) {
            let of_tenant = made.entry(tenant.clone()).or_default();
            of_tenant.retain(|_, made| new.at.duration_since(made.at) < TOLD_FOR);
            of_tenant.insert(question.to_owned(), new);
        }
    }

    /// Never returns.
    pub async fn forget_what_changes(&self, app: &App) {
        let (mut changes, mut cluster) = app.changes();
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(Change { tenant, .. }) => drop(self.made.lock().remove(&tenant)),
                    Err(RecvError::Lagged(_)) => self.made.lock().clear(),
                    // The store is going down with the coordinator.
                    Err(RecvError::Closed) => pending().await,
                },
                change = cluster.recv() => match change {
                    Ok(ClusterChange::SetupRequest(_)) | Err(RecvError::Lagged(_)) => self.made.lock().clear(),
                    Ok(_) => {}
                    Err(RecvError::Closed) => pending().await,
                },
            }
        }
    }
}
