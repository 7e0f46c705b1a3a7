//! Between etcd's types and ours. Keys of ours are relative to the cluster's prefix.

use etcd_client::{
    Compare, CompareOp, EventType, GetResponse, KeyValue, PutOptions, ResponseHeader, TxnOp, TxnResponse,
    WatchResponse,
};
use roost_model::ids::{Incarnation, Revision};

use crate::registry::{Change, Entry, Guard, Op};

pub(super) fn changes(prefix: &str, answer: &WatchResponse) -> Vec<Change> {
    let known = answer.events().iter().filter_map(|event| Some((event.event_type(), event.kv()?)));
    known
        .map(|(kind, found)| match kind {
            EventType::Put => Change::Put(entry(prefix, found.clone())),
            EventType::Delete => Change::Delete {
                key: relative(prefix, found.key()),
                mod_revision: Revision(found.mod_revision()),
            },
        })
        .collect()
}

pub(super) fn entry(prefix: &str, found: KeyValue) -> Entry {
    let create_revision = Revision(found.create_revision());
    let mod_revision = Revision(found.mod_revision());
    let lease = (found.lease() != 0).then(|| Incarnation(found.lease()));
    let (key, value) = found.into_key_value();
    Entry { key: relative(prefix, &key), value, create_revision, mod_revision, lease }
}

/// The key without the cluster's prefix, which every key that was asked for begins with.
pub(super) fn relative(prefix: &str, key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    key.strip_prefix(prefix).unwrap_or(&key).to_owned()
}

pub(super) fn compare(prefix: &str, guard: &Guard) -> Compare {
    match guard {
        Guard::Absent { key } => Compare::create_revision(format!("{prefix}{key}"), CompareOp::Equal, 0),
        Guard::HeldBy { key, lease } => Compare::lease(format!("{prefix}{key}"), CompareOp::Equal, lease.0),
        Guard::ModifiedAt { key, revision } => {
            Compare::mod_revision(format!("{prefix}{key}"), CompareOp::Equal, revision.0)
        }
    }
}

pub(super) fn write(prefix: &str, op: &Op) -> TxnOp {
    match op {
        Op::Put { key, value, lease } => {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease.0));
            TxnOp::put(format!("{prefix}{key}"), value.clone(), options)
        }
        Op::Delete { key } => TxnOp::delete(format!("{prefix}{key}"), None),
    }
}

/// The first key that does not begin with `prefix`, which is text and so never ends in 0xff.
pub(super) fn end_of_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The first key after `key`.
pub(super) fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

/// Answers whose header says how far the store was when they were given.
pub(super) trait Linearizable {
    fn header_of(&self) -> Option<&ResponseHeader>;
}

impl Linearizable for GetResponse {
    fn header_of(&self) -> Option<&ResponseHeader> {
        self.header()
    }
}

impl Linearizable for TxnResponse {
    fn header_of(&self) -> Option<&ResponseHeader> {
        self.header()
    }
}
