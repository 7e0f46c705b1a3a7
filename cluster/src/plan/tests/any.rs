//! Snapshots of every kind, also such as no controller would see.

use super::*;
use crate::records::NodeMemory;

const NODES: usize = 5;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// `plan` asserts its rules in debug builds; here they are asserted in every build.
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
        for tenant in &mut reversed.tenants {
            tenant.preparations.reverse();
            tenant.holds.reverse();
        }
        prop_assert_eq!(plan(&snapshot), plan(&reversed));
    }

    /// Whatever the snapshot, plans that are carried out come to an end, and leave nothing prepared but what they may not touch.
    #[test]
    fn every_cluster_comes_to_rest(snapshot in any_snapshot()) {
        let goal = snapshot.goal;
        let mut world = World { snapshot };
        for tenant in &mut world.snapshot.tenants {
            for hold in &mut tenant.holds {
                hold.let_go = hold.phase == Phase::Releasing;
            }
            for preparation in &mut tenant.preparations {
                preparation.ready = true;
            }
        }
        world.settle(goal);
        let snapshot = &world.snapshot;
        let mut known = snapshot.tenants.iter().filter(|tenant| snapshot.keeper(tenant).is_none());
        prop_assert!(known.all(|tenant| tenant.preparations.is_empty()));
        for tenant_move in moves(&world.snapshot) {
            prop_assert!(matches!(tenant_move.state, MoveState::Stuck(_)), "{}", tenant_move);
        }
    }

    #[test]
    fn any_tenant_can_be_explained(snapshot in any_snapshot()) {
        if let Some(tenant) = snapshot.tenants.first() {
            let explained = explain(&snapshot, &tenant.tenant).unwrap();
            prop_assert_eq!(explained.candidates.len(), snapshot.nodes.len());
        }
    }
}

pub(super) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let nodes = proptest::collection::vec(proptest::option::weighted(0.8, any_node()), NODES);
    let tenants = proptest::collection::vec(any_tenant(), 0..40);
    let goal = prop_oneof![Just(Goal::Settle), Just(Goal::Rebalance)];
    let holding = (
        proptest::option::of(some_node()),
        proptest::bool::weighted(0.2),
        proptest::option::weighted(0.3, 0_u32..6),
        proptest::bool::weighted(0.3),
    );
    let unreadable = proptest::option::weighted(0.2, some_node());
    let sheds = proptest::collection::btree_map(some_node(), (0_usize..40).prop_map(tenant_id), 0..3);
    let limits = (1_u32..20, 1_u32..6, 1_u32..10);
    (nodes, tenants, goal, holding, limits, (unreadable, sheds)).prop_map(
        |(nodes, tenants, goal, holding, limits, (unreadable, sheds))| {
            let (awaited, failover_paused, failover_ramp, zone_fails) = holding;
            let (per_cluster, per_node, unavailable) = limits;
            let named = nodes.into_iter().enumerate();
            let nodes: Vec<NodeView> = named
                .filter_map(|(at, node)| {
                    node.map(|node| NodeView { node: node_id(&format!("n{at}")), ..node })
                })
                .collect();
            let tenants =
                tenants.into_iter().enumerate().map(|(at, tenant)| fit_to(tenant, at, &nodes)).collect();
            let mut nodes = nodes;
            let mut damaged = BTreeMap::new();
            for view in nodes.iter_mut().filter(|view| Some(&view.node) == unreadable.as_ref()) {
                view.intake = Intake::Cordoned;
                damaged.insert(view.node.clone(), "damaged".to_owned());
            }
            Snapshot {
                goal,
                awaited: awaited.into_iter().collect(),
                failover_paused,
                failover_ramp,
                failing_zones: zone_fails.then(|| "z0".to_owned()).into_iter().collect(),
                limits: MoveLimits { per_cluster, per_node, unavailable },
                rebalance_limits: MoveLimits { per_cluster: per_node, per_node, unavailable: per_cluster },
                unreadable: damaged,
                sheds,
                ..Snapshot::new(nodes, tenants)
            }
        },
    )
}

