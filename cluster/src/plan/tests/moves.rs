//! Moves that somebody asks for: drains, pins, orders; one step after the other, and not too many at once.

use super::{settle::of_node, *};

fn draining(name: &str) -> NodeView {
    NodeView { intake: Intake::Draining, ..open_node(name) }
}

fn prepared_on(tenant: TenantView, node: &str, ready: bool) -> TenantView {
    TenantView { preparations: vec![Preparation { node: node_id(node), ready }], ..tenant }
}

fn sent_to(tenant: TenantView, node: &str) -> TenantView {
    TenantView { move_to: Some(node_id(node)), ..tenant }
}

fn states(plan: &Plan) -> Vec<String> {
    plan.moves.iter().map(|tenant_move| tenant_move.to_string()).collect()
}

#[test]
fn a_move_is_prepared_and_released_and_ends_on_the_node_that_prepared() {
    let mut world =
        World { snapshot: Snapshot::new(vec![draining("a"), open_node("b")], vec![active_on(1, "a")]) };
    let steps: Vec<String> = (0..4).map(|_| world.step().to_string()).collect();
    let expected = [
        "prepare t0001 on b: it leaves a, for the node is being drained; the first in its order of those with too few",
        "release t0001 from a: the node is being drained",
        "remove t0001 from a: it has let go",
        "place t0001 on b: a has let go of it; it has prepared for it",
    ];
    assert_eq!(steps, expected);
    assert!(plan(&world.snapshot) == Plan::default());
}

#[test]
fn nothing_is_released_until_the_next_node_is_ready() {
    let tenant = prepared_on(active_on(1, "a"), "b", false);
    let plan = plan(&Snapshot::new(vec![draining("a"), open_node("b")], vec![tenant]));
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(states(&plan), ["move t0001 from a to b: the node is being drained; it is being prepared"]);
}

#[test]
fn a_move_that_is_withdrawn_before_the_release_is_forgotten() {
    let tenant = prepared_on(active_on(1, "a"), "b", true);
    let plan = plan(&Snapshot::new(vec![open_node("a"), open_node("b")], vec![tenant]));
    assert_eq!(plan.to_string(), "forget t0001 on b: it does not move there");
    assert!(plan.moves.is_empty());
}

#[test]
fn a_preparation_on_a_node_that_closes_is_given_up_for_another_one() {
    for closed in [Intake::Cordoned, Intake::Draining, Intake::Leaving] {
        let tenant = prepared_on(active_on(1, "a"), "b", true);
        let nodes = vec![draining("a"), NodeView { intake: closed, ..open_node("b") }, open_node("c")];
        let expected = "\
forget t0001 on b: it does not move there
prepare t0001 on c: it leaves a, for the node is being drained; the first in its order of those with too few";
        assert_eq!(plan(&Snapshot::new(nodes, vec![tenant])).to_string(), expected);
    }
}

#[test]
fn a_tenant_that_loses_its_node_goes_where_it_is_prepared() {
    let tenant = prepared_on(lost_with(1, "a"), "b", false);
    let nodes: Vec<_> = ["b", "c", "d", "e"].map(open_node).into();
    let expected = "place t0001 on b: its node a is gone; it has prepared for it";
    assert_eq!(plan(&Snapshot::new(nodes, vec![tenant])).to_string(), expected);
}

#[test]
fn of_several_preparations_one_is_kept_and_a_ready_one_before_others() {
    let mut tenant = prepared_on(active_on(1, "a"), "b", false);
    tenant.preparations.push(Preparation { node: node_id("c"), ready: true });
    let nodes = vec![draining("a"), open_node("b"), open_node("c")];
    let expected = "\
release t0001 from a: the node is being drained
forget t0001 on b: it does not move there";
    assert_eq!(plan(&Snapshot::new(nodes, vec![tenant])).to_string(), expected);
}

#[test]
fn a_stopped_tenant_is_released_and_its_preparation_forgotten() {
    let tenant = TenantView { wanted: Wanted::Stopped, ..prepared_on(active_on(1, "a"), "b", true) };
    let expected = "release t0001 from a: it is to be stopped\nforget t0001 on b: it does not move there";
    assert_eq!(plan(&Snapshot::new(vec![draining("a"), open_node("b")], vec![tenant])).to_string(), expected);
}

