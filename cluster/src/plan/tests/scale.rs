//! The figures that a plan of the largest cluster has to keep, in builds that are made for speed. In time of this
//! thread on a processor: what else the machine does is not the plan's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::*;
use crate::records::NodeMemory;

const NODES: usize = 1_000;
const TENANTS: usize = 100_000;
const LIMIT: Duration = Duration::from_secs(1);

fn timed(what: &str, snapshot: &Snapshot) -> Plan {
    let began = thread_time();
    let plan = plan(snapshot);
    let took = thread_time() - began;
    println!(
        "{what}: {} ms, {} decisions, {} moves",
        took.as_millis(),
        plan.decisions.len(),
        plan.moves.len()
    );
    assert!(took <= LIMIT, "{what} took {took:?}");
    plan
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn large() -> World {
    let nodes =
        (0..NODES).map(|number| NodeView { capacity: 200, ..open_node(&format!("node-{number:04}")) });
    World { snapshot: Snapshot::new(nodes.collect(), (0..TENANTS).map(running).collect()) }
}

#[test]
fn a_plan_of_the_largest_cluster_is_made_in_time() {
    let mut world = large();
    let placed = timed("all to be placed", &world.snapshot);
    assert_eq!(placed.placements().count(), TENANTS);
    world.carry_out(&placed);
    assert!(timed("nothing to do", &world.snapshot).is_empty());

    let mut one_lost = world.clone();
    one_lost.lose("node-0500");
    let plan = timed("one node lost", &one_lost.snapshot);
    assert!((90..=110).contains(&plan.placements().count()));

    let mut many_lost = world.clone();
    for number in 0..250 {
        many_lost.lose(&format!("node-{number:04}"));
    }
    let plan = timed("250 nodes lost", &many_lost.snapshot);
    assert!(plan.placements().count() > 22_000);
    many_lost.carry_out(&plan);

    let back = (0..250).map(|number| NodeView { capacity: 200, ..open_node(&format!("node-{number:04}")) });
    many_lost.snapshot.nodes.extend(back);
    many_lost.snapshot.goal = Goal::Rebalance;
    assert!(timed("rebalance over 250 nodes more, paced", &many_lost.snapshot).moves.len() > 22_000);

    let mut one_more = world.clone();
    one_more.snapshot.nodes.push(open_node("node-new"));
    one_more.snapshot.goal = Goal::Rebalance;
    one_more.snapshot.rebalance_limits = UNLIMITED;
    let moves = timed("rebalance over one node more", &one_more.snapshot).moves.len();
    let ideal = TENANTS as f64 / (NODES + 1) as f64;
    assert!((moves as f64 - ideal).abs() <= ideal * 0.03, "{moves} moves, {ideal} are ideal");

    world.node("node-0500").intake = Intake::Draining;
    assert!((90..=110).contains(&timed("drain", &world.snapshot).moves.len()));
}

#[test]
fn a_cluster_with_room_nowhere_or_on_few_nodes_is_planned_in_time() {
    let mut world = large();
    for view in &mut world.snapshot.nodes {
        view.capacity = 0;
    }
    timed("all wait", &world.snapshot);
    for view in world.snapshot.nodes.iter_mut().take(10) {
        view.capacity = 10_000;
    }
    let plan = timed("all to ten nodes", &world.snapshot);
    assert_eq!(plan.placements().count(), TENANTS);
}

#[test]
fn a_cluster_whose_tenants_request_memory_that_half_of_them_find_is_planned_in_time() {
    let mut world = large();
    for view in &mut world.snapshot.nodes {
        view.memory = Some(NodeMemory { allocatable_bytes: 50 * 200, p95_bytes: Some(100) });
    }
    let plan = timed("all of those that request nothing", &world.snapshot);
    assert_eq!(plan.placements().count(), TENANTS);
    for (at, tenant) in world.snapshot.tenants.iter_mut().enumerate() {
        tenant.memory_request_bytes = Some(150 + at as u64 % 100);
    }
    let placed = timed("half of those that request memory", &world.snapshot);
    assert!((45_000..65_000).contains(&placed.placements().count()), "{}", placed.placements().count());
    world.carry_out(&placed);
    timed("the others wait", &world.snapshot);
}
