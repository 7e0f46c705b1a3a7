//! The portal: pages for the people of a business. A face of [`crate::app`], as [`crate::grpc`] is another one.
//!
//! ```text
//!   browser --cookie--> signed (who, of which business, may it) --> page | live | orders | conversations --> App
//!                                                                     \--> view --> templates (HTML, in the reader's language)
//! ```
//!
//! A page is whole as the server sends it, and works without JavaScript. With it, one stream of events (`live`) brings the card of the
//! status anew whenever something changes. `console` is the same for those who run the cluster. Nothing is fetched from anywhere else, and no
//! script or style stands in a page.

mod assets;
mod business;
mod console;
mod conversations;
mod headers;
mod identity;
mod language;
mod live;
mod moment;
mod orders;
mod page;
mod problem;
mod setup;
mod sign_in;
mod signed;
mod state;
mod table;
mod templates;
mod view;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};

pub use state::Portal;
pub use templates::TemplateError;

/// The largest form.
const FORM_AT_MOST: usize = 64 << 10;

pub fn routes(portal: Portal) -> Router {
    let portal = Arc::new(portal);
    Router::new()
        .route("/", get(page::home))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-in/oidc", get(identity::go))
        .route("/sign-in/oidc/callback", get(identity::come_back))
        .route("/identity", get(identity::page))
        .route("/identity/oidc", get(identity::go_to_bind))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/welcome/{link}", get(sign_in::welcome).post(sign_in::use_link))
        .route("/welcome/{link}/oidc", get(identity::go_with_link))
        .route("/console/welcome/{link}/oidc", get(identity::go_with_user_link))
        .route("/language", post(language::choose))
        .route("/setup", get(setup::form).post(setup::submit))
        .route("/setup/live", get(setup::events))
        .route("/t/{tenant}", get(page::tenant))
        .route("/t/{tenant}/live", get(live::events))
        .route("/t/{tenant}/orders", post(orders::give))
        .route("/t/{tenant}/chats", get(conversations::list))
        .route("/t/{tenant}/chats/{chat}", get(conversations::chat))
        .route("/t/{tenant}/chats/{chat}/live", get(conversations::events))
        .route("/t/{tenant}/chats/{chat}/hold", post(conversations::hold))
        .route("/t/{tenant}/chats/{chat}/say", post(conversations::say))
        .route("/t/{tenant}/chats/{chat}/export.csv", get(conversations::export))
        .merge(console::routes())
        .route("/assets/{file}", get(assets::file))
        .fallback(problem::not_found)
        .layer(DefaultBodyLimit::max(FORM_AT_MOST))
        .layer(middleware::from_fn_with_state(portal.clone(), headers::secure))
        .with_state(portal)
}
