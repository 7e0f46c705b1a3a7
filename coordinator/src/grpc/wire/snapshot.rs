//! Snapshots of sessions, and those that are nobody's.

use roost_proto::v1;
use roost_store::{ListedSnapshot, SnapshotOrphan, SnapshotState};

use super::timestamp;

pub fn session_snapshot(row: ListedSnapshot) -> v1::SessionSnapshot {
    v1::SessionSnapshot {
        id: row.id.to_string(),
        take_time: Some(timestamp(row.taken_at)),
        clean: row.clean,
        size_bytes: row.bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        node_id: row.node.map(String::from).unwrap_or_default(),
        state: state(row.state, row.is_void).into(),
        newest: row.is_newest,
        restore_ordered: row.restore_ordered,
    }
}

fn state(state: SnapshotState, is_void: bool) -> v1::SnapshotState {
    match state {
        _ if is_void => v1::SnapshotState::Forgotten,
        SnapshotState::Kept => v1::SnapshotState::Kept,
        SnapshotState::Damaged => v1::SnapshotState::Damaged,
        SnapshotState::PassedOver => v1::SnapshotState::PassedOver,
    }
}

pub fn snapshot_orphan(row: SnapshotOrphan) -> v1::SnapshotOrphan {
    v1::SnapshotOrphan {
        uid: row.uid.to_string(),
        first_seen_time: Some(timestamp(row.first_seen_at)),
        removal_ordered_by: row.removal_ordered_by.unwrap_or_default(),
    }
}
