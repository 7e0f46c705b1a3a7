//! Pins.

use roost_cluster::ledger::Ledger;
use roost_store::{NewMove, StoreError};

use crate::store::support::{Db, by, new_tenant, node, tenant};

#[tokio::test]
async fn a_pin_is_a_demand_until_it_is_taken_away() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let asha = by("asha", "licence");
    let pin = || async { db.ledger.desired_tenants().await.unwrap().remove(0).pin };
    assert_eq!(db.store.pin_tenant(&tenant("duka"), &node("a"), &asha).await.unwrap().pin, Some(node("a")));
    assert_eq!(pin().await, Some(node("a")));
    db.store.pin_tenant(&tenant("duka"), &node("b"), &asha).await.unwrap();
    db.store.pin_tenant(&tenant("duka"), &node("b"), &asha).await.unwrap();
    assert_eq!(db.store.get_worker(&tenant("duka")).await.unwrap().pin, Some(node("b")));
    assert_eq!(db.store.unpin_tenant(&tenant("duka"), &asha).await.unwrap().pin, None);
    assert_eq!(pin().await, None);
    assert_eq!(db.number("select count(*) from cluster_events").await, 3, "one for each change");
    let stranger = db.store.pin_tenant(&tenant("nobody"), &node("a"), &asha).await;
    assert!(matches!(stranger, Err(StoreError::NotFound { kind: "tenant", .. })), "{stranger:?}");
}

#[tokio::test]
async fn a_tenant_is_not_pinned_away_from_where_it_is_being_moved() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let asha = by("asha", "");
    let order = NewMove { tenant: tenant("duka"), to: node("b") };
    let id = db.store.start_move(&order, &asha).await.unwrap().id;
    let refused = db.store.pin_tenant(&tenant("duka"), &node("a"), &asha).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { operation, .. }) if *operation == id),
        "{refused:?}"
    );
    assert_eq!(db.store.get_worker(&tenant("duka")).await.unwrap().pin, None);
    db.store.pin_tenant(&tenant("duka"), &node("b"), &asha).await.unwrap();
    db.store.unpin_tenant(&tenant("duka"), &asha).await.unwrap();
}
