//! The product's plan, asked about the model's nodes; its decisions come back as the model's own.

use std::collections::HashMap;

use parking_lot::Mutex;
use roost_cluster::plan::{self, Action, Hold, Intake, NodeView, Preparation, Snapshot, TenantView, Wanted};
use roost_model::ids::{Generation, NodeId, TenantId};

use super::state::{Entry, NODES, Node, PhaseOf};

/// What a plan comes to for the one tenant, by node.
pub type Decided = [Option<Decision>; NODES];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    Place,
    Release,
    Remove,
    Prepare,
    Forget,
}

/// What a plan depends on, of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    alive: bool,
    leaving: bool,
    entry: Option<Entry>,
    let_go: bool,
    is_ready: bool,
}

/// The nodes, the generation, where it was last, and whether leaving is urgent.
type Asked = ([Seen; NODES], u8, Option<usize>, bool);

/// The product's plan, remembered: the same few snapshots come up again and again.
#[derive(Default)]
pub struct Planner {
    known: Mutex<HashMap<Asked, Decided>>,
}

impl Planner {
    pub fn decide(&self, seen: [Seen; NODES], generation: u8, last: Option<usize>, urgent: bool) -> Decided {
        let plan = || decided(seen, generation, last, urgent);
        *self.known.lock().entry((seen, generation, last, urgent)).or_insert_with(plan)
    }
}

fn node_id(number: usize) -> NodeId {
    NodeId::new(["a", "b"][number]).expect("an id")
}

fn decided(seen: [Seen; NODES], generation: u8, last: Option<usize>, urgent: bool) -> Decided {
    let plan = plan::plan(&snapshot(seen, generation, last, urgent));
    let mut decided = [None; NODES];
    for decision in plan.decisions {
        let (node, what) = match decision.action {
            Action::Place { node, .. } => (node, Decision::Place),
            Action::Release { node, .. } => (node, Decision::Release),
            Action::Remove { node } => (node, Decision::Remove),
            Action::Prepare { node, .. } => (node, Decision::Prepare),
            Action::Forget { node } => (node, Decision::Forget),
            Action::Wait { .. } => continue,
        };
        let number = (0..NODES).find(|number| node_id(*number) == node).expect("one of the two");
        decided[number] = Some(what);
    }
    decided
}

fn snapshot(seen: [Seen; NODES], generation: u8, last: Option<usize>, urgent: bool) -> Snapshot {
    let leaving = if urgent { Intake::Leaving } else { Intake::Draining };
    let alive = || seen.into_iter().enumerate().filter(|(_, seen)| seen.alive);
    let nodes = alive().map(|(number, seen)| NodeView {
        node: node_id(number),
        capacity: 1,
        weight: 100,
        zone: String::new(),
        intake: if seen.leaving { leaving } else { Intake::Open },
        memory: None,
    });
    let entries = || alive().filter_map(|(number, seen)| seen.entry.map(|entry| (number, seen, entry)));
    let preparations = entries().filter(|(.., entry)| entry.phase == PhaseOf::Preparing);
    let holds = entries().filter(|(.., entry)| entry.phase != PhaseOf::Preparing);
    let tenant = TenantView {
        tenant: TenantId::new("t").expect("an id"),
        wanted: Wanted::Running,
        generation: Generation(generation.into()),
        last: last.map(node_id),
        pin: None,
        move_to: None,
        leaves: None,
        memory_request_bytes: None,
        unprepared: Vec::new(),
        preparations: preparations
            .map(|(number, seen, _)| Preparation { node: node_id(number), ready: seen.is_ready })
            .collect(),
        holds: holds
            .map(|(number, seen, entry)| Hold {
                node: node_id(number),
                generation: Generation(entry.generation.into()),
                phase: entry.phase.into(),
                let_go: seen.let_go,
            })
            .collect(),
    };
    Snapshot::new(nodes.collect(), vec![tenant])
}

impl Seen {
    pub fn of(node: &Node, newest: u8) -> Self {
        let has_let_go = node.assigned.zip(node.ack).is_some_and(|(record, ack)| {
            ack.life == record.life && ack.applied >= record.revision && !ack.held
        });
        Self {
            alive: node.registered.is_some(),
            leaving: node.registered.is_some_and(|registered| registered.leaving),
            entry: node
                .live_entry()
                .filter(|one| one.phase != PhaseOf::Preparing || one.generation == newest),
            let_go: has_let_go,
            is_ready: is_ready(node),
        }
    }
}

/// What the node says it has prepared is what it is asked to prepare.
fn is_ready(node: &Node) -> bool {
    let asked = node.live_entry().map(|entry| entry.generation);
    let life = node.registered.map(|registered| registered.life);
    node.ack.is_some_and(|ack| Some(ack.life) == life && ack.prepared.is_some() && ack.prepared == asked)
}
