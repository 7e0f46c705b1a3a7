//! Applies that meet others: what they wait for, and in which order.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use roost_store::{Apply, ApplyOutcome, StoreError, TenantChange, TenantDeclaration, TenantPatch};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::sleep;

use crate::store::support::{Db, by, new_tenant, tenant};

fn declared(id: &str, limit: i32) -> TenantDeclaration {
    let new = new_tenant(id);
    let values = TenantPatch {
        display_name: Some(new.display_name),
        phone: Some(new.phone),
        reply_limit_per_minute: Some(limit.unsigned_abs()),
        ..TenantPatch::default()
    };
    let fields = ["display_name", "phone", "reply_limit_per_minute"].map(str::to_owned);
    TenantDeclaration {
        id: tenant(id),
        values,
        fields: BTreeSet::from(fields),
        kept_proxy: None,
        desired: None,
    }
}

fn apply(declarations: Vec<TenantDeclaration>) -> Apply {
    Apply { id: "a-1".into(), declarations, deletions: Vec::new(), validate_only: false }
}

/// Until so many statements wait for others' rows.
async fn until_waiting(db: &Db, statements: i64) {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(10);
    while db.number(waiting).await < statements {
        assert!(Instant::now() < deadline, "fewer than {statements} statements wait");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_apply_sees_what_the_one_that_it_has_waited_for_has_done() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    other.execute("begin").await.unwrap();
    // As an apply begins, and as it ends.
    other.execute("select from worker_processes where tenant_id = 'duka' for no key update").await.unwrap();
    other.execute("update tenants set reply_limit_per_minute = 20 where id = 'duka'").await.unwrap();
    let (batch, asha) = (apply(vec![declared("duka", 20)]), by("asha", ""));
    let applying = db.store.apply_tenants(&batch, &asha);
    let committing = async {
        until_waiting(&db, 1).await;
        other.execute("commit").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(applying, committing);
    let ApplyOutcome::Applied(applied) = outcome.unwrap() else { panic!("it was refused") };
    // What is declared was noted; nothing else is another than it was.
    assert_eq!(applied[0].change, TenantChange::Noted);
}

#[tokio::test]
async fn an_apply_makes_its_tenants_in_the_order_of_their_ids_and_so_waits_at_the_first_that_another_makes() {
    let db = Db::new().await;
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    other.execute("begin").await.unwrap();
    other.execute("insert into tenants (id, display_name, phone) values ('b', 'b', '+1')").await.unwrap();
    let (batch, asha) = (apply(vec![declared("b", 10), declared("a", 10)]), by("asha", ""));
    let applying = db.store.apply_tenants(&batch, &asha);
    // The apply has made `a`, and waits for `b`: whoever makes `a` waits for it.
    let making = async {
        until_waiting(&db, 1).await;
        db.store.create_tenant(new_tenant("a")).await
    };
    let releasing = async {
        until_waiting(&db, 2).await;
        other.execute("rollback").await.unwrap();
    };
    let (outcome, made, ()) = tokio::join!(applying, making, releasing);
    assert!(matches!(outcome, Ok(ApplyOutcome::Applied(_))), "{outcome:?}");
    assert!(matches!(made, Err(StoreError::AlreadyExists { .. })), "{made:?}");
}
