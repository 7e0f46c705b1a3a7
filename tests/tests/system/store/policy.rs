//! The standing orders.

use std::time::Duration;

use roost_cluster::ledger::{Ledger, Policy};
use roost_store::PolicyPatch;

use crate::store::support::{Db, by};

#[tokio::test]
async fn a_new_cluster_brakes_and_does_not_rebalance_by_itself() {
    let db = Db::new().await;
    assert_eq!(db.ledger.orders().await.unwrap().policy, Policy::default());
}

#[tokio::test]
async fn only_what_is_set_changes() {
    let db = Db::new().await;
    let asha = by("asha", "");
    let brake_off = PolicyPatch { failover_breaker: Some(false), ..PolicyPatch::default() };
    let policy = db.store.update_policy(brake_off, &asha).await.unwrap();
    assert!(!policy.failover_breaker && !policy.auto_rebalance);
    let auto = PolicyPatch { auto_rebalance: Some(true), ..PolicyPatch::default() };
    db.store.update_policy(auto, &asha).await.unwrap();
    db.store.update_policy(auto, &asha).await.unwrap();
    let policy = db.ledger.orders().await.unwrap().policy;
    assert!(!policy.failover_breaker && policy.auto_rebalance);
    assert_eq!(db.number("select count(*) from cluster_events").await, 2, "one for each change");
}

#[tokio::test]
async fn failover_pauses_and_goes_on_by_order() {
    let db = Db::new().await;
    assert!(db.store.pause_failover(&by("asha", "switch is replaced")).await.unwrap());
    assert!(!db.store.pause_failover(&by("juma", "me too")).await.unwrap());
    let paused = db.store.policy().await.unwrap().failover_paused.expect("it is paused");
    assert_eq!((paused.requested_by.as_str(), paused.reason.as_str()), ("asha", "switch is replaced"));
    let policy = db.ledger.orders().await.unwrap().policy;
    assert_eq!((policy.failover_paused.as_deref(), policy.resumed_ago), (Some("switch is replaced"), None));

    assert!(db.store.resume_failover(&by("asha", "")).await.unwrap());
    let policy = db.ledger.orders().await.unwrap().policy;
    assert_eq!(policy.failover_paused, None);
    assert!(policy.resumed_ago.is_some_and(|ago| ago < Duration::from_secs(60)), "{policy:?}");

    db.execute("update cluster_policy set failover_resumed_at = now() - interval '1 hour'").await;
    assert!(!db.store.resume_failover(&by("asha", "")).await.unwrap());
    let ago = db.ledger.orders().await.unwrap().policy.resumed_ago;
    assert!(ago.is_some_and(|ago| ago < Duration::from_secs(60)), "losses until now are accepted: {ago:?}");
    assert_eq!(db.number("select count(*) from cluster_events").await, 2);
}
