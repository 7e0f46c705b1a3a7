//! The portal: pages for the people of a business. A face of [`crate::app`], as [`crate::grpc`] is another one.
//!
//! ```text
//!   browser --cookie--> signed (who, of which business, may it) --> page | live | orders --> App
//!                                                                     \--> view --> templates (HTML, in the reader's language)
//! ```
//!
//! A page is whole as the server sends it, and works without JavaScript. With it, one stream of events (`live`) brings the card of the
//! status anew whenever something changes. Nothing is fetched from anywhere else, and no script or style stands in a page.

mod assets;
mod headers;
mod language;
mod live;
mod orders;
mod page;
mod sign_in;
mod signed;
mod templates;
mod view;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::app::{App, access::Access, people::SignIns};
use templates::Templates;

pub use templates::TemplateError;

/// What every page stands on.
pub struct Portal {
    app: App,
    access: Arc<Access>,
    sign_ins: SignIns,
    templates: Templates,
}

impl Portal {
    pub fn new(app: App, access: Arc<Access>) -> Result<Self, TemplateError> {
        let sign_ins = SignIns::new(app.clone());
        Ok(Self { app, access, sign_ins, templates: Templates::new()? })
    }
}

pub fn routes(portal: Portal) -> Router {
    Router::new()
        .route("/", get(page::home))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/welcome/{link}", get(sign_in::welcome).post(sign_in::set_password))
        .route("/language", post(language::choose))
        .route("/t/{tenant}", get(page::tenant))
        .route("/t/{tenant}/live", get(live::events))
        .route("/t/{tenant}/orders", post(orders::give))
        .route("/assets/{file}", get(assets::file))
        .fallback(page::not_found)
        .layer(middleware::from_fn(headers::secure))
        .with_state(Arc::new(portal))
}
