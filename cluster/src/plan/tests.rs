use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::ids::{NodeId, TenantId};

fn node_id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn tenant_id(number: usize) -> TenantId {
    TenantId::new(&format!("t{number:04}")).unwrap()
}

fn open_node(name: &str) -> NodeView {
    NodeView { node: node_id(name), capacity: 10_000, weight: 100, intake: Intake::Open }
}

fn running(number: usize) -> TenantView {
    TenantView {
        tenant: tenant_id(number),
        wanted: Wanted::Running,
        generation: Generation(0),
        last: None,
        pin: None,
        holds: Vec::new(),
    }
}

fn active_on(number: usize, node: &str) -> TenantView {
    let hold = Hold { node: node_id(node), generation: Generation(1), phase: Phase::Active, let_go: false };
    TenantView { generation: Generation(1), last: Some(node_id(node)), holds: vec![hold], ..running(number) }
}

/// A cluster that carries out its plans: what a plan leads to when it is planned again and again.
#[derive(Clone)]
struct World {
    snapshot: Snapshot,
}

impl World {
    fn new(nodes: usize, tenants: usize) -> Self {
        let nodes = (0..nodes).map(|number| open_node(&format!("n{number}"))).collect();
        let tenants = (0..tenants).map(running).collect();
        Self { snapshot: Snapshot { nodes, tenants, goal: Goal::Settle } }
    }

    /// Plans and carries out until nothing changes. How many tenants were placed.
    fn settle(&mut self, goal: Goal) -> usize {
        self.snapshot.goal = goal;
        let mut placed = 0;
        for _ in 0..50 {
            let plan = plan(&self.snapshot);
            if plan.decisions.iter().all(|decision| matches!(decision.action, Action::Wait { .. })) {
                return placed;
            }
            placed += plan.placements().count();
            self.carry_out(&plan);
        }
        panic!("no end of changes: {}", plan(&self.snapshot));
    }

    fn carry_out(&mut self, plan: &Plan) {
        for decision in &plan.decisions {
            let mut tenants = self.snapshot.tenants.iter_mut();
            let tenant = tenants.find(|tenant| tenant.tenant == decision.tenant).unwrap();
            match &decision.action {
                Action::Place { node, .. } => {
                    tenant.generation.0 += 1;
                    tenant.last = Some(node.clone());
                    let generation = tenant.generation;
                    tenant.holds.push(Hold {
                        node: node.clone(),
                        generation,
                        phase: Phase::Active,
                        let_go: false,
                    });
                }
                Action::Release { node, .. } => {
                    let hold = tenant.holds.iter_mut().find(|hold| hold.node == *node).unwrap();
                    // The node is quick.
                    (hold.phase, hold.let_go) = (Phase::Releasing, true);
                }
                Action::Remove { node } => tenant.holds.retain(|hold| hold.node != *node),
                Action::Wait { .. } => {}
            }
        }
    }