#[test]
fn a_leaving_node_waits_for_no_preparation_and_its_tenants_use_those_that_there_are() {
    let tenants = vec![prepared_on(active_on(1, "a"), "b", false), active_on(2, "a")];
    let nodes = vec![NodeView { intake: Intake::Leaving, ..open_node("a") }, open_node("b"), open_node("c")];
    let mut world = World { snapshot: Snapshot::new(nodes, tenants) };
    world.snapshot.limits = MoveLimits { per_cluster: 0, per_node: 0, unavailable: 0 };
    let expected = "release t0001 from a: the node is leaving\nrelease t0002 from a: the node is leaving";
    assert_eq!(world.step().to_string(), expected);
    world.settle(Goal::Settle);
    assert_eq!(world.places()[&tenant_id(1)], node_id("b"));
}

#[test]
fn from_an_overdue_drain_those_go_at_once_that_have_a_place_and_the_others_stay() {
    let tenants = vec![prepared_on(active_on(1, "a"), "b", false), active_on(2, "a"), active_on(3, "a")];
    let b = NodeView { capacity: 2, ..open_node("b") };
    let nodes = vec![NodeView { intake: Intake::Overdue, ..open_node("a") }, b];
    let mut world = World { snapshot: Snapshot::new(nodes, tenants) };
    world.snapshot.limits = MoveLimits { per_cluster: 0, per_node: 0, unavailable: 0 };
    let first = world.step();
    let expected = "release t0001 from a: the node is being drained\n\
                    prepare t0002 on b: it leaves a, for the node is being drained; the first in its order after 1 without room for it";
    assert_eq!(first.to_string(), expected);
    world.settle(Goal::Settle);
    assert_eq!(world.loads(), BTreeMap::from([(node_id("a"), 1), (node_id("b"), 2)]));
    let stays = "move t0003 from a: the node is being drained; it stays, for every node is full";
    assert_eq!(states(&plan(&world.snapshot)), [stays]);
}

#[test]
fn a_rebalance_that_goes_slowly_does_not_hold_up_a_drain_beside_it() {
    let mut world = World::new(4, 40);
    world.settle(Goal::Settle);
    world.snapshot.nodes.push(open_node("n4"));
    world.snapshot.rebalance_limits = MoveLimits { per_cluster: 1, per_node: 1, unavailable: 1 };
    world.snapshot.goal = Goal::Rebalance;
    // The only one that the rebalance may move is on its way.
    world.step();
    world.node("n0").intake = Intake::Draining;
    let began = world.step();
    let drained = |decision: &&Decision| {
        matches!(
            &decision.action,
            Action::Prepare { reason: ReleaseReason::NodeDraining, .. }
                | Action::Release { reason: ReleaseReason::NodeDraining, .. }
        )
    };
    assert_eq!(began.decisions.iter().filter(drained).count(), 4, "{began}");
}

#[test]
fn a_pin_elsewhere_moves_the_tenant_and_keeps_it_running_while_it_cannot() {
    let tenant = TenantView { pin: Some(node_id("b")), ..active_on(1, "a") };
    let mut world = World { snapshot: Snapshot::new(vec![open_node("a"), open_node("b")], vec![tenant]) };
    world.node("b").intake = Intake::Cordoned;
    let stuck = plan(&world.snapshot);
    assert!(stuck.is_empty());
    let expected =
        "move t0001 from a: it is pinned to b; it stays, for it is pinned to b, which takes no tenants";
    assert_eq!(states(&stuck), [expected]);
    world.node("b").intake = Intake::Open;
    world.settle(Goal::Settle);
    assert_eq!(world.places()[&tenant_id(1)], node_id("b"));
}

#[test]
fn an_ordered_move_may_go_above_the_band_but_not_above_the_capacity() {
    let mut world = World::new(2, 20);
    world.settle(Goal::Settle);
    let on_n0 = of_node(&world.places(), "n0");
    world.node("n1").capacity = 11;
    for tenant in &mut world.snapshot.tenants {
        tenant.move_to = on_n0.contains(&tenant.tenant).then(|| node_id("n1"));
    }
    let planned = plan(&world.snapshot);
    let stuck = MoveState::Stuck(WaitReason::MoveTargetFull { node: node_id("n1") });
    assert_eq!(planned.moves.iter().filter(|tenant_move| tenant_move.state == stuck).count(), 9);
    world.settle(Goal::Settle);
    assert_eq!(world.loads()[&node_id("n1")], 11);
}

