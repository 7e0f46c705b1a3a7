//! A controller that dies anywhere in an operation is followed by one that ends it. The judge sees two browsers of a
//! tenant if there ever are.

use std::collections::BTreeMap;

use roost_model::ids::NodeId;

use super::{
    cutter::{Cut, Cutter},
    node::TestNode,
    rig::{Rig, node_id, tenant},
};
use crate::{
    ledger::{End, EventKind, Outcome, Progress},
    timing::Timing,
};

const NODES: [&str; 3] = ["a", "b", "c"];
const TENANTS: usize = 6;

/// All is placed, by a controller that dies at the cut.
async fn rig_with(
    cut: Cut,
) -> (Rig, std::sync::Arc<Cutter>, super::rig::Running, BTreeMap<NodeId, TestNode>) {
    let rig = Rig::new();
    let nodes = NODES.map(|name| (node_id(name), rig.node(name)));
    rig.until(async || rig.live_nodes().await == NODES.len()).await;
    (0..TENANTS).for_each(|number| rig.ledger.add(&tenant(number), true));
    let cutter = Cutter::new(rig.registry.clone(), rig.ledger.clone(), cut);
    let first = rig.controller_over(cutter.clone(), cutter.clone(), "first");
    rig.until(async || rig.judge.browsers() == TENANTS).await;
    (rig, cutter, first, nodes.into())
}

/// Whether the first controller died before the drain was over.
async fn drain_with_a_death_at(cut: Cut) -> bool {
    let (rig, cutter, first, _nodes) = rig_with(cut).await;
    let on_a = u32::try_from(rig.loads().await[&node_id("a")]).unwrap();
    cutter.arm();
    let drain = rig.ledger.start_drain(&node_id("a"));
    let ended = async || rig.ledger.operation_end(drain).is_some();
    let died = tokio::select! {
        () = cutter.died() => true,
        () = rig.until(ended) => false,
    };
    first.kill();
    let _second = rig.controller("second");
    // Until the leader's key has ended there is nothing to look for.
    tokio::time::sleep(Timing::default().ttl).await;
    rig.until(async || rig.ledger.operation_end(drain).is_some()).await;
    assert_eq!(rig.ledger.operation_end(drain), Some(End::Outcome(Outcome::Done)), "{cut:?}");
    rig.until(async || rig.judge.browsers() == TENANTS).await;
    assert!(rig.published().await.values().all(|(node, _)| *node != node_id("a")), "{cut:?}");
    assert_eq!(rig.preparing().await, [], "{cut:?}");
    let Progress { total, done } = rig.ledger.operation_progress(drain).unwrap();
    assert_eq!((total, done), (on_a, on_a), "{cut:?}");
    assert_eq!(rig.ledger.events_of(EventKind::OperationEnded).len(), 1, "{cut:?}");
    died
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_ended_by_the_next_controller_wherever_the_first_one_died() {
    let mut write = 0;
    loop {
        let mut died = false;
        for happens in [false, true] {
            died |= drain_with_a_death_at(Cut { write, happens }).await;
        }
        if !died {
            break;
        }
        write += 1;
    }
    assert!(
        write >= 8,
        "a drain takes more writes than {write}: prepare, release, remove, place, publish, notes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failover_is_ended_by_the_next_controller_wherever_the_first_one_died() {
    for write in 0..4 {
        for happens in [false, true] {
            let cut = Cut { write, happens };
            let (rig, cutter, first, nodes) = rig_with(cut).await;
            cutter.arm();
            nodes[&node_id("b")].crash().await;
            let over = async || rig.ledger.events_of(EventKind::NodeLost).len() == 1;
            tokio::select! {
                () = cutter.died() => {}
                () = rig.until(over) => {}
            }
            first.kill();
            let _second = rig.controller("second");
            tokio::time::sleep(Timing::default().ttl).await;
            rig.until(async || rig.judge.browsers() == TENANTS).await;
        }
    }
}
