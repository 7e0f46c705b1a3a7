//! One event of the cluster's history.

use roost_proto::v1::{Event, EventKind};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct EventView {
    id: i64,
    kind: String,
    node_id: String,
    tenant_id: String,
    operation_id: i64,
    text: String,
    requested_by: String,
    reason: String,
    time: Option<String>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            kind: enum_name(event.kind, "EVENT_KIND_", EventKind::as_str_name),
            time: rfc3339(&event.time),
            id: event.id,
            node_id: event.node_id,
            tenant_id: event.tenant_id,
            operation_id: event.operation_id,
            text: event.text,
            requested_by: event.requested_by,
            reason: event.reason,
        }
    }
}

impl Row for EventView {
    const HEADER: &'static [&'static str] = &["time", "kind", "by", "text", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![
            ago(self.time.as_deref()),
            self.kind.clone(),
            self.requested_by.clone(),
            self.text.clone(),
            self.reason.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
