//! What every page stands on.

use std::sync::Arc;

use super::templates::{TemplateError, Templates};
use crate::app::{
    App,
    access::Access,
    people::{PortalAddress, SignIns},
};

pub struct Portal {
    pub app: App,
    pub access: Arc<Access>,
    pub address: PortalAddress,
    pub sign_ins: SignIns,
    pub templates: Templates,
}

impl Portal {
    pub fn new(app: App, access: Arc<Access>, address: PortalAddress) -> Result<Self, TemplateError> {
        let sign_ins = SignIns::new(app.clone());
        Ok(Self { app, access, address, sign_ins, templates: Templates::new()? })
    }
}
