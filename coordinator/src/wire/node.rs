//! Nodes: what the registry says of them, with what is ordered.

use prost_types::Timestamp;
use roost_cluster::records::{AssignmentRecord, NodeRecord, Phase};
use roost_model::ids::NodeId;
use roost_proto::v1;
use roost_store::NodeOrders;

use super::{count, timestamp};

/// A live node with what is assigned to this life of it.
pub fn live_node(
    record: NodeRecord,
    assigned: Option<&AssignmentRecord>,
    orders: Option<&NodeOrders>,
) -> v1::Node {
    let own = assigned.filter(|assigned| assigned.incarnation == record.incarnation);
    let is_owned = |phase: Phase| matches!(phase, Phase::Active | Phase::Releasing);
    let tenants = own.map_or(0, |own| own.entries.iter().filter(|entry| is_owned(entry.phase)).count());
    v1::Node {
        address: record.address,
        capacity: count(record.capacity),
        weight: count(record.weight),
        zone: record.zone,
        version: record.version,
        incarnation: record.incarnation.0,
        leaving: record.leaving,
        start_time: Some(Timestamp {
            seconds: record.started_at_ms.div_euclid(1_000),
            nanos: i32::try_from(record.started_at_ms.rem_euclid(1_000) * 1_000_000).unwrap_or_default(),
        }),
        live: true,
        ..known_node(record.node, tenants, orders)
    }
}

/// A node of which nothing is known but its tenants and what is ordered.
pub fn known_node(node: NodeId, tenants: usize, orders: Option<&NodeOrders>) -> v1::Node {
    let bare = v1::Node { id: node.into(), tenants: count(tenants), ..Default::default() };
    let Some(orders) = orders else { return bare };
    v1::Node {
        cordoned: orders.cordoned,
        cordoned_by: orders.cordoned_by.clone(),
        cordon_reason: orders.cordon_reason.clone(),
        draining: orders.drain.is_some(),
        suspect_until_time: orders.suspect_until.map(timestamp),
        restart_window_end_time: orders.restart_window.as_ref().map(|window| timestamp(window.until)),
        ..bare
    }
}
