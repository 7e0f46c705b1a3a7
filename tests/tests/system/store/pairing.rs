//! The way of a code that is typed on the phone: asked for, answered by the owner, taken away once.

use std::time::Duration;

use roost_store::{Fence, PairingAnswer, PairingOrder, PairingProgress, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::support::{Db, assert_fenced, tenant};

fn order() -> PairingOrder {
    PairingOrder { id: Uuid::now_v7(), phone: "255700000001".into() }
}

fn code(text: &str) -> PairingAnswer {
    let expires_at = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap() + Duration::from_secs(180);
    PairingAnswer::Code { text: text.into(), expires_at }
}

async fn asked_of(db: &Db, fence: &Fence) -> Option<PairingOrder> {
    db.store.worker_spec(&fence.tenant).await.unwrap().pairing
}

async fn taken(db: &Db, fence: &Fence, order: &PairingOrder) -> &'static str {
    match db.store.take_pairing(&fence.tenant, order.id).await.unwrap() {
        PairingProgress::Waiting => "waiting",
        PairingProgress::Answered(PairingAnswer::Code { .. }) => "a code",
        PairingProgress::Answered(PairingAnswer::Refused { .. }) => "refused",
        PairingProgress::Gone => "gone",
    }
}

#[tokio::test]
async fn a_code_is_told_once_and_nothing_is_left_of_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let revision = db.store.worker_spec(&fence.tenant).await.unwrap().spec_revision;
    let first = order();
    db.store.request_pairing(&fence.tenant, &first).await.unwrap();
    let spec = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert!(spec.spec_revision > revision, "the owner is told");
    assert_eq!(spec.pairing, Some(first.clone()));
    assert_eq!(taken(&db, &fence, &first).await, "waiting");

    db.store.answer_pairing(&fence, first.id, &code("ABCDEFGH")).await.unwrap();
    assert_eq!(asked_of(&db, &fence).await, None, "it is answered");
    assert_eq!(taken(&db, &fence, &first).await, "a code");
    assert_eq!(taken(&db, &fence, &first).await, "gone");
    assert_eq!(db.number("select count(*) from pairing_requests").await, 0);
    assert_eq!(db.number("select count(*) from cluster_events").await, 0, "no event tells of it");

    let nobody = db.store.request_pairing(&tenant("nobody"), &order()).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn three_codes_an_hour_are_asked_for_and_no_more_of_each_tenant() {
    let db = Db::new().await;
    let (fence, other) = (db.owned("duka").await, db.owned("soko").await);
    for _ in 0..3 {
        db.store.request_pairing(&fence.tenant, &order()).await.unwrap();
    }
    let asked = asked_of(&db, &fence).await;
    match db.store.request_pairing(&fence.tenant, &order()).await {
        Err(StoreError::TooManyPairingCodes { again_at, .. }) => {
            let left = again_at - OffsetDateTime::now_utc();
            assert!((3_000..=3_600).contains(&left.whole_seconds()), "{left}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(asked_of(&db, &fence).await, asked, "nobody is asked");
    db.store.request_pairing(&other.tenant, &order()).await.unwrap();
    db.execute("update pairing_quotas set asked = array[asked[1] - interval '1 hour', asked[2], asked[3]]")
        .await;
    db.store.request_pairing(&fence.tenant, &order()).await.unwrap();
    assert!(db.store.request_pairing(&fence.tenant, &order()).await.is_err(), "one had gone");
    assert_eq!(
        db.number("select cardinality(asked)::bigint from pairing_quotas where tenant_id = 'duka'").await,
        3
    );
}

#[tokio::test]
async fn who_asks_later_takes_the_place_and_an_answer_is_for_whoever_asked() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let (first, second) = (order(), order());
    db.store.request_pairing(&fence.tenant, &first).await.unwrap();
    db.store.request_pairing(&fence.tenant, &second).await.unwrap();
    assert_eq!(taken(&db, &fence, &first).await, "gone");
    db.store.answer_pairing(&fence, first.id, &code("ABCDEFGH")).await.unwrap();
    assert_eq!(taken(&db, &fence, &second).await, "waiting");
    let refused = PairingAnswer::Refused { reason: "rate-overlimit".into() };
    db.store.answer_pairing(&fence, second.id, &refused).await.unwrap();
    assert_eq!(taken(&db, &fence, &second).await, "refused");

    db.store.request_pairing(&fence.tenant, &first).await.unwrap();
    let next = db.place(&fence.tenant, "b").await;
    assert_fenced(db.store.answer_pairing(&fence, first.id, &code("ABCDEFGH")).await, &fence);
    assert_eq!(asked_of(&db, &next).await, Some(first.clone()), "the next owner is asked");
    db.store.withdraw_pairing(&fence.tenant, first.id).await.unwrap();
    assert_eq!(asked_of(&db, &next).await, None);
}

#[tokio::test]
async fn nobody_is_asked_for_a_caller_that_has_gone_and_what_it_left_is_swept_away() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let first = order();
    db.store.request_pairing(&fence.tenant, &first).await.unwrap();
    db.execute("update pairing_requests set asked_at = now() - interval '61 seconds'").await;
    assert_eq!(asked_of(&db, &fence).await, None);
    db.store.answer_pairing(&fence, first.id, &code("ABCDEFGH")).await.unwrap();
    assert_eq!(taken(&db, &fence, &first).await, "waiting", "a code that nobody waits for is not kept");
    db.store.purge().await.unwrap();
    assert_eq!(db.number("select count(*) from pairing_requests").await, 1);
    db.execute("update pairing_requests set asked_at = now() - interval '11 minutes'").await;
    db.store.purge().await.unwrap();
    assert_eq!(db.number("select count(*) from pairing_requests").await, 0);
}
