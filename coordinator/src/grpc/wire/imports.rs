//! What comes of an import.

use roost_proto::v1::{self, import_session_response::Part};

use super::session;
use crate::app::SessionImport;

pub fn session_import(step: SessionImport) -> v1::ImportSessionResponse {
    // A node's limits are far below what the field holds.
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let part = match step {
        SessionImport::Accepted { database, max_file_bytes, max_total_bytes } => {
            Part::Accepted(v1::ImportAccepted {
                database,
                max_file_bytes: bytes(max_file_bytes),
                max_total_bytes: bytes(max_total_bytes),
            })
        }
        SessionImport::Imported { session: row, snapshot, done_before } => {
            Part::Imported(v1::ImportedSession {
                session: Some(session(*row)),
                snapshot_id: snapshot,
                done_before,
            })
        }
    };
    v1::ImportSessionResponse { part: Some(part) }
}
