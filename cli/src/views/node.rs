//! One node, live or known from before.

use roost_proto::v1::Node;
use serde::Serialize;

use super::{ago, rfc3339};
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
    suspect_until_time: Option<String>,
    restart_window_end_time: Option<String>,
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
        }
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
            (self.suspect_until_time.is_some(), "suspect"),
            (self.restart_window_end_time.is_some(), "restarting"),
        ];
        let unusual: Vec<_> = states.iter().filter(|(is, _)| *is).map(|(_, state)| *state).collect();
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
        if self.cordoned {
            lines.push(("cordoned by", self.cordoned_by.clone()));
            lines.push(("because", self.cordon_reason.clone()));
        }
        let until = |at: &Option<String>| at.clone().unwrap_or_default();
        lines.push(("suspect until", until(&self.suspect_until_time)));
        lines.push(("restart window to", until(&self.restart_window_end_time)));
        lines
    }
}
