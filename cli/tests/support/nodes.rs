//! The scripted coordinator's nodes.

use roost_proto::v1::{node_service_server::NodeService, *};
use tonic::{Request, Response, Status};

use super::{Answer, Script, at, unknown};

fn node(id: &str, tenants: i32) -> Node {
    Node {
        id: id.into(),
        address: "127.0.0.1:4001".into(),
        capacity: 50,
        weight: 100,
        zone: "default".into(),
        version: "0.1.0".into(),
        incarnation: 7_587,
        tenants,
        start_time: at(0),
        live: true,
        ..Default::default()
    }
}

fn impaired() -> Node {
    let reason = "no browser can be started: it ended by itself".into();
    let impairments = vec![Impairment { kind: "browser".into(), reason, start_time: at(30) }];
    let memory = NodeMemory {
        allocatable_bytes: 7_168 << 20,
        p95_bytes: Some(176 << 20),
        requested_bytes: Some(352 << 20),
        used_bytes: Some(301 << 20),
    };
    Node {
        impairments,
        shedding: true,
        memory: Some(memory),
        spare_browsers: 2,
        next_to_leave: "lodge".into(),
        ..node("node-3b", 2)
    }
}

pub(super) fn known_node(id: &str) -> Result<Node, Status> {
    if id == "node-2" { Ok(node("node-2", 1)) } else { Err(unknown("node", id)) }
}

#[tonic::async_trait]
impl NodeService for Script {
    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Answer<ListNodesResponse> {
        let mut nodes = vec![Node { leaving: true, ..node("node-1", 0) }, node("node-2", 1)];
        nodes.push(Node { cordoned: true, suspect_until_time: at(60), ..node("node-3", 2) });
        nodes.push(impaired());
        nodes.push(Node { cordoned: true, draining: true, ..node("node-4", 3) });
        if request.into_inner().show_lost {
            let lost = Node { id: "node-5".into(), tenants: 4, ..Default::default() };
            nodes.push(Node { restart_window_end_time: at(60), ..lost });
        }
        Ok(Response::new(ListNodesResponse { nodes, next_page_token: String::new() }))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Answer<Node> {
        let id = request.into_inner().id;
        if id == "node-3b" { Ok(Response::new(impaired())) } else { known_node(&id).map(Response::new) }
    }

    async fn cordon(&self, request: Request<CordonRequest>) -> Answer<Node> {
        let CordonRequest { id, requested_by, reason } = request.into_inner();
        let node = known_node(&id)?;
        Ok(Response::new(Node { cordoned: true, cordoned_by: requested_by, cordon_reason: reason, ..node }))
    }

    async fn uncordon(&self, request: Request<UncordonRequest>) -> Answer<Node> {
        known_node(&request.into_inner().id).map(Response::new)
    }

    async fn set_restart_window(&self, request: Request<SetRestartWindowRequest>) -> Answer<Node> {
        let SetRestartWindowRequest { id, window, .. } = request.into_inner();
        let seconds = window.map(|window| window.seconds).unwrap_or_default();
        Ok(Response::new(Node { restart_window_end_time: at(seconds), ..known_node(&id)? }))
    }

    async fn clear_restart_window(&self, request: Request<ClearRestartWindowRequest>) -> Answer<Node> {
        known_node(&request.into_inner().id).map(Response::new)
    }
}
