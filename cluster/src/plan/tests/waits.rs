//! Tenants without a node that are not to be given another one now.

use super::*;

fn awaiting(node: &str, nodes: Vec<NodeView>, tenants: Vec<TenantView>) -> Snapshot {
    Snapshot { awaited: BTreeSet::from([node_id(node)]), ..Snapshot::new(nodes, tenants) }
}

#[test]
fn the_tenants_of_a_node_that_restarts_wait_for_it_and_no_others() {
    let pinned_elsewhere = TenantView { pin: Some(node_id("b")), ..lost_with(3, "a") };
    let tenants = vec![lost_with(1, "a"), lost_with(2, "gone"), pinned_elsewhere];
    let plan = plan(&awaiting("a", vec![open_node("b")], tenants));
    let expected = "\
hold t0001 back: its node a is restarting
place t0002 on b: its node gone is gone; the first in its order of those with too few
place t0003 on b: its node a is gone; it is pinned there";
    assert_eq!(plan.to_string(), expected);
}

#[test]
fn a_node_that_leaves_to_restart_lets_go_of_its_tenants_and_keeps_their_places() {
    let leaving = NodeView { intake: Intake::Leaving, ..open_node("a") };
    let mut world = World { snapshot: awaiting("a", vec![leaving, open_node("b")], vec![active_on(1, "a")]) };
    let steps: Vec<String> = (0..3).map(|_| world.step().to_string()).collect();
    let expected = [
        "release t0001 from a: the node is leaving",
        "remove t0001 from a: it has let go",
        "hold t0001 back: its node a is restarting",
    ];
    assert_eq!(steps, expected);
    world.lose("a");
    assert_eq!(world.step().to_string(), expected[2]);
    world.snapshot.nodes.push(open_node("a"));
    assert_eq!(world.step().to_string(), "place t0001 on a: it has to begin anew; it was there last");
}

#[test]
fn places_that_are_kept_do_not_widen_the_band_of_the_others() {
    let mut world = World::new(3, 30);
    world.settle(Goal::Settle);
    let before = world.places();
    world.lose("n0");
    world.snapshot.awaited.insert(node_id("n0"));
    assert!(plan(&world.snapshot).decisions.iter().all(|of| matches!(of.action, Action::Wait { .. })));
    world.settle(Goal::Rebalance);
    world.snapshot.nodes.push(open_node("n0"));
    world.settle(Goal::Settle);
    assert_eq!(world.places(), before);
}

#[test]
fn a_tenant_whose_node_restarts_goes_where_it_was_moving_to() {
    let tenant = TenantView {
        preparations: vec![Preparation { node: node_id("b"), ready: true }],
        ..lost_with(1, "a")
    };
    let plan = plan(&awaiting("a", vec![open_node("b")], vec![tenant]));
    assert_eq!(plan.to_string(), "place t0001 on b: its node a is gone; it has prepared for it");
}

#[test]
fn a_paused_failover_holds_back_the_lost_and_nobody_else() {
    let returns = TenantView { holds: Vec::new(), ..active_on(2, "b") };
    let moving = TenantView { move_to: Some(node_id("b")), ..active_on(4, "c") };
    let preparation = TenantView {
        preparations: vec![Preparation { node: node_id("b"), ready: true }],
        ..lost_with(5, "gone")
    };
    let tenants = vec![lost_with(1, "gone"), returns, running(3), moving, preparation];
    let mut snapshot = Snapshot::new(vec![open_node("b"), open_node("c")], tenants);
    snapshot.failover_paused = true;
    let expected = "\
hold t0001 back: its node gone is gone and failover is held
place t0002 on b: it has to begin anew; it was there last
place t0003 on c: it is placed nowhere; the first in its order of those with too few
prepare t0004 on b: it leaves c, for an operator moves it to b; an operator moves it there
hold t0005 back: its node gone is gone and failover is held
forget t0005 on b: it does not move there";
    assert_eq!(plan(&snapshot).to_string(), expected);
}

#[test]
fn after_a_mass_loss_so_many_of_the_lost_are_placed_as_may_start_and_the_others_wait_their_turn() {
    let lost: Vec<TenantView> = (1..=4).map(|number| lost_with(number, "gone")).collect();
    let tenants = [lost, vec![running(5)]].concat();
    let mut snapshot = Snapshot::new(vec![open_node("b"), open_node("c")], tenants);
    snapshot.failover_ramp = Some(2);
    let paced = |number: usize| {
        let text = "its node gone is gone with others, whose tenants are started a few at a time";
        format!("hold t000{number} back: {text}")
    };
    let told = plan(&snapshot).to_string();
    assert!(told.contains(&paced(3)) && told.contains(&paced(4)), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("place")).count(), 3, "{told}");
    assert!(told.contains("place t0005"), "a new tenant waits for nobody: {told}");
}
