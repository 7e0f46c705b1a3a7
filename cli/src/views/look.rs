//! A look at what a tenant and its customers say.

use roost_proto::v1::Look;
use serde::Serialize;

use super::{ago, rfc3339, token::role};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct LookView {
    time: Option<String>,
    caller: String,
    role: String,
    call: String,
    tenant_id: String,
    reason: String,
}

impl From<Look> for LookView {
    fn from(look: Look) -> Self {
        Self {
            time: rfc3339(&look.time),
            caller: look.caller,
            role: role(look.role),
            call: look.call,
            tenant_id: look.tenant_id,
            reason: look.reason,
        }
    }
}

impl Row for LookView {
    const HEADER: &'static [&'static str] = &["time", "caller", "call", "of", "reason"];

    fn cells(&self) -> Vec<String> {
        let of = if self.tenant_id.is_empty() { "all tenants" } else { &self.tenant_id };
        vec![
            ago(self.time.as_deref()),
            self.caller.clone(),
            self.call.clone(),
            of.to_owned(),
            self.reason.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
