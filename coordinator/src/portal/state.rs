//! What every page stands on.

use std::sync::Arc;

use super::{
    console::{feed::Feed, pages::ConsolePages},
    templates::{TemplateError, Templates},
};
use crate::app::{
    App,
    access::{Access, pace::Rate},
    people::{PortalAddress, SecretsKey, SignIns},
};

/// Pages and forms of one browser, and streams that it opens: more than any person reads.
const PAGES_PER_SECOND: u32 = 50;

pub struct Portal {
    pub app: App,
    pub access: Arc<Access>,
    pub address: PortalAddress,
    pub sign_ins: SignIns,
    /// Of one browser that is signed in.
    pub rate: Rate,
    pub templates: Templates,
    pub console: ConsolePages,
    pub console_feed: Feed,
}

impl Portal {
    pub fn new(
        app: App,
        access: Arc<Access>,
        address: PortalAddress,
        secrets_key: Option<SecretsKey>,
    ) -> Result<Self, TemplateError> {
        let sign_ins = SignIns::new(app.clone(), secrets_key);
        let (templates, console) = (Templates::new()?, ConsolePages::new()?);
        let console_feed = Feed::new(app.clone());
        let rate = Rate::new(PAGES_PER_SECOND);
        Ok(Self { app, access, address, sign_ins, rate, templates, console, console_feed })
    }
}
