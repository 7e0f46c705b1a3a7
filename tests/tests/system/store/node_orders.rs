//! What is ordered of single nodes.

use std::time::Duration;

use roost_cluster::{
    ledger::{Ledger, LedgerRecord, NodeOrder, RestartWindow},
    records::ImpairmentKind,
};
use roost_model::ids::Incarnation;
use roost_store::StoreError;

use crate::store::{
    operations::drain,
    support::{Db, by, node},
};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_cordon_holds_until_it_is_lifted() {
    let db = Db::new().await;
    assert!(db.store.cordon(&node("a"), &by("asha", "bad disk")).await.unwrap());
    assert!(!db.store.cordon(&node("a"), &by("juma", "worse")).await.unwrap(), "it was cordoned already");
    let order = db.store.node_orders().await.unwrap().remove(0);
    assert_eq!((order.cordoned_by.as_str(), order.cordon_reason.as_str()), ("juma", "worse"));
    let expected = NodeOrder {
        node: node("a"),
        cordoned: true,
        restart_window: None,
        suspect_for: None,
        shedding: None,
    };
    assert_eq!(db.ledger.orders().await.unwrap().nodes, [expected]);

    assert!(db.store.uncordon(&node("a"), &by("asha", "")).await.unwrap());
    assert!(!db.store.uncordon(&node("a"), &by("asha", "")).await.unwrap());
    assert!(!db.store.uncordon(&node("unheard-of"), &by("asha", "")).await.unwrap());
    assert!(db.ledger.orders().await.unwrap().nodes.is_empty());
    assert!(db.store.node_orders().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_node_that_is_drained_is_not_opened() {
    let db = Db::new().await;
    let id = db.store.start_drain(&drain("a"), &by("", "")).await.unwrap().id;
    let refused = db.store.uncordon(&node("a"), &by("", "")).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { operation, .. }) if *operation == id),
        "{refused:?}"
    );
    assert_eq!(db.cordoned().await, ["a"]);
    assert_eq!(db.store.node_orders().await.unwrap()[0].drain, Some(id));
}

#[tokio::test]
async fn nobody_opens_a_node_whose_drain_has_begun_at_the_same_time() {
    let db = Db::new().await;
    for round in 0..20 {
        let name = format!("n{round}");
        db.store.cordon(&node(&name), &by("", "")).await.unwrap();
        let (start, open) = (drain(&name), node(&name));
        let nobody = by("", "");
        let (started, opened) =
            tokio::join!(db.store.start_drain(&start, &nobody), db.store.uncordon(&open, &nobody));
        started.unwrap();
        match opened {
            // Before the drain, which has cordoned it again.
            Ok(true) | Err(StoreError::Conflict { .. }) => {}
            other => panic!("{other:?}"),
        }
        let orders = db.store.node_orders().await.unwrap();
        let order = orders.into_iter().find(|order| order.node == open).expect("it is drained");
        assert!(order.cordoned && order.drain.is_some(), "{order:?}");
    }
}

#[tokio::test]
async fn a_restart_window_closes_by_itself() {
    let db = Db::new().await;
    let life = Incarnation(77);
    let asha = by("asha", "upgrade");
    assert!(!db.store.clear_restart_window(&node("a"), &asha).await.unwrap());
    db.store.set_restart_window(&node("a"), Incarnation(76), Duration::from_secs(60), &asha).await.unwrap();
    let until = db.store.set_restart_window(&node("a"), life, HOUR, &asha).await.unwrap();
    let window = db.store.node_orders().await.unwrap().remove(0).restart_window.expect("it is open");
    assert_eq!((window.incarnation, window.until), (life, until));
    let order = db.ledger.orders().await.unwrap().nodes.remove(0);
    let RestartWindow { incarnation, left } = order.restart_window.expect("it is open");
    assert_eq!(incarnation, life);
    assert!(left <= HOUR && left > HOUR.mul_f32(0.9), "{left:?}");
    assert!(!order.cordoned);

    assert!(db.store.clear_restart_window(&node("a"), &asha).await.unwrap());
    assert!(db.ledger.orders().await.unwrap().nodes.is_empty());
    db.store.set_restart_window(&node("a"), life, HOUR, &asha).await.unwrap();
    db.execute("update node_orders set window_until = now() - interval '1 second'").await;
    assert!(db.ledger.orders().await.unwrap().nodes.is_empty());
    assert!(db.store.node_orders().await.unwrap().is_empty());
    assert!(!db.store.clear_restart_window(&node("a"), &asha).await.unwrap());
}

#[tokio::test]
async fn a_suspicion_passes_and_is_not_shortened() {
    let db = Db::new().await;
    let suspect = |span| LedgerRecord::Suspect { node: node("a"), span };
    db.ledger.record(db.term, &[suspect(HOUR)]).await.unwrap();
    db.ledger.record(db.term, &[suspect(Duration::from_secs(1))]).await.unwrap();
    let left = db.ledger.orders().await.unwrap().nodes[0].suspect_for.expect("it is suspect");
    assert!(left <= HOUR && left > HOUR.mul_f32(0.9), "{left:?}");
    assert!(db.store.node_orders().await.unwrap()[0].suspect_until.is_some());
    db.execute("update node_orders set suspect_until = now() - interval '1 second'").await;
    assert!(db.ledger.orders().await.unwrap().nodes.is_empty());
}

#[tokio::test]
async fn what_a_nodes_tenants_leave_it_for_is_kept_until_it_is_over() {
    let db = Db::new().await;
    let shedding = |because| LedgerRecord::Shedding { node: node("a"), because };
    let suspect = LedgerRecord::Suspect { node: node("a"), span: HOUR };
    let site = ImpairmentKind::Site;
    db.ledger.record(db.term, &[shedding(Some(ImpairmentKind::Browser)), suspect]).await.unwrap();
    db.ledger.record(db.term, &[shedding(Some(site))]).await.unwrap();
    let order = db.ledger.orders().await.unwrap().nodes.remove(0);
    assert!(order.shedding == Some(site) && order.suspect_for.is_some(), "{order:?}");
    db.execute("update node_orders set suspect_until = now() - interval '1 second'").await;
    db.store.purge().await.unwrap();
    assert!(db.store.node_orders().await.unwrap()[0].shedding, "it is no order, and stays");
    db.ledger.record(db.term, &[shedding(None)]).await.unwrap();
    assert!(db.ledger.orders().await.unwrap().nodes.is_empty());
    assert!(db.store.node_orders().await.unwrap().is_empty());
}
