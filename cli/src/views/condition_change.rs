//! What a worker's condition has come to be, one line.

use roost_proto::v1::{ConditionChange, ConditionKind};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct ConditionChangeView {
    kind: String,
    reason: String,
    node_id: String,
    time: Option<String>,
}

impl From<ConditionChange> for ConditionChangeView {
    fn from(change: ConditionChange) -> Self {
        Self {
            kind: enum_name(change.kind, "CONDITION_KIND_", ConditionKind::as_str_name),
            time: rfc3339(&change.time),
            reason: change.reason,
            node_id: change.node_id,
        }
    }
}

impl Row for ConditionChangeView {
    const HEADER: &'static [&'static str] = &["time", "condition", "node", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![ago(self.time.as_deref()), self.kind.clone(), self.node_id.clone(), self.reason.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
