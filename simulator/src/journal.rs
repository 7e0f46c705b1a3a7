//! The record of connections: the judge of invariant I1.
//!
//! A connection is live from the moment the server accepted its login until its TCP connection is closed, whoever
//! closed it. That the server has evicted a connection does not end it: the page behind it may still act, so two
//! live connections of one phone are an overlap until the older page has really gone.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::clock::UnixMillis;

const REMEMBERED: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    pub phone: String,
    pub device: String,
    pub id: ConnectionId,
    pub opened_at_ms: UnixMillis,
    pub closed_at_ms: Option<UnixMillis>,
    /// By how many messages the page's ratchet was behind what the server had seen of this device.
    pub regressed_by: u64,
    /// How often the page asked whether a number exists.
    pub queries: u64,
}

/// A time during which two connections of one phone were live. `until_ms` is null while both still are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlap {
    pub phone: String,
    pub older: ConnectionId,
    pub newer: ConnectionId,
    pub from_ms: UnixMillis,
    pub until_ms: Option<UnixMillis>,
}

#[derive(Debug, Default)]
pub struct Journal {
    live: BTreeMap<ConnectionId, Connection>,
    closed: VecDeque<Connection>,
    overlaps: VecDeque<Overlap>,
}

/// The journal as `GET /control/connections` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// In the order in which they were opened.
    pub connections: Vec<Connection>,
    pub overlaps: Vec<Overlap>,
}

impl Journal {
    pub fn opened(&mut self, connection: Connection) {
        for older in self.live.values().filter(|live| live.phone == connection.phone) {
            tracing::warn!(phone = %older.phone, older = older.id.0, newer = connection.id.0, "connections overlap");
            self.overlaps.push_back(Overlap {
                phone: connection.phone.clone(),
                older: older.id,
                newer: connection.id,
                from_ms: connection.opened_at_ms,
                until_ms: None,
            });
        }
        self.overlaps.drain(..self.overlaps.len().saturating_sub(REMEMBERED));
        self.live.insert(connection.id, connection);
    }

    pub fn queried(&mut self, id: ConnectionId) {
        if let Some(connection) = self.live.get_mut(&id) {
            connection.queries += 1;
        }
    }

    pub fn closed(&mut self, id: ConnectionId, now: UnixMillis) {
        let Some(mut connection) = self.live.remove(&id) else { return };
        connection.closed_at_ms = Some(now);
        self.closed.push_back(connection);
        self.closed.drain(..self.closed.len().saturating_sub(REMEMBERED));
        let open = |overlap: &&mut Overlap| {
            overlap.until_ms.is_none() && (overlap.older == id || overlap.newer == id)
        };
        for overlap in self.overlaps.iter_mut().filter(open) {
            overlap.until_ms = Some(now);
        }
    }

    pub fn report(&self) -> Report {
        let mut connections: Vec<_> = self.closed.iter().chain(self.live.values()).cloned().collect();
        connections.sort_by_key(|connection| connection.id);
        Report { connections, overlaps: self.overlaps.iter().cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(id: u64, phone: &str, opened_at: u64) -> Connection {
        Connection {
            phone: phone.to_owned(),
            device: format!("{phone}:1"),
            id: ConnectionId(id),
            opened_at_ms: UnixMillis(opened_at),
            closed_at_ms: None,
            regressed_by: 0,
            queries: 0,
        }
    }

    #[test]
    fn connections_of_one_phone_one_after_the_other_do_not_overlap() {
        let mut journal = Journal::default();
        journal.opened(connection(1, "255700", 10));
        journal.closed(ConnectionId(1), UnixMillis(20));
        journal.opened(connection(2, "255700", 20));
        assert_eq!(journal.report().overlaps, []);
    }

    #[test]
    fn connections_of_different_phones_do_not_overlap() {
        let mut journal = Journal::default();
        journal.opened(connection(1, "255700", 10));
        journal.opened(connection(2, "255701", 11));
        assert_eq!(journal.report().overlaps, []);
    }

    #[test]
    fn an_overlap_lasts_until_either_connection_is_closed() {
        let mut journal = Journal::default();
        journal.opened(connection(1, "255700", 10));
        journal.opened(connection(2, "255700", 15));
        assert_eq!(journal.report().overlaps[0].until_ms, None);
        journal.closed(ConnectionId(1), UnixMillis(18));
        journal.closed(ConnectionId(2), UnixMillis(30));
        let overlap = &journal.report().overlaps[0];
        assert_eq!((overlap.from_ms, overlap.until_ms), (UnixMillis(15), Some(UnixMillis(18))));
    }

    #[test]
    fn connections_are_reported_in_the_order_of_opening() {
        let mut journal = Journal::default();
        journal.opened(connection(1, "255700", 10));
        journal.opened(connection(2, "255701", 11));
        journal.closed(ConnectionId(2), UnixMillis(12));
        journal.closed(ConnectionId(1), UnixMillis(13));
        let ids: Vec<_> = journal.report().connections.iter().map(|connection| connection.id.0).collect();
        assert_eq!(ids, [1, 2]);
    }
}
