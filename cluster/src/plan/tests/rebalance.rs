//! Moves that a rebalance asks for: few, to an end, and none twice.

use super::*;

/// Within 3 % of the new node's share, give or take the one that rounding makes.
fn assert_about_ideal(moves: usize, tenants: usize, nodes: usize) {
    let ideal = tenants as f64 / nodes as f64;
    let off = (moves as f64 - ideal).abs();
    assert!(off <= (ideal * 0.03).max(1.0), "{moves} moves, {ideal} are ideal");
}

fn moves_for_a_new_node(nodes: usize, tenants: usize, limits: MoveLimits) -> (World, usize) {
    let mut world = World::new(nodes, tenants);
    world.settle(Goal::Settle);
    let before = world.places();
    world.snapshot.nodes.push(open_node("new"));
    world.snapshot.rebalance_limits = limits;
    let placed = world.settle(Goal::Rebalance);
    let moves = moved(&before, &world.places()).len();
    assert_eq!(placed, moves, "some moved twice");
    (world, moves)
}

#[test]
fn a_new_node_is_given_its_share_and_no_more_moves_than_that() {
    for (nodes, tenants) in [(10, 1_000), (3, 200), (30, 1_500), (60, 600)] {
        let (_, moves) = moves_for_a_new_node(nodes, tenants, UNLIMITED);
        assert_about_ideal(moves, tenants, nodes + 1);
    }
}

/// The plan does not remember which node it was filling: at all limits it has to find that out again.
#[test]
fn the_limits_change_nothing_about_how_many_move() {
    let narrow = MoveLimits { per_cluster: 1, per_node: 1, unavailable: 1 };
    let four = MoveLimits { per_cluster: 4, per_node: 4, unavailable: 2 };
    for limits in [MoveLimits::default(), four, narrow] {
        let (_, moves) = moves_for_a_new_node(10, 1_000, limits);
        assert_about_ideal(moves, 1_000, 11);
    }
}

#[test]
fn a_rebalance_that_is_withdrawn_forgets_what_it_prepared_and_moves_nothing_more() {
    let mut world = World::new(4, 100);
    world.settle(Goal::Settle);
    let before = world.places();
    world.snapshot.nodes.push(open_node("new"));
    world.snapshot.goal = Goal::Rebalance;
    let begun = world.step();
    assert!(begun.decisions.len() == 4, "{begun}");
    world.snapshot.goal = Goal::Settle;
    let withdrawn = world.step();
    let forgets = |decision: &Decision| matches!(decision.action, Action::Forget { .. });
    assert!(withdrawn.decisions.len() == 4 && withdrawn.decisions.iter().all(forgets), "{withdrawn}");
    world.settle(Goal::Settle);
    assert_eq!(world.places(), before);
}

#[test]
fn what_is_pinned_or_ordered_to_be_where_it_is_is_not_rebalanced() {
    let mut tenants: Vec<TenantView> = (0..20).map(|number| active_on(number, "a")).collect();
    for tenant in &mut tenants[..10] {
        tenant.pin = Some(node_id("a"));
    }
    tenants[19].move_to = Some(node_id("a"));
    let mut world = World { snapshot: Snapshot::new(vec![open_node("a"), open_node("b")], tenants) };
    world.snapshot.rebalance_limits = UNLIMITED;
    world.settle(Goal::Rebalance);
    assert_eq!(world.loads()[&node_id("a")], 11);
}

#[test]
fn the_node_that_was_being_filled_is_lost_and_the_rebalance_starts_over() {
    let mut world = World::new(3, 60);
    world.settle(Goal::Settle);
    world.snapshot.nodes.push(open_node("new"));
    world.snapshot.goal = Goal::Rebalance;
    for _ in 0..7 {
        world.step();
    }
    world.lose("new");
    world.settle(Goal::Rebalance);
    assert_eq!(world.places().len(), 60);
    assert_eq!(plan(&world.snapshot), Plan::default());
}

fn any_world() -> impl Strategy<Value = World> {
    let node = (prop_oneof![Just(50_u32), Just(100), Just(300)], 10_u32..80);
    (proptest::collection::vec(node, 1..8), 0_usize..120).prop_map(|(nodes, tenants)| {
        let mut world = World::new(nodes.len(), tenants);
        for (view, (weight, capacity)) in world.snapshot.nodes.iter_mut().zip(nodes) {
            (view.weight, view.capacity) = (weight, capacity);
        }
        world
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_rebalance_moves_about_the_new_nodes_share_and_then_rests(nodes in 1_usize..12, tenants in 0_usize..400) {
        let (mut world, moves) = moves_for_a_new_node(nodes, tenants, MoveLimits::default());
        assert_about_ideal(moves, tenants, nodes + 1);
        prop_assert_eq!(world.settle(Goal::Rebalance), 0);
        prop_assert_eq!(world.settle(Goal::Settle), 0);
    }

    #[test]
    fn a_rebalance_of_any_cluster_comes_to_an_end_and_moves_nothing_twice(mut world in any_world(), lost in 0_usize..8) {
        world.settle(Goal::Settle);
        world.lose(&format!("n{lost}"));
        world.settle(Goal::Settle);
        world.snapshot.nodes.push(open_node("new"));
        let before = world.places();
        let waiting = world.snapshot.tenants.len() - before.len();
        let placed = world.settle(Goal::Rebalance);
        prop_assert_eq!(placed, moved(&before, &world.places()).len() + waiting);
        prop_assert!(moves(&world.snapshot).is_empty());
    }
}
