//! One node, live or known from before.

use roost_proto::v1::{Impairment, Node, NodeMemory};
use serde::Serialize;

use super::{ago, rfc3339, usage::memory};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct NodeView {
    id: String,
    address: String,
    capacity: i32,
    weight: i32,
    zone: String,
    version: String,
    incarnation: i64,
    tenants: i32,
    leaving: bool,
    start_time: Option<String>,
    live: bool,
    cordoned: bool,
    cordoned_by: String,
    cordon_reason: String,
    draining: bool,
    shedding: bool,
    suspect_until_time: Option<String>,
    restart_window_end_time: Option<String>,
    impairments: Vec<ImpairmentView>,
    next_to_leave: String,
    memory: Option<MemoryView>,
    spare_browsers: i32,
}

/// Requested and used only of a node that was asked for by its id.
#[derive(Debug, Serialize)]
struct MemoryView {
    allocatable_bytes: i64,
    requested_bytes: Option<i64>,
    used_bytes: Option<i64>,
    p95_bytes: Option<i64>,
}

#[derive(Debug, Serialize)]
struct ImpairmentView {
    kind: String,
    reason: String,
    start_time: Option<String>,
}

impl From<Node> for NodeView {
    fn from(node: Node) -> Self {
        Self {
            start_time: rfc3339(&node.start_time),
            suspect_until_time: rfc3339(&node.suspect_until_time),
            restart_window_end_time: rfc3339(&node.restart_window_end_time),
            id: node.id,
            address: node.address,
            capacity: node.capacity,
            weight: node.weight,
            zone: node.zone,
            version: node.version,
            incarnation: node.incarnation,
            tenants: node.tenants,
            leaving: node.leaving,
            live: node.live,
            cordoned: node.cordoned,
            cordoned_by: node.cordoned_by,
            cordon_reason: node.cordon_reason,
            draining: node.draining,
            shedding: node.shedding,
            impairments: node.impairments.into_iter().map(ImpairmentView::from).collect(),
            next_to_leave: node.next_to_leave,
            memory: node.memory.map(MemoryView::from),
            spare_browsers: node.spare_browsers,
        }
    }
}

impl From<Impairment> for ImpairmentView {
    fn from(impairment: Impairment) -> Self {
        let start_time = rfc3339(&impairment.start_time);
        Self { kind: impairment.kind, reason: impairment.reason, start_time }
    }
}

impl From<NodeMemory> for MemoryView {
    fn from(memory: NodeMemory) -> Self {
        let NodeMemory { allocatable_bytes, p95_bytes, requested_bytes, used_bytes } = memory;
        Self { allocatable_bytes, requested_bytes, used_bytes, p95_bytes }
    }
}

impl MemoryView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let amount = |bytes: Option<i64>| bytes.map(memory).unwrap_or_default();
        vec![
            ("memory for tenants", memory(self.allocatable_bytes)),
            ("memory requested", amount(self.requested_bytes)),
            ("memory used", amount(self.used_bytes)),
            ("memory p95", amount(self.p95_bytes)),
        ]
    }
}

impl NodeView {
    /// All that is unusual about it, or that it is live.
    fn state(&self) -> String {
        let states = [
            (!self.live, "lost"),
            (self.leaving, "leaving"),
            (self.draining, "draining"),
            // A node that is drained is cordoned, too.
            (self.cordoned && !self.draining, "cordoned"),
            (self.shedding, "shedding"),
            (self.suspect_until_time.is_some(), "suspect"),
            (self.restart_window_end_time.is_some(), "restarting"),
        ];
        let states = states.iter().filter(|(is, _)| *is).map(|(_, state)| (*state).to_owned());
        // With what it is, so that the list says it.
        let impaired = self.impairments.iter().map(|impairment| format!("impaired:{}", impairment.kind));
        let unusual: Vec<_> = states.chain(impaired).collect();
        if unusual.is_empty() { "live".to_owned() } else { unusual.join(",") }
    }
}

impl Row for NodeView {
    const HEADER: &'static [&'static str] =
        &["id", "state", "tenants", "capacity", "weight", "zone", "address", "version", "started"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.state(),
            self.tenants.to_string(),
            self.capacity.to_string(),
            self.weight.to_string(),
            self.zone.clone(),
            self.address.clone(),
            self.version.clone(),
            ago(self.start_time.as_deref()),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut lines: Vec<_> = Self::HEADER.iter().copied().zip(self.cells()).collect();
        lines.push(("incarnation", self.incarnation.to_string()));
        lines.extend(self.memory.iter().flat_map(MemoryView::lines));
        lines.push(("spare browsers", self.spare_browsers.to_string()));
        if self.cordoned {
            lines.push(("cordoned by", self.cordoned_by.clone()));
            lines.push(("because", self.cordon_reason.clone()));
        }
        for impairment in &self.impairments {
            let since = ago(impairment.start_time.as_deref());
            lines.push(("impaired", format!("{}: {} ({since})", impairment.kind, impairment.reason)));
        }
        if !self.next_to_leave.is_empty() {
            lines.push(("next to leave", self.next_to_leave.clone()));
        }
        let until = |at: &Option<String>| at.clone().unwrap_or_default();
        lines.push(("suspect until", until(&self.suspect_until_time)));
        lines.push(("restart window to", until(&self.restart_window_end_time)));
        lines
    }
}