#[test]
fn an_ordered_move_that_cannot_be_made_says_why() {
    let pinned = TenantView { pin: Some(node_id("a")), ..sent_to(active_on(1, "a"), "b") };
    let gone = sent_to(active_on(2, "a"), "gone");
    let closed = sent_to(active_on(3, "a"), "c");
    let arrived = sent_to(active_on(4, "b"), "b");
    let nodes = vec![open_node("a"), open_node("b"), NodeView { intake: Intake::Cordoned, ..open_node("c") }];
    let plan = plan(&Snapshot::new(nodes, vec![pinned, gone, closed, arrived]));
    assert!(plan.is_empty(), "{plan}");
    let expected = [
        "move t0001 from a: an operator moves it to b; it stays, for it is pinned to a",
        "move t0002 from a: an operator moves it to gone; it stays, for gone, where it is moved to, takes no tenants",
        "move t0003 from a: an operator moves it to c; it stays, for c, where it is moved to, takes no tenants",
    ];
    assert_eq!(states(&plan), expected);
}

#[test]
fn a_drain_with_nowhere_to_go_leaves_its_tenants_running_and_says_why() {
    let mut world = World::new(2, 8);
    world.settle(Goal::Settle);
    world.node("n0").intake = Intake::Draining;
    world.node("n1").capacity = 6;
    world.settle(Goal::Settle);
    assert_eq!(world.loads()[&node_id("n0")], 2);
    let stuck = moves(&world.snapshot);
    assert!(
        stuck.len() == 2
            && stuck
                .iter()
                .all(|tenant_move| tenant_move.state == MoveState::Stuck(WaitReason::EveryNodeFull))
    );
    world.node("n1").intake = Intake::Cordoned;
    let alone = moves(&world.snapshot);
    assert!(
        alone.iter().all(|tenant_move| tenant_move.state == MoveState::Stuck(WaitReason::NoOpenNode)),
        "{alone:?}"
    );
}

#[test]
fn a_dry_run_shows_every_move_and_where_to() {
    let mut world = World::new(4, 40);
    world.settle(Goal::Settle);
    world.node("n2").intake = Intake::Draining;
    world.snapshot.limits = UNLIMITED;
    let shown = moves(&world.snapshot);
    let before = world.places();
    world.settle(Goal::Settle);
    let done: BTreeMap<_, _> = world.places();
    assert_eq!(moved(&before, &done), shown.iter().map(|tenant_move| tenant_move.tenant.clone()).collect());
    for tenant_move in shown {
        assert_eq!(tenant_move.to.as_ref(), done.get(&tenant_move.tenant), "{tenant_move}");
    }
}

#[test]
fn those_that_an_operator_moves_come_before_those_that_are_drained() {
    let tenants = vec![active_on(1, "a"), active_on(2, "a"), sent_to(active_on(3, "c"), "b")];
    let mut snapshot = Snapshot::new(vec![draining("a"), open_node("b"), open_node("c")], tenants);
    snapshot.limits.per_cluster = 1;
    let plan = plan(&snapshot);
    let expected =
        "prepare t0003 on b: it leaves c, for an operator moves it to b; an operator moves it there";
    assert_eq!(plan.to_string(), expected);
    let waiting = plan.moves.iter().filter(|tenant_move| tenant_move.state == MoveState::Waiting);
    assert_eq!(waiting.count(), 2);
}

