//! Snapshots of a session, and those that are nobody's.

use roost_proto::v1::{SessionSnapshot, SnapshotOrphan, SnapshotState};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct SessionSnapshotView {
    id: String,
    take_time: Option<String>,
    clean: bool,
    size_bytes: Option<i64>,
    node_id: String,
    state: String,
    newest: bool,
    restore_ordered: bool,
}

impl From<SessionSnapshot> for SessionSnapshotView {
    fn from(snapshot: SessionSnapshot) -> Self {
        Self {
            take_time: rfc3339(&snapshot.take_time),
            clean: snapshot.clean,
            size_bytes: Some(snapshot.size_bytes).filter(|bytes| *bytes > 0),
            node_id: snapshot.node_id,
            state: enum_name(snapshot.state, "SNAPSHOT_STATE_", SnapshotState::as_str_name),
            newest: snapshot.newest,
            restore_ordered: snapshot.restore_ordered,
            id: snapshot.id,
        }
    }
}

impl SessionSnapshotView {
    /// What the next start makes of it.
    fn next_start(&self) -> &'static str {
        match (self.restore_ordered, self.newest) {
            (true, _) => "goes back to it",
            (false, true) => "newest",
            (false, false) => "",
        }
    }
}

impl Row for SessionSnapshotView {
    const HEADER: &'static [&'static str] = &["id", "taken", "clean", "size", "node", "state", "next start"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            ago(self.take_time.as_deref()),
            if self.clean { "yes" } else { "no" }.to_owned(),
            self.size_bytes.map(kibibytes).unwrap_or_default(),
            self.node_id.clone(),
            self.state.clone(),
            self.next_start().to_owned(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

/// Rounded up, so that nothing is 0.
pub(super) fn kibibytes(bytes: i64) -> String {
    format!("{} KiB", bytes.unsigned_abs().div_ceil(1024))
}

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
