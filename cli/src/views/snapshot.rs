//! Snapshots that are nobody's.

use roost_proto::v1::SnapshotOrphan;
use serde::Serialize;

use super::{ago, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct SnapshotOrphanView {
    uid: String,
    first_seen_time: Option<String>,
    removal_ordered_by: String,
}

impl From<SnapshotOrphan> for SnapshotOrphanView {
    fn from(orphan: SnapshotOrphan) -> Self {
        Self {
            first_seen_time: rfc3339(&orphan.first_seen_time),
            uid: orphan.uid,
            removal_ordered_by: orphan.removal_ordered_by,
        }
    }
}

impl Row for SnapshotOrphanView {
    const HEADER: &'static [&'static str] = &["uid", "first seen", "removal by"];

    fn cells(&self) -> Vec<String> {
        vec![self.uid.clone(), ago(self.first_seen_time.as_deref()), self.removal_ordered_by.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
