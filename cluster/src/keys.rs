//! Every key of the registry. Relative to `/roost/v1/<cluster>/`; values are JSON.
//!
//! | key | value | writer | readers | leased |
//! |---|---|---|---|---|
//! | `leader` | [`LeaderRecord`] | the candidate that finds it absent | controllers, coordinators | to the controller |
//! | `challenger` | [`ChallengerRecord`] | a coordinator that finds a node leading | that node's controller | to nobody's keeper: it ends by itself |
//! | `store` | [`StoreRecord`] | controller | controllers, nodes before they register | no |
//! | `nodes/<node>` | [`NodeRecord`] | the node | controller, coordinators | to the node |
//! | `assignments/<node>` | [`AssignmentRecord`] | controller | that node, coordinators | no |
//! | `acks/<node>` | [`AckRecord`] | the node | controller | to the node |
//!
//! A node watches its own `assignments/<node>` and nothing else. The controller watches the whole prefix, and every
//! write of it is guarded by the lease of `leader` and the mod revisions of what it read. In the steady
//! state nothing is written: leases are renewed, and that costs no write.
//!
//! [`LeaderRecord`]: crate::records::LeaderRecord
//! [`ChallengerRecord`]: crate::records::ChallengerRecord
//! [`StoreRecord`]: crate::records::StoreRecord
//! [`NodeRecord`]: crate::records::NodeRecord
//! [`AssignmentRecord`]: crate::records::AssignmentRecord
//! [`AckRecord`]: crate::records::AckRecord

use roost_model::ids::NodeId;
use serde::{Serialize, de::DeserializeOwned};

use crate::registry::{Entry, RegistryError};

pub const LEADER: &str = "leader";
pub const CHALLENGER: &str = "challenger";
pub const STORE: &str = "store";
pub const NODES: &str = "nodes/";
pub const ASSIGNMENTS: &str = "assignments/";
pub const ACKS: &str = "acks/";
/// Everything of the cluster.
pub const ALL: &str = "";

pub fn node(node: &NodeId) -> String {
    format!("{NODES}{node}")
}

pub fn assignments(node: &NodeId) -> String {
    format!("{ASSIGNMENTS}{node}")
}

pub fn ack(node: &NodeId) -> String {
    format!("{ACKS}{node}")
}

/// A key, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Leader,
    Challenger,
    Store,
    Node(NodeId),
    Assignments(NodeId),
    Ack(NodeId),
}

impl Key {
    /// `None` for a key that this version does not know: a newer one may have written it.
    pub fn parse(key: &str) -> Option<Self> {
        match key {
            LEADER => return Some(Self::Leader),
            CHALLENGER => return Some(Self::Challenger),
            STORE => return Some(Self::Store),
            _ => {}
        }
        let (family, node) = key.split_once('/')?;
        let node = NodeId::new(node).ok()?;
        match family {
            "nodes" => Some(Self::Node(node)),
            "assignments" => Some(Self::Assignments(node)),
            "acks" => Some(Self::Ack(node)),
            _ => None,
        }
    }
}

/// A record as it is stored.
pub fn encode<R: Serialize>(record: &R) -> Vec<u8> {
    serde_json::to_vec(record).expect("records are plain structs with text keys, which JSON always takes")
}

/// A record as it was stored.
pub fn decode<R: DeserializeOwned>(entry: &Entry) -> Result<R, RegistryError> {
    serde_json::from_slice(&entry.value)
        .map_err(|error| RegistryError::Corrupt { key: entry.key.clone(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_as_they_were_written() {
        let a = NodeId::new("a").unwrap();
        assert_eq!(Key::parse(LEADER), Some(Key::Leader));
        assert_eq!(Key::parse(CHALLENGER), Some(Key::Challenger));
        assert_eq!(Key::parse(STORE), Some(Key::Store));
        assert_eq!(Key::parse(&node(&a)), Some(Key::Node(a.clone())));
        assert_eq!(Key::parse(&assignments(&a)), Some(Key::Assignments(a.clone())));
        assert_eq!(Key::parse(&ack(&a)), Some(Key::Ack(a)));
    }

    #[test]
    fn unknown_keys_are_left_alone() {
        for key in ["", "nodes", "nodes/", "nodes/A", "nodes/a/b", "operations/1"] {
            assert_eq!(Key::parse(key), None, "{key}");
        }
    }
}
