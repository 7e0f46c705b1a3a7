//! The console: pages for those who run the cluster, with the same orders and questions as the API has.
//!
//! ```text
//!   link --> welcome --> phone (takes the secret) --> code --> operator (who, which role, may it) --> pages, orders, plans --> App
//!   sign-in, in the portal --------------------------^                                    feed (one for all open pages) --^
//! ```

mod answer;
mod audit;
pub mod feed;
mod letters;
mod live;
mod nodes;
mod operations;
mod operator;
mod orders;
mod overview;
pub mod pages;
mod plans;
mod setups;
mod sign_in;
mod tenant;
mod tenants;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use super::state::Portal;

pub fn routes() -> Router<Arc<Portal>> {
    Router::new()
        .route("/console", get(overview::overview))
        .route("/console/live", get(overview::live))
        .route("/console/nodes", get(nodes::list))
        .route("/console/live/nodes", get(nodes::live))
        .route("/console/nodes/{id}", get(nodes::node))
        .route("/console/nodes/{id}/orders", post(orders::node))
        .route("/console/nodes/{id}/drain", get(plans::drain_plan).post(plans::drain))
        .route("/console/tenants", get(tenants::list))
        .route("/console/tenants/{id}", get(tenant::tenant))
        .route("/console/tenants/{id}/live", get(tenant::live))
        .route("/console/tenants/{id}/log", get(tenant::log))
        .route("/console/tenants/{id}/orders", post(orders::tenant))
        .route("/console/fleet", get(plans::fleet_plan).post(plans::fleet))
        .route("/console/rebalance", get(plans::rebalance_plan).post(plans::rebalance))
        .route("/console/operations", get(operations::list))
        .route("/console/operations/{id}", get(operations::operation))
        .route("/console/operations/{id}/live", get(operations::live))
        .route("/console/operations/{id}/orders", post(orders::operation))
        .route("/console/setups", get(setups::list))
        .route("/console/setups/{id}/orders", post(setups::decide))
        .route("/console/letters", get(letters::list))
        .route("/console/letters/redrive", post(orders::redrive))
        .route("/console/audit", get(audit::list))
        .route("/console/audit.csv", get(audit::export))
        .route("/console/welcome/{link}", get(sign_in::welcome).post(sign_in::use_link))
        .route("/console/phone", get(sign_in::phone).post(sign_in::enrol))
        .route("/console/code", get(sign_in::code).post(sign_in::take_code))
}
