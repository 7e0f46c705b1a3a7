//! What every page stands on.

use std::sync::Arc;

use super::{
    console::{feed::Feed, pages::ConsolePages},
    templates::{TemplateError, Templates},
};
use crate::{
    app::{
        App,
        access::Access,
        people::{PortalAddress, SecretsKey, SignIns},
    },
    oidc::Provider,
};

pub struct Portal {
    pub app: App,
    pub access: Arc<Access>,
    pub address: PortalAddress,
    pub sign_ins: SignIns,
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
        provider: Option<Provider>,
    ) -> Result<Self, TemplateError> {
        let sign_ins = SignIns::new(app.clone(), secrets_key, provider);
        let name = sign_ins.provider_name();
        let (templates, console) = (Templates::new(name.as_deref())?, ConsolePages::new(name.as_deref())?);
        let console_feed = Feed::new(app.clone());
        Ok(Self { app, access, address, sign_ins, templates, console, console_feed })
    }
}
