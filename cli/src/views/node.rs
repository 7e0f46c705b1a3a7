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
}

impl From<Node> for NodeView {
    fn from(node: Node) -> Self {
        Self {
            start_time: rfc3339(&node.start_time),
            id: node.id,
            address: node.address,
            capacity: node.capacity,
            weight: node.weight,
            zone: node.zone,
            version: node.version,
            incarnation: node.incarnation,
            tenants: node.tenants,
            leaving: node.leaving,
        }
    }
}

impl Row for NodeView {
    const HEADER: &'static [&'static str] =
        &["id", "state", "tenants", "capacity", "weight", "zone", "address", "version", "started"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            if self.leaving { "leaving" } else { "live" }.to_owned(),
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
        lines
    }
}
