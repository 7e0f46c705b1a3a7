//! Records for tests that need no node.

use roost_model::ids::{Incarnation, NodeId};

use crate::records::NodeRecord;

pub(in crate::controller) fn live_node(name: &str, life: i64, zone: &str) -> NodeRecord {
    NodeRecord {
        node: NodeId::new(name).unwrap(),
        incarnation: Incarnation(life),
        address: String::new(),
        capacity: 10,
        weight: 100,
        zone: zone.to_owned(),
        version: String::new(),
        leaving: false,
        started_at_ms: 0,
    }
}
