//! New tenants, lost nodes, nodes that leave: what moves without being asked.

use super::*;

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
    let drained = active_on(9, "d");
    let nodes = vec![
        open_node("b"),
        open_node("a"),
        NodeView { intake: Intake::Leaving, ..open_node("c") },
        NodeView { intake: Intake::Draining, ..open_node("d") },
    ];
    let tenants = vec![new, kept, lost, stopped, released, fenced, leaving, pinned, drained];
    let expected = "\
place t0001 on b: its node gone is gone; the first in its order of those with too few
release t0002 from a: it is to be stopped
remove t0003 from b: it has let go
release t0004 from b: its generation there is 1, the ledger's is 7
release t0005 from c: the node is leaving
hold t0006 back: it is pinned to c, which takes no tenants
place t0007 on a: it is placed nowhere; the first in its order of those with too few
prepare t0009 on a: it leaves d, for the node is being drained; the first in its order of those with too few";
    assert_eq!(plan(&Snapshot::new(nodes, tenants)).to_string(), expected);
}

#[test]
fn an_empty_cluster_holds_everyone_back() {
    let snapshot = Snapshot::new(Vec::new(), vec![running(1)]);
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
fn those_who_are_pinned_are_given_their_place_before_it_is_taken() {
    let nodes = vec![NodeView { capacity: 1, ..open_node("a") }];
    let pinned = TenantView { pin: Some(node_id("a")), ..running(2) };
    let expected = "\
hold t0001 back: every node is full
place t0002 on a: it is placed nowhere; it is pinned there";
    assert_eq!(plan(&Snapshot::new(nodes, vec![running(1), pinned])).to_string(), expected);
}

#[test]
fn a_tenant_that_a_node_is_letting_go_of_is_not_placed_elsewhere() {
    let mut tenant = active_on(1, "a");
    tenant.holds[0].phase = Phase::Releasing;
    assert!(plan(&Snapshot::new(vec![open_node("a"), open_node("b")], vec![tenant])).is_empty());
}

#[test]
fn of_two_entries_of_one_tenant_the_later_one_stays() {
    let mut tenant = active_on(1, "b");
    tenant.generation = Generation(2);
    let later = Hold { node: node_id("a"), generation: Generation(2), phase: Phase::Active, let_go: false };
    tenant.holds.push(later);
    let snapshot = Snapshot::new(vec![open_node("a"), open_node("b")], vec![tenant]);
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
    world.node("n1").intake = Intake::Leaving;
    let plan = world.step();
    let released = |state: &TenantMove| {
        state.state == MoveState::Releasing && state.reason == ReleaseReason::NodeLeaving
    };
    assert!(plan.moves.iter().all(released), "{:?}", plan.moves);
    world.settle(Goal::Settle);
    let its_own: BTreeSet<_> = of_node(&before, "n1");
    assert_eq!(plan.moves.len(), its_own.len(), "at once, whatever the limits");
    assert_eq!(moved(&before, &world.places()), its_own);
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

#[test]
fn a_cordoned_node_keeps_what_it_has_and_takes_nothing() {
    let mut world = World::new(2, 4);
    world.settle(Goal::Settle);
    let before = world.places();
    world.node("n0").intake = Intake::Cordoned;
    world.snapshot.tenants.extend((4..20).map(running));
    world.snapshot.tenants[19].pin = Some(node_id("n0"));
    assert_eq!(world.settle(Goal::Rebalance), 15);
    assert!(moved(&before, &world.places()).is_empty());
    assert_eq!(world.loads()[&node_id("n0")], 2);
    let waits = plan(&world.snapshot).to_string();
    assert_eq!(waits, "hold t0019 back: it is pinned to n0, which takes no tenants");
}

#[test]
fn a_suspect_node_takes_what_no_open_node_has_room_for() {
    let mut world = World::new(2, 2);
    world.settle(Goal::Settle);
    let before = world.places();
    world.node("n0").intake = Intake::Suspect;
    world.node("n1").capacity = 3;
    world.snapshot.tenants.extend((2..5).map(running));
    let planned = plan(&world.snapshot);
    let last_resorts: Vec<_> = planned
        .decisions
        .iter()
        .filter(|decision| matches!(decision.action, Action::Place { choice: Choice::LastResort, .. }))
        .collect();
    assert_eq!(last_resorts.len(), 1, "{planned}");
    world.settle(Goal::Settle);
    assert_eq!(world.loads()[&node_id("n1")], 3);
    assert!(moved(&before, &world.places()).is_empty());
}

#[test]
fn a_node_without_weight_takes_only_what_is_sent_there() {
    let nodes = vec![open_node("a"), NodeView { weight: 0, ..open_node("b") }];
    let pinned = TenantView { pin: Some(node_id("b")), ..running(1) };
    let sent = TenantView { move_to: Some(node_id("b")), ..active_on(2, "a") };
    let mut world = World { snapshot: Snapshot::new(nodes, vec![pinned, sent, running(3), running(4)]) };
    world.settle(Goal::Rebalance);
    let on_b = of_node(&world.places(), "b");
    assert_eq!(on_b, BTreeSet::from([tenant_id(1), tenant_id(2)]));
}

pub(super) fn of_node(places: &BTreeMap<TenantId, NodeId>, name: &str) -> BTreeSet<TenantId> {
    places.iter().filter(|(_, node)| node.as_str() == name).map(|(tenant, _)| tenant.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
        let its_own = of_node(&before, &lost);
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
}
