//! What these paths stand on.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{key::PortalKey, people::People, polled::Polled};
use crate::app::{App, access::Access};

pub struct Legacy {
    pub app: App,
    pub access: Arc<Access>,
    /// Without one the portal's paths are closed.
    pub key: Option<PortalKey>,
    pub people: People,
    pub polled: Polled,
}

impl Legacy {
    pub fn new(app: App, access: Arc<Access>, key: Option<PortalKey>) -> Self {
        Self { app, access, key, people: People::default(), polled: Polled::default() }
    }

    /// Forgets what has changed.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        stop.run_until_cancelled(self.polled.forget_what_changes(&self.app)).await;
    }
}
