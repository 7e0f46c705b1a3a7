//! One entry of the audit.

use roost_proto::v1::AuditEntry;
use serde::Serialize;

use super::{ago, rfc3339, token::role};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct AuditEntryView {
    id: i64,
    time: Option<String>,
    caller: String,
    role: String,
    call: String,
    tenant_id: String,
    node_id: String,
    origin: String,
    result: String,
    requested_by: String,
    reason: String,
}

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            time: rfc3339(&entry.time),
            caller: entry.caller,
            role: role(entry.role),
            call: entry.call,
            tenant_id: entry.tenant_id,
            node_id: entry.node_id,
            origin: entry.origin,
            result: entry.result,
            requested_by: entry.requested_by,
            reason: entry.reason,
        }
    }
}

impl Row for AuditEntryView {
    const HEADER: &'static [&'static str] = &["time", "caller", "call", "to", "result", "from", "remark"];

    fn cells(&self) -> Vec<String> {
        let named = |names: [&String; 2], between| {
            names.into_iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>().join(between)
        };
        vec![
            ago(self.time.as_deref()),
            self.caller.clone(),
            self.call.clone(),
            named([&self.tenant_id, &self.node_id], " on "),
            self.result.clone(),
            self.origin.clone(),
            named([&self.requested_by, &self.reason], ": "),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
