//! The plan, and a small world that carries plans out.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use roost_model::ids::{Generation, NodeId, TenantId};

use super::*;
use crate::records::Phase;

mod admission;
mod any;
mod explain;
mod moves;
mod rebalance;
#[cfg(not(debug_assertions))]
mod scale;
mod settle;
mod waits;
mod zones;

fn node_id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn tenant_id(number: usize) -> TenantId {
    TenantId::new(&format!("t{number:04}")).unwrap()
}

fn open_node(name: &str) -> NodeView {
    NodeView {
        node: node_id(name),
        capacity: 10_000,
        weight: 100,
        zone: "default".to_owned(),
        intake: Intake::Open,
        memory: None,
    }
}

fn running(number: usize) -> TenantView {
    TenantView {
        tenant: tenant_id(number),
        wanted: Wanted::Running,
        generation: Generation(0),
        last: None,
        pin: None,
        move_to: None,
        leaves: None,
        memory_request_bytes: None,
        preparations: Vec::new(),
        unprepared: Vec::new(),
        holds: Vec::new(),
    }
}

fn active_on(number: usize, node: &str) -> TenantView {
    let hold = Hold { node: node_id(node), generation: Generation(1), phase: Phase::Active, let_go: false };
    TenantView { generation: Generation(1), last: Some(node_id(node)), holds: vec![hold], ..running(number) }
}

/// It was on the node, which is not there any more.
fn lost_with(number: usize, node: &str) -> TenantView {
    TenantView { holds: Vec::new(), ..active_on(number, node) }
}

fn moves(snapshot: &Snapshot) -> Vec<TenantMove> {
    plan(snapshot).moves
}

const UNLIMITED: MoveLimits = MoveLimits { per_cluster: u32::MAX, per_node: u32::MAX, unavailable: u32::MAX };

/// A cluster that carries out its plans: what a plan leads to when it is planned again and again. Its nodes are quick:
/// what they are told is done by the next plan.
#[derive(Debug, Clone)]
struct World {
    snapshot: Snapshot,
}

impl World {
    fn new(nodes: usize, tenants: usize) -> Self {
        let nodes = (0..nodes).map(|number| open_node(&format!("n{number}"))).collect();
        Self { snapshot: Snapshot::new(nodes, (0..tenants).map(running).collect()) }
    }

    /// Plans and carries out until nothing changes. How many tenants were placed.
    fn settle(&mut self, goal: Goal) -> usize {
        self.snapshot.goal = goal;
        let mut placed = 0;
        for _ in 0..1_000 {
            let plan = plan(&self.snapshot);
            if plan.decisions.iter().all(|decision| matches!(decision.action, Action::Wait { .. })) {
                return placed;
            }
            placed += plan.placements().count();
            self.carry_out(&plan);
        }
        panic!("no end of changes: {}", plan(&self.snapshot));
    }

    /// Plans and carries out once.
    fn step(&mut self) -> Plan {
        let plan = plan(&self.snapshot);
        self.carry_out(&plan);
        plan
    }

    fn carry_out(&mut self, plan: &Plan) {
        for tenant in &mut self.snapshot.tenants {
            let id = tenant.tenant.clone();
            let from = plan.decisions.partition_point(|decision| decision.tenant < id);
            for decision in plan.decisions[from..].iter().take_while(|decision| decision.tenant == id) {
                carry_out(tenant, &decision.action);
            }
        }
    }

    fn node(&mut self, name: &str) -> &mut NodeView {
        self.snapshot.nodes.iter_mut().find(|view| view.node.as_str() == name).unwrap()
    }

    fn lose(&mut self, name: &str) {
        self.snapshot.nodes.retain(|node| node.node.as_str() != name);
        for tenant in &mut self.snapshot.tenants {
            tenant.holds.retain(|hold| hold.node.as_str() != name);
            tenant.preparations.retain(|preparation| preparation.node.as_str() != name);
        }
    }

    fn places(&self) -> BTreeMap<TenantId, NodeId> {
        let placed = self.snapshot.tenants.iter().flat_map(|tenant| {
            assert!(tenant.holds.len() <= 1, "{} is in two places", tenant.tenant);
            tenant.holds.iter().map(|hold| (tenant.tenant.clone(), hold.node.clone()))
        });
        placed.collect()
    }

    fn loads(&self) -> BTreeMap<NodeId, usize> {
        let mut loads: BTreeMap<_, _> =
            self.snapshot.nodes.iter().map(|node| (node.node.clone(), 0)).collect();
        for node in self.places().into_values() {
            *loads.get_mut(&node).unwrap() += 1;
        }
        loads
    }
}

fn carry_out(tenant: &mut TenantView, action: &Action) {
    match action {
        Action::Place { node, .. } => {
            tenant.generation.0 += 1;
            tenant.last = Some(node.clone());
            tenant.preparations.retain(|preparation| preparation.node != *node);
            let generation = tenant.generation;
            tenant.holds.push(Hold { node: node.clone(), generation, phase: Phase::Active, let_go: false });
        }
        Action::Prepare { node, .. } => {
            tenant.preparations.push(Preparation { node: node.clone(), ready: true })
        }
        Action::Forget { node } => tenant.preparations.retain(|preparation| preparation.node != *node),
        Action::Release { node, .. } => {
            let hold = tenant.holds.iter_mut().find(|hold| hold.node == *node).unwrap();
            (hold.phase, hold.let_go) = (Phase::Releasing, true);
        }
        Action::Remove { node } => tenant.holds.retain(|hold| hold.node != *node),
        Action::Wait { .. } => {}
    }
}

fn moved(before: &BTreeMap<TenantId, NodeId>, after: &BTreeMap<TenantId, NodeId>) -> BTreeSet<TenantId> {
    let moved = before.iter().filter(|(tenant, node)| after.get(*tenant) != Some(*node));
    moved.map(|(tenant, _)| tenant.clone()).collect()
}
