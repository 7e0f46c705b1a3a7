//! Operations: started, refused, cancelled, listed.

use std::{collections::BTreeSet, time::Duration};

use roost_cluster::ledger::{Ledger, Operation, OperationKind, Progress};
use roost_model::ids::OperationId;
use roost_store::{
    Cancellation, NewDrain, NewMove, NewRebalance, OperationFilter, OperationOrder, OperationRecord,
    OperationState, StoreError,
};

use crate::store::support::{Db, by, new_tenant, node, tenant};

const REBALANCE: NewRebalance = NewRebalance { max_concurrent: 3, max_unavailable_percent: 20 };

pub fn drain(of: &str) -> NewDrain {
    NewDrain { node: node(of), deadline: None, force: false }
}

fn to_move(id: &str, to: &str) -> NewMove {
    NewMove { tenant: tenant(id), to: node(to) }
}

#[track_caller]
fn assert_conflict(outcome: Result<OperationRecord, StoreError>, with: OperationId, words: &str) {
    match outcome {
        Err(StoreError::Conflict { operation, what }) => {
            assert_eq!((operation, what), (with, format!("{words} (operation {with})")));
        }
        other => panic!("not refused: {other:?}"),
    }
}

impl Db {
    /// Nodes that are cordoned.
    pub async fn cordoned(&self) -> Vec<String> {
        let orders = self.store.node_orders().await.unwrap();
        orders.into_iter().filter(|order| order.cordoned).map(|order| order.node.to_string()).collect()
    }
}

#[tokio::test]
async fn a_started_operation_is_in_the_orders_until_it_is_cancelled() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let drained = db.store.start_drain(&drain("a"), &by("asha", "bad disk")).await.unwrap();
    let balanced = db.store.start_rebalance(&REBALANCE, &by("", "")).await.unwrap();
    let moved = db.store.start_move(&to_move("duka", "b"), &by("asha", "")).await.unwrap();
    assert_eq!(drained.order, OperationOrder::Drain { node: node("a"), deadline: None, force: false });
    assert_eq!((drained.requested_by.as_str(), drained.reason.as_str()), ("asha", "bad disk"));
    assert_eq!((drained.state, drained.ended_at), (OperationState::Running, None));

    let running = |id, kind| Operation { id, kind, progress: Progress::default(), waits_for: String::new() };
    let expected = [
        running(drained.id, OperationKind::Drain { node: node("a"), urgent: false }),
        running(balanced.id, OperationKind::Rebalance { max_concurrent: 3, max_unavailable_percent: 20 }),
        running(moved.id, OperationKind::Move { tenant: tenant("duka"), to: node("b") }),
    ];
    let orders = db.ledger.orders().await.unwrap();
    assert_eq!(orders.operations, expected);
    assert_eq!(orders.nodes.len(), 1);
    assert!(orders.nodes[0].cordoned, "a drained node takes nothing");

    let Cancellation::Cancelled(cancelled) =
        db.store.cancel_operation(balanced.id, &by("juma", "peak")).await.unwrap()
    else {
        panic!("it was running");
    };
    assert_eq!(
        (cancelled.state, cancelled.message.as_str()),
        (OperationState::Cancelled, "cancelled by juma")
    );
    assert!(cancelled.ended_at.is_some());
    assert_eq!(db.ledger.orders().await.unwrap().operations, [expected[0].clone(), expected[2].clone()]);
    let again = db.store.cancel_operation(balanced.id, &by("juma", "")).await.unwrap();
    assert_eq!(again, Cancellation::AlreadyOver { state: OperationState::Cancelled });
    let unknown = db.store.cancel_operation(OperationId(4711), &by("juma", "")).await.unwrap();
    assert_eq!(unknown, Cancellation::NotFound);
    assert!(db.store.get_operation(balanced.id).await.is_ok(), "the history stays");
}

#[tokio::test]
async fn two_at_once_are_refused() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        db.store.create_tenant(new_tenant(id)).await.unwrap();
    }
    let nobody = by("", "");
    let first = db.store.start_drain(&drain("a"), &nobody).await.unwrap().id;
    assert_conflict(db.store.start_drain(&drain("a"), &nobody).await, first, "node a is being drained");
    db.store.start_drain(&drain("b"), &nobody).await.unwrap();
    let first = db.store.start_rebalance(&REBALANCE, &nobody).await.unwrap().id;
    assert_conflict(db.store.start_rebalance(&REBALANCE, &nobody).await, first, "a rebalance is running");
    let first = db.store.start_move(&to_move("duka", "a"), &nobody).await.unwrap().id;
    let second = db.store.start_move(&to_move("duka", "b"), &nobody).await;
    assert_conflict(second, first, "tenant duka is being moved");
    db.store.start_move(&to_move("soko", "a"), &nobody).await.unwrap();
    let stranger = db.store.start_move(&to_move("nobody", "a"), &nobody).await;
    assert!(matches!(stranger, Err(StoreError::NotFound { kind: "tenant", .. })), "{stranger:?}");
    assert_eq!(db.number("select count(*) from operations").await, 5, "the refused left nothing");
    assert_eq!(db.number("select count(*) from cluster_events").await, 5, "nor an event");
    assert_eq!(db.number("select orders_revision from cluster_policy").await, 5, "nor woke anyone");

    // What is over is in nobody's way.
    db.store.cancel_operation(first, &nobody).await.unwrap();
    db.store.start_move(&to_move("duka", "b"), &nobody).await.unwrap();
}

