//! A node for the tests of what is said of one.

use roost_cluster::records::NodeRecord;
use roost_model::ids::{Incarnation, NodeId};

pub(super) fn a_node() -> NodeRecord {
    NodeRecord {
        node: NodeId::new("a").unwrap(),
        incarnation: Incarnation(0),
        address: "127.0.0.1:1".to_owned(),
        capacity: 1,
        weight: 100,
        zone: "default".to_owned(),
        version: "0".to_owned(),
        leaving: false,
        rpc_address: String::new(),
        spare_browsers: 0,
        started_at_ms: 0,
        impairments: Vec::new(),
        memory: None,
    }
}
