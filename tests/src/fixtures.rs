//! What the checkers' own tests put before them.

use roost_devcluster::Connection;

/// One of one phone, open, with nothing missing of its session.
pub(crate) fn connection(id: u64, opened_at_ms: u64) -> Connection {
    Connection {
        phone: "1".into(),
        device: "1:1".into(),
        id,
        opened_at_ms,
        closed_at_ms: None,
        regressed_by: 0,
    }
}