#[tokio::test]
async fn of_those_who_start_a_drain_at_the_same_time_one_wins_and_the_others_learn_which() {
    let db = Db::new().await;
    for round in 0..10 {
        let name = format!("n{round}");
        let starts = (0..6).map(|_| {
            let (store, order) = (db.store.clone(), drain(&name));
            tokio::spawn(async move { store.start_drain(&order, &by("asha", "")).await })
        });
        let (mut winners, mut met) = (Vec::new(), BTreeSet::new());
        for start in starts.collect::<Vec<_>>() {
            match start.await.unwrap() {
                Ok(record) => winners.push(record.id),
                Err(StoreError::Conflict { operation, .. }) => drop(met.insert(operation)),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(met.into_iter().collect::<Vec<_>>(), winners);
    }
    assert_eq!(db.number("select count(*) from operations").await, 10);
    assert_eq!(db.number("select count(*) from cluster_events").await, 10);
}

#[tokio::test]
async fn a_cancelled_drain_leaves_the_node_as_cordoned_as_it_was() {
    let db = Db::new().await;
    let nobody = by("", "");
    let start =
        |of: &'static str| async { db.store.start_drain(&drain(of), &by("juma", "drain")).await.unwrap().id };
    let store = &db.store;
    let cancel = |id| async move { store.cancel_operation(id, &by("", "")).await.unwrap() };

    let open = start("a").await;
    assert_eq!(db.cordoned().await, ["a"]);
    cancel(open).await;
    assert!(db.cordoned().await.is_empty());

    db.store.cordon(&node("a"), &by("asha", "bad disk")).await.unwrap();
    let cordoned = start("a").await;
    cancel(cordoned).await;
    let orders = db.store.node_orders().await.unwrap();
    assert_eq!((orders[0].cordoned, orders[0].cordoned_by.as_str()), (true, "asha"), "its own cordon stays");
    assert_eq!(orders[0].cordon_reason, "bad disk");

    // Cordoned while it was drained.
    db.store.uncordon(&node("a"), &nobody).await.unwrap();
    let meanwhile = start("a").await;
    assert!(!db.store.cordon(&node("a"), &nobody).await.unwrap());
    cancel(meanwhile).await;
    assert_eq!(db.cordoned().await, ["a"]);
}

#[tokio::test]
async fn a_drain_becomes_urgent_at_its_deadline_or_by_force() {
    let db = Db::new().await;
    let day = Duration::from_secs(86_400);
    let nobody = by("", "");
    let drain = |of, deadline, force| NewDrain { node: node(of), deadline, force };
    let paced = db.store.start_drain(&drain("a", Some(day), false), &nobody).await.unwrap();
    db.store.start_drain(&drain("b", Some(day), true), &nobody).await.unwrap();
    let OperationOrder::Drain { deadline: Some(deadline), .. } = paced.order else { panic!("{paced:?}") };
    assert_eq!(deadline - paced.started_at, day);
    let urgent = || async {
        let operations = db.ledger.orders().await.unwrap().operations;
        operations.into_iter().map(|operation| match operation.kind {
            OperationKind::Drain { urgent, .. } => urgent,
            other => panic!("{other:?}"),
        })
    };
    assert!(urgent().await.eq([false, true]));
    db.execute("update operations set deadline = now() - interval '1 second' where node = 'a'").await;
    assert!(urgent().await.eq([true, true]));
}

#[tokio::test]
async fn operations_are_listed_newest_first_in_pages_and_by_what_they_are_about() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let nobody = by("", "");
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(db.store.start_drain(&drain(name), &nobody).await.unwrap().id);
    }
    ids.push(db.store.start_move(&to_move("duka", "b"), &nobody).await.unwrap().id);
    db.store.cancel_operation(ids[1], &nobody).await.unwrap();
    let list = |filter: OperationFilter, before, limit| {
        let store = db.store.clone();
        async move {
            let page = store.list_operations(&filter, before, limit).await.unwrap();
            page.into_iter().map(|record| record.id).collect::<Vec<_>>()
        }
    };
    let all = OperationFilter::default();
    assert_eq!(list(all.clone(), None, 3).await, [ids[3], ids[2], ids[1]]);
    assert_eq!(list(all.clone(), Some(ids[1]), 3).await, [ids[0]]);
    let state = |state| OperationFilter { state: Some(state), ..all.clone() };
    assert_eq!(list(state(OperationState::Cancelled), None, 9).await, [ids[1]]);
    assert_eq!(list(state(OperationState::Running), None, 9).await, [ids[3], ids[2], ids[0]]);
    let on_b = OperationFilter { node: Some(node("b")), ..all.clone() };
    assert_eq!(list(on_b, None, 9).await, [ids[3], ids[1]]);
    let of_duka = OperationFilter { tenant: Some(tenant("duka")), ..all.clone() };
    assert_eq!(list(of_duka, None, 9).await, [ids[3]]);
    let unknown = db.store.get_operation(OperationId(4711)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { kind: "operation", .. })), "{unknown:?}");
}