    fn lose(&mut self, name: &str) {
        self.snapshot.nodes.retain(|node| node.node.as_str() != name);
        for tenant in &mut self.snapshot.tenants {
            tenant.holds.retain(|hold| hold.node.as_str() != name);
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

fn moved(before: &BTreeMap<TenantId, NodeId>, after: &BTreeMap<TenantId, NodeId>) -> BTreeSet<TenantId> {
    before
        .iter()
        .filter(|(tenant, node)| after.get(*tenant) != Some(*node))
        .map(|(tenant, _)| tenant.clone())
        .collect()
}

#[test]
fn a_plan_says_what_it_does_and_why() {
    let lost = TenantView { last: Some(node_id("gone")), generation: Generation(3), ..running(1) };
    let stopped = TenantView { wanted: Wanted::Stopped, ..active_on(2, "a") };
    let mut released = active_on(3, "b");
    (released.holds[0].phase, released.holds[0].let_go) = (Phase::Releasing, true);
    let fenced = TenantView { generation: Generation(7), ..active_on(4, "b") };
    let leaving = active_on(5, "c");
    let pinned = TenantView { pin: Some(node_id("c")), ..running(6) };
    let new = running(7);
    let kept = active_on(8, "a");
    let snapshot = Snapshot {
        nodes: vec![open_node("b"), open_node("a"), NodeView { intake: Intake::Leaving, ..open_node("c") }],
        tenants: vec![new, kept, lost, stopped, released, fenced, leaving, pinned],
        goal: Goal::Settle,
    };
    let expected = "\
place t0001 on b: its node gone is gone; the first in its order of those with too few
release t0002 from a: it is to be stopped
remove t0003 from b: it has let go
release t0004 from b: its generation there is 1, the ledger's is 7
release t0005 from c: the node is leaving
hold t0006 back: it is pinned to c, which takes no tenants
place t0007 on a: it is placed nowhere; the first in its order of those with too few";
    assert_eq!(plan(&snapshot).to_string(), expected);
}

#[test]
fn an_empty_cluster_holds_everyone_back() {
    let snapshot = Snapshot { nodes: Vec::new(), tenants: vec![running(1)], goal: Goal::Settle };
    assert_eq!(plan(&snapshot).to_string(), "hold t0001 back: no node takes tenants");
}

#[test]
fn a_full_cluster_holds_back_what_it_cannot_take() {
    let mut world = World::new(2, 5);
    for node in &mut world.snapshot.nodes {
        node.capacity = 2;
    }
    assert_eq!(world.settle(Goal::Settle), 4);
    assert_eq!(plan(&world.snapshot).to_string(), "hold t0004 back: every node is full");
}

#[test]
fn a_tenant_that_a_node_is_letting_go_of_is_not_placed_elsewhere() {
    let mut tenant = active_on(1, "a");
    tenant.holds[0].phase = Phase::Releasing;
    let snapshot =
        Snapshot { nodes: vec![open_node("a"), open_node("b")], tenants: vec![tenant], goal: Goal::Settle };
    assert!(plan(&snapshot).is_empty());
}

#[test]
fn of_two_entries_of_one_tenant_the_later_one_stays() {
    let mut tenant = active_on(1, "b");
    tenant.generation = Generation(2);
    let later = Hold { node: node_id("a"), generation: Generation(2), phase: Phase::Active, let_go: false };
    tenant.holds.push(later);
    let snapshot =
        Snapshot { nodes: vec![open_node("a"), open_node("b")], tenants: vec![tenant], goal: Goal::Settle };
    assert_eq!(plan(&snapshot).to_string(), "release t0001 from b: a has a later entry");
}

#[test]
fn tenants_that_come_one_by_one_fill_up_a_new_node_first() {
    let mut world = World::new(3, 30);
    world.settle(Goal::Settle);
    world.snapshot.nodes.push(open_node("new"));
    for number in 30..36 {
        world.snapshot.tenants.push(running(number));
        world.settle(Goal::Settle);
    }
    assert_eq!(world.loads()[&node_id("new")], 6);
}

#[test]
fn a_node_that_leaves_hands_over_its_own_and_no_other() {
    let mut world = World::new(4, 40);
    world.settle(Goal::Settle);
    let before = world.places();
    world.snapshot.nodes[1].intake = Intake::Leaving;
    world.settle(Goal::Settle);
    let its_own = before.iter().filter(|(_, node)| node.as_str() == "n1").map(|(tenant, _)| tenant.clone());
    assert_eq!(moved(&before, &world.places()), its_own.collect());
    assert_eq!(world.loads()[&node_id("n1")], 0);
    assert_eq!(world.places().len(), 40);
}

#[test]
fn tenants_return_to_a_node_that_comes_back_when_there_is_no_other() {
    let mut world = World::new(1, 5);
    world.settle(Goal::Settle);
    world.lose("n0");
    assert_eq!(world.settle(Goal::Settle), 0);
    world.snapshot.nodes.push(open_node("n0"));
    let plan = plan(&world.snapshot);
    let returns =
        |decision: &Decision| matches!(decision.action, Action::Place { choice: Choice::Returns, .. });
    assert!(plan.decisions.len() == 5 && plan.decisions.iter().all(returns), "{plan}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_tenant_is_placed_once_and_every_node_is_within_its_band(nodes in 1_usize..8, tenants in 0_usize..200) {
        let mut world = World::new(nodes, tenants);
        prop_assert_eq!(world.settle(Goal::Settle), tenants);
        prop_assert_eq!(world.places().len(), tenants);
        for (node, load) in world.loads() {
            let mean = tenants as f64 / nodes as f64;
            prop_assert!(load as f64 >= (mean * 0.9).floor(), "{} has {} of {}", node, load, mean);
            prop_assert!(load as f64 <= (mean * 1.1).ceil(), "{} has {} of {}", node, load, mean);
        }
    }

    #[test]
    fn losing_a_node_moves_only_its_own(nodes in 2_usize..8, tenants in 0_usize..200, lost in 0_usize..8) {
        let lost = format!("n{}", lost % nodes);
        let mut world = World::new(nodes, tenants);
        world.settle(Goal::Settle);
        let before = world.places();
        world.lose(&lost);
        let placed = world.settle(Goal::Settle);
        let its_own: BTreeSet<_> =
            before.iter().filter(|(_, node)| node.as_str() == lost).map(|(tenant, _)| tenant.clone()).collect();
        prop_assert_eq!(placed, its_own.len());
        prop_assert_eq!(moved(&before, &world.places()), its_own);
        prop_assert_eq!(world.places().len(), tenants);
    }

    #[test]
    fn adding_a_node_moves_nothing_until_asked(nodes in 1_usize..8, tenants in 0_usize..200) {
        let mut world = World::new(nodes, tenants);
        world.settle(Goal::Settle);
        world.snapshot.nodes.push(open_node("new"));
        prop_assert!(plan(&world.snapshot).is_empty());
    }

    #[test]
    fn a_rebalance_fills_a_new_node_with_about_its_share_and_then_rests(nodes in 1_usize..12, tenants in 0_usize..400) {
        let mut world = World::new(nodes, tenants);
        world.settle(Goal::Settle);
        world.settle(Goal::Rebalance);
        let before = world.places();
        world.snapshot.nodes.push(open_node("new"));
        world.settle(Goal::Rebalance);
        let ideal = tenants / (nodes + 1);
        let moves = moved(&before, &world.places()).len();
        prop_assert!(moves >= ideal && moves <= ideal + ideal * 3 / 100 + nodes, "{} moves for {}", moves, ideal);
        prop_assert_eq!(world.settle(Goal::Rebalance), 0);
        prop_assert_eq!(world.settle(Goal::Settle), 0);
    }

    /// `plan` asserts its rules in this build.
    #[test]
    fn no_snapshot_makes_a_plan_that_breaks_a_rule(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        prop_assert_eq!(check::broken_rule(&snapshot, &plan), None, "{}", plan);
    }

    #[test]
    fn the_plan_does_not_depend_on_the_order_of_the_snapshot(snapshot in any_snapshot()) {
        let mut reversed = snapshot.clone();
        reversed.nodes.reverse();
        reversed.tenants.reverse();
        prop_assert_eq!(plan(&snapshot), plan(&reversed));
    }
}

const NODES: usize = 5;

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let nodes = proptest::collection::vec(proptest::option::weighted(0.8, any_node()), NODES);
    let tenants = proptest::collection::vec(any_tenant(), 0..40);
    let goal = prop_oneof![Just(Goal::Settle), Just(Goal::Rebalance)];
    (nodes, tenants, goal).prop_map(|(nodes, tenants, goal)| {
        let named = nodes.into_iter().enumerate();
        let nodes: Vec<NodeView> = named
            .filter_map(|(at, node)| node.map(|node| NodeView { node: node_id(&format!("n{at}")), ..node }))
            .collect();
        let live: BTreeSet<NodeId> = nodes.iter().map(|node| node.node.clone()).collect();
        let named = tenants.into_iter().enumerate();
        let tenants = named
            .map(|(at, mut tenant)| {
                tenant.tenant = tenant_id(at);
                // Entries of nodes that are gone are in no snapshot, and a node has one entry of a tenant.
                tenant.holds.retain(|hold| live.contains(&hold.node));
                tenant.holds.dedup_by(|a, b| a.node == b.node);
                tenant
            })
            .collect();
        Snapshot { nodes, tenants, goal }
    })
}

fn any_node() -> impl Strategy<Value = NodeView> {
    let weight = prop_oneof![Just(0), Just(50), Just(100), Just(300)];
    let intake =
        prop_oneof![4 => Just(Intake::Open), 1 => Just(Intake::Cordoned), 1 => Just(Intake::Leaving)];
    (0_u32..15, weight, intake).prop_map(|(capacity, weight, intake)| NodeView {
        node: node_id("unnamed"),
        capacity,
        weight,
        intake,
    })
}

fn any_tenant() -> impl Strategy<Value = TenantView> {
    let wanted =
        prop_oneof![6 => Just(Wanted::Running), 1 => Just(Wanted::Stopped), 1 => Just(Wanted::Deleted)];
    let some_node = (0..NODES).prop_map(|at| node_id(&format!("n{at}")));
    let last = proptest::option::of(some_node.clone());
    let pin = proptest::option::weighted(0.1, some_node);
    let holds = prop_oneof![
        4 => proptest::collection::vec(any_hold(), 0..=1),
        1 => proptest::collection::vec(any_hold(), 2),
    ];
    (wanted, 1_i64..4, last, pin, holds).prop_map(|(wanted, generation, last, pin, mut holds)| {
        holds.sort_by(|a, b| a.node.cmp(&b.node));
        let generation = Generation(generation);
        TenantView { tenant: tenant_id(0), wanted, generation, last, pin, holds }
    })
}

fn any_hold() -> impl Strategy<Value = Hold> {
    let phase = prop_oneof![3 => Just(Phase::Active), 1 => Just(Phase::Releasing)];
    (0..NODES, 1_i64..4, phase, any::<bool>()).prop_map(|(at, generation, phase, let_go)| Hold {
        node: node_id(&format!("n{at}")),
        generation: Generation(generation),
        phase,
        let_go,
    })
}
