//! Nodes: what the registry says of them, with what is ordered.

use prost_types::Timestamp;
use roost_cluster::records::{Impairment, NodeMemory, NodeRecord};
use roost_proto::v1;
use roost_store::{MemoryDemand, NodeOrders};

use super::{amount, count, timestamp};
use crate::app::NodeStatus;

pub fn node(status: NodeStatus) -> v1::Node {
    let NodeStatus { node, live, tenants, orders, demand } = status;
    let bare = v1::Node { id: node.into(), tenants: count(tenants), ..Default::default() };
    let with_record = match live {
        Some(record) => registered(record, demand, bare),
        None => bare,
    };
    match orders {
        Some(orders) => ordered(orders, with_record),
        None => with_record,
    }
}

fn registered(record: NodeRecord, demand: Option<MemoryDemand>, node: v1::Node) -> v1::Node {
    let next_to_leave = record.impairments.iter().find_map(|impairment| impairment.next_to_leave.as_ref());
    v1::Node {
        next_to_leave: next_to_leave.map(|next| next.tenant.to_string()).unwrap_or_default(),
        address: record.address,
        capacity: count(record.capacity),
        weight: count(record.weight),
        zone: record.zone,
        version: record.version,
        incarnation: record.incarnation.0,
        leaving: record.leaving,
        start_time: Some(from_millis(record.started_at_ms)),
        impairments: record.impairments.into_iter().map(impairment).collect(),
        live: true,
        spare_browsers: record.spare_browsers.into(),
        memory: record.memory.map(|has| memory(has, demand)),
        ..node
    }
}

fn memory(has: NodeMemory, demand: Option<MemoryDemand>) -> v1::NodeMemory {
    v1::NodeMemory {
        allocatable_bytes: amount(has.allocatable_bytes),
        p95_bytes: has.p95_bytes.map(amount),
        requested_bytes: demand.map(|demand| amount(demand.requested_bytes)),
        used_bytes: demand.map(|demand| amount(demand.used_bytes)),
    }
}

fn impairment(record: Impairment) -> v1::Impairment {
    let Impairment { kind, reason, since_ms, next_to_leave: _ } = record;
    v1::Impairment { kind: kind.to_string(), reason, start_time: Some(from_millis(since_ms)) }
}

fn from_millis(since_epoch: i64) -> Timestamp {
    let nanos = i32::try_from(since_epoch.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    Timestamp { seconds: since_epoch.div_euclid(1_000), nanos }
}

fn ordered(orders: NodeOrders, node: v1::Node) -> v1::Node {
    v1::Node {
        cordoned: orders.cordoned,
        cordoned_by: orders.cordoned_by,
        cordon_reason: orders.cordon_reason,
        draining: orders.drain.is_some(),
        shedding: orders.shedding,
        suspect_until_time: orders.suspect_until.map(timestamp),
        restart_window_end_time: orders.restart_window.map(|window| timestamp(window.until)),
        ..node
    }
}