/// Entries of nodes that are gone are in no snapshot, and a node has one entry of a tenant.
fn fit_to(mut tenant: TenantView, number: usize, nodes: &[NodeView]) -> TenantView {
    let live: BTreeSet<&NodeId> = nodes.iter().map(|node| &node.node).collect();
    tenant.tenant = tenant_id(number);
    tenant.holds.retain(|hold| live.contains(&hold.node));
    tenant.holds.dedup_by(|a, b| a.node == b.node);
    let taken: BTreeSet<NodeId> = tenant.holds.iter().map(|hold| hold.node.clone()).collect();
    tenant
        .preparations
        .retain(|preparation| live.contains(&preparation.node) && !taken.contains(&preparation.node));
    tenant.preparations.dedup_by(|a, b| a.node == b.node);
    tenant
}

fn any_node() -> impl Strategy<Value = NodeView> {
    let weight = prop_oneof![Just(0), Just(50), Just(100), Just(300)];
    let intake = prop_oneof![
        4 => Just(Intake::Open),
        1 => Just(Intake::Suspect),
        1 => Just(Intake::Impaired),
        1 => Just(Intake::Cordoned),
        1 => Just(Intake::Draining),
        1 => Just(Intake::Shedding),
        1 => Just(Intake::Overdue),
        1 => Just(Intake::Leaving),
    ];
    let memory = (0_u64..20, 1_u64..4).prop_map(|(allocatable_bytes, p95_bytes)| NodeMemory {
        allocatable_bytes,
        p95_bytes: Some(p95_bytes),
    });
    let memory = proptest::option::of(memory);
    let facts = (0_u32..15, weight, 0..2, intake, memory);
    facts.prop_map(|(capacity, weight, zone, intake, memory)| NodeView {
        node: node_id("unnamed"),
        capacity,
        weight,
        zone: format!("z{zone}"),
        intake,
        memory,
    })
}

fn some_node() -> impl Strategy<Value = NodeId> {
    (0..NODES).prop_map(|at| node_id(&format!("n{at}")))
}

fn any_tenant() -> impl Strategy<Value = TenantView> {
    let wanted =
        prop_oneof![6 => Just(Wanted::Running), 1 => Just(Wanted::Stopped), 1 => Just(Wanted::Deleted)];
    let orders = (
        proptest::option::of(some_node()),
        proptest::option::weighted(0.1, some_node()),
        proptest::option::weighted(0.1, some_node()),
        proptest::option::weighted(0.2, some_node()),
        proptest::option::weighted(0.3, 1_u64..6),
    );
    let holds = prop_oneof![
        6 => proptest::collection::vec(any_hold(), 0..=1),
        1 => proptest::collection::vec(any_hold(), 2),
    ];
    let preparations = prop_oneof![
        4 => Just(Vec::new()),
        2 => proptest::collection::vec(any_preparation(), 1),
        1 => proptest::collection::vec(any_preparation(), 2),
    ];
    let unprepared = prop_oneof![4 => Just(Vec::new()), 1 => proptest::collection::vec(some_node(), 1)];
    (wanted, 1_i64..3, orders, holds, preparations, unprepared).prop_map(
        |(wanted, generation, orders, mut holds, mut preparations, unprepared)| {
            holds.sort_by(|a, b| a.node.cmp(&b.node));
            preparations.sort_by(|a, b| a.node.cmp(&b.node));
            let generation = Generation(generation);
            let (last, pin, move_to, leaves, memory_request_bytes) = orders;
            TenantView {
                tenant: tenant_id(0),
                wanted,
                generation,
                last,
                pin,
                move_to,
                leaves,
                memory_request_bytes,
                preparations,
                unprepared,
                holds,
            }
        },
    )
}

fn any_hold() -> impl Strategy<Value = Hold> {
    let phase = prop_oneof![3 => Just(Phase::Active), 1 => Just(Phase::Releasing)];
    (0..NODES, 1_i64..3, phase, any::<bool>()).prop_map(|(at, generation, phase, let_go)| Hold {
        node: node_id(&format!("n{at}")),
        generation: Generation(generation),
        phase,
        let_go,
    })
}

fn any_preparation() -> impl Strategy<Value = Preparation> {
    (some_node(), any::<bool>()).prop_map(|(node, ready)| Preparation { node, ready })
}
