//! Tenants keep away from a zone that is losing nodes.

use super::*;

fn in_zone(name: &str, zone: &str) -> NodeView {
    NodeView { zone: zone.to_owned(), ..open_node(name) }
}

fn failing(zone: &str, nodes: Vec<NodeView>, tenants: Vec<TenantView>) -> Snapshot {
    Snapshot { failing_zones: BTreeSet::from([zone.to_owned()]), ..Snapshot::new(nodes, tenants) }
}

fn spread(world: &World) -> BTreeMap<&str, usize> {
    let mut spread = BTreeMap::new();
    let loads = world.loads();
    for view in &world.snapshot.nodes {
        *spread.entry(view.zone.as_str()).or_default() += loads[&view.node];
    }
    spread
}

#[test]
fn tenants_that_lost_their_node_go_to_other_zones_even_above_the_band() {
    let nodes = vec![in_zone("a1", "a"), in_zone("a2", "a"), in_zone("b1", "b")];
    let tenants: Vec<_> = (0..30).map(|number| lost_with(number, "a3")).collect();
    let mut world = World { snapshot: failing("a", nodes, tenants) };
    world.settle(Goal::Settle);
    assert_eq!(world.loads()[&node_id("b1")], 30);
}

#[test]
fn a_failing_zone_takes_what_no_other_has_room_for_before_a_suspect_node_does() {
    let full = NodeView { capacity: 10, ..in_zone("b1", "b") };
    let suspect = NodeView { intake: Intake::Suspect, ..in_zone("b2", "b") };
    let nodes = vec![in_zone("a1", "a"), full, suspect];
    let tenants: Vec<_> = (0..30).map(|number| lost_with(number, "a3")).collect();
    let mut world = World { snapshot: failing("a", nodes, tenants) };
    world.settle(Goal::Settle);
    let loads: Vec<usize> = world.loads().into_values().collect();
    assert_eq!(loads, [20, 10, 0]);
}

#[test]
fn tenants_that_lost_nothing_are_spread_over_failing_zones_too() {
    let nodes = vec![in_zone("a1", "a"), in_zone("b1", "b")];
    let mut world = World { snapshot: failing("a", nodes, (0..30).map(running).collect()) };
    world.settle(Goal::Settle);
    assert!(world.loads().into_values().all(|load| load >= 13), "{:?}", world.loads());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A zone's share is that of its nodes' weights, however many nodes that is.
    #[test]
    fn the_spread_over_zones_is_within_the_band(
        zones in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(100_u32), Just(200)], 1..4), 2..4),
        tenants in 100_usize..300,
    ) {
        let nodes = zones.iter().enumerate().flat_map(|(zone, weights)| {
            weights.iter().enumerate().map(move |(node, &weight)| NodeView {
                weight,
                ..in_zone(&format!("n{zone}{node}"), &format!("z{zone}"))
            })
        });
        let mut world = World { snapshot: Snapshot::new(nodes.collect(), (0..tenants).map(running).collect()) };
        world.settle(Goal::Settle);
        let weight: u32 = zones.iter().flatten().sum();
        for ((zone, load), weights) in spread(&world).into_iter().zip(&zones) {
            let share = tenants as f64 * f64::from(weights.iter().sum::<u32>()) / f64::from(weight);
            // A node's band is rounded to whole tenants, a zone's by as many as it has nodes.
            let rounding = weights.len() as f64;
            prop_assert!((load as f64) >= share * 0.9 - rounding, "{} has {} of {}", zone, load, share);
            prop_assert!((load as f64) <= share * 1.1 + rounding, "{} has {} of {}", zone, load, share);
        }
    }
}
