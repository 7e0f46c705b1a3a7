//! The JSON API of the first system of this kind, for front ends that exist: its paths, its shapes, the same handlers behind it as everywhere.
//!
//! ```text
//!   front end --key, user--> portal (what a member may) --> polled (made once, told until it changes) --> App
//!   operator's program --bearer token--> admin (by the one table of calls, in the audit) --> App
//! ```
//!
//! The portal's paths take the word of whoever shows the key for who its user is, so they are closed unless there is one, and open to the
//! addresses alone that are named with it.

mod admin;
mod failure;
mod key;
mod people;
mod person;
mod polled;
mod portal;
mod shapes;
mod state;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use crate::parts::Parts;

pub use key::{LegacyArgs, PortalKey, PortalKeyError};
pub use state::Legacy;

/// The largest body.
const BODY_AT_MOST: usize = 64 << 10;

/// For programs where the admin API is served, and for front ends where the portal is.
pub fn routes(legacy: Arc<Legacy>, parts: Parts) -> Router {
    let portal = Router::new()
        .route("/tenant/current/status", get(portal::status))
        .route("/tenant/current/qr", get(portal::qr))
        .route("/tenant/current/logs", get(portal::logs))
        .route("/setup-request", get(portal::setup_request).post(portal::submit));
    let admin = Router::new()
        .route("/tenants", get(admin::list).post(admin::create))
        .route("/tenants/{id}/worker/{order}", post(admin::order))
        .route("/tenants/{id}/qr", get(admin::qr))
        .route("/tenants/{id}/logs", get(admin::logs))
        .route("/setup-requests", get(admin::setup_requests))
        .route("/setup-requests/{id}/approve", post(admin::approve))
        .route("/setup-requests/{id}/reject", post(admin::reject));
    let mut served = Router::new();
    if parts.portal {
        served = served.nest("/portal", portal.clone()).nest("/api/portal", portal);
    }
    if parts.admin {
        served = served.nest("/admin", admin);
    }
    served.fallback(failure::nothing_here).layer(DefaultBodyLimit::max(BODY_AT_MOST)).with_state(legacy)
}

/// Whether a path is one of these.
pub fn has(path: &str) -> bool {
    ["/portal/", "/api/portal/", "/admin/"].iter().any(|begins| path.starts_with(begins))
}