fn any_limits() -> impl Strategy<Value = MoveLimits> {
    (1_u32..20, 1_u32..6, 1_u32..20).prop_map(|(per_cluster, per_node, unavailable)| MoveLimits {
        per_cluster,
        per_node,
        unavailable,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// That the limits are kept in every plan on the way is among the rules that `plan` asserts.
    #[test]
    fn a_drain_empties_its_node_at_any_limits_and_moves_no_other(nodes in 2_usize..6, tenants in 0_usize..60, limits in any_limits()) {
        let mut world = World::new(nodes, tenants);
        world.settle(Goal::Settle);
        let before = world.places();
        world.snapshot.limits = limits;
        world.node("n0").intake = Intake::Draining;
        world.settle(Goal::Settle);
        prop_assert_eq!(moved(&before, &world.places()), of_node(&before, "n0"));
        prop_assert_eq!(world.places().len(), tenants);
        prop_assert_eq!(plan(&world.snapshot), Plan::default());
    }
}

#[test]
fn a_node_short_of_memory_sheds_the_one_tenant_that_it_names_and_nobody_who_is_ordered_to_be_there() {
    let short = NodeView { intake: Intake::Impaired, ..open_node("a") };
    let tenants = vec![active_on(1, "a"), active_on(2, "a"), active_on(3, "b")];
    let mut world = World { snapshot: Snapshot::new(vec![short, open_node("b")], tenants) };
    world.snapshot.sheds = BTreeMap::from([(node_id("a"), tenant_id(2))]);
    let moved: Vec<_> = moves(&world.snapshot).into_iter().map(|of| (of.tenant, of.to, of.reason)).collect();
    assert_eq!(moved, [(tenant_id(2), Some(node_id("b")), ReleaseReason::NodeImpaired)]);
    let mut pinned = world.clone();
    pinned.snapshot.tenants[1].pin = Some(node_id("a"));
    assert!(moves(&pinned.snapshot).is_empty());
    world.settle(Goal::Settle);
    assert_eq!(world.loads(), BTreeMap::from([(node_id("a"), 1), (node_id("b"), 2)]));
}

/// To be moved away from where it is.
fn moved_away(number: usize, from: &str) -> TenantView {
    TenantView { leaves: Some(node_id(from)), ..active_on(number, from) }
}

#[test]
fn a_tenant_that_is_moved_away_goes_wherever_its_place_is_but_not_back() {
    let mut world = World::new(2, 6);
    world.settle(Goal::Settle);
    let before = world.places();
    for tenant in &mut world.snapshot.tenants {
        tenant.leaves = before.get(&tenant.tenant).filter(|node| **node == node_id("n0")).cloned();
    }
    world.settle(Goal::Settle);
    let after = world.places();
    assert!(after.values().all(|node| *node == node_id("n1")), "{after:?}");
    // It has arrived: that says nothing more, whatever is asked for afterwards.
    assert!(plan(&world.snapshot).is_empty());
}

#[test]
fn a_tenant_that_is_moved_away_and_has_nowhere_to_go_stays_and_says_why() {
    let pinned = TenantView { pin: Some(node_id("a")), ..moved_away(1, "a") };
    let free = moved_away(2, "a");
    let full = NodeView { capacity: 0, ..open_node("b") };
    let closed = NodeView { intake: Intake::Cordoned, ..open_node("b") };
    let told = |nodes: Vec<NodeView>| {
        let plan = plan(&Snapshot::new(nodes, vec![pinned.clone(), free.clone()]));
        assert!(plan.is_empty(), "{plan}");
        states(&plan)
    };
    let stays = "move t0001 from a: an operator moves it away; it stays, for it is pinned to a";
    let of_free = |why: &str| format!("move t0002 from a: an operator moves it away; it stays, for {why}");
    assert_eq!(told(vec![open_node("a"), full]), [stays, of_free("every node is full").as_str()]);
    assert_eq!(told(vec![open_node("a"), closed]), [stays, of_free("no node takes tenants").as_str()]);
}

#[test]
fn a_tenant_that_was_moved_away_goes_back_rather_than_nowhere() {
    let let_go = TenantView { holds: Vec::new(), ..moved_away(1, "a") };
    let plan = plan(&Snapshot::new(vec![open_node("a")], vec![let_go]));
    assert_eq!(plan.placements().collect::<Vec<_>>(), [(&tenant_id(1), &node_id("a"))]);
}

#[test]
fn a_tenant_that_is_moved_away_to_a_last_resort_stays_there() {
    let nodes = vec![open_node("a"), NodeView { intake: Intake::Suspect, ..open_node("b") }];
    let released = TenantView { holds: Vec::new(), ..prepared_on(moved_away(1, "a"), "b", true) };
    let plan = plan(&Snapshot::new(nodes, vec![released]));
    assert_eq!(plan.placements().collect::<Vec<_>>(), [(&tenant_id(1), &node_id("b"))]);
}

/// What is found for it must not depend on what happens to be prepared: neither where it leaves nor where nothing is taken.
#[test]
fn a_tenant_that_is_moved_away_and_nowhere_takes_a_last_resort_rather_than_go_back() {
    let nodes = [
        open_node("a"),
        NodeView { intake: Intake::Suspect, ..open_node("b") },
        NodeView { intake: Intake::Cordoned, ..open_node("c") },
    ];
    let let_go = TenantView { holds: Vec::new(), ..moved_away(1, "a") };
    for prepared in [None, Some("a"), Some("b"), Some("c")] {
        let tenant = prepared.map_or(let_go.clone(), |node| prepared_on(let_go.clone(), node, true));
        let plan = plan(&Snapshot::new(nodes.to_vec(), vec![tenant]));
        let placed: Vec<_> = plan.placements().collect();
        assert_eq!(placed, [(&tenant_id(1), &node_id("b"))], "prepared on {prepared:?}: {plan}");
    }
}
