//! The reply limit over a failover, and what the next owner knows of a chat.

use std::time::Duration;

use crate::pipeline::test_bed::{Life, TestBed};

async fn ask(bed: &TestBed, life: &Life, id: &str) {
    let message = bed.phone.write("1@c.us", id, id);
    life.give(message);
    bed.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_neither_lifts_the_reply_limit_nor_repeats_the_warning() {
    let bed = TestBed::new(3).await;
    let first = bed.next_life().await;
    for id in ["A", "B"] {
        ask(&bed, &first, id).await;
    }
    first.crash();
    let second = bed.next_life().await;
    for id in ["C", "D"] {
        ask(&bed, &second, id).await;
    }
    second.crash();
    let third = bed.next_life().await;
    for id in ["E", "F"] {
        ask(&bed, &third, id).await;
    }
    let bodies: Vec<_> = bed.phone.received().into_iter().map(|text| text.body).collect();
    assert_eq!(bodies[..3], ["echo: A", "echo: B", "echo: C"]);
    assert_eq!(bodies.len(), 4, "three replies and one warning: {bodies:?}");
    assert!(bodies[3].starts_with("Duka is receiving many messages"));
    assert_eq!(bed.number("select sum(suppressed)::bigint from reply_windows").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_confirmed_and_not_answered_and_the_others_are() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    let old = bed.phone.write("1@c.us", "old", "old");
    let day = 24 * 3_600;
    let old = roost_engine::InboundMessage { timestamp: old.timestamp - day - 60, ..old };
    let timeless = bed.phone.write("2@c.us", "timeless", "timeless");
    let timeless = roost_engine::InboundMessage { timestamp: 0, ..timeless };
    for message in [old, timeless, bed.phone.write("1@c.us", "new", "new")] {
        life.give(message);
    }
    bed.phone.wait_for(2, Duration::from_secs(10)).await;
    bed.settle().await;
    let received = bed.phone.received_by_chat();
    assert_eq!(
        (&received["1@c.us"][..], &received["2@c.us"][..]),
        (&["echo: new".to_owned()][..], &["echo: timeless".to_owned()][..])
    );
    assert_eq!(bed.number("select count(*) from message_logs where state = 'TOO_OLD'").await, 1);
}

/// Four replies of long ago that nobody could send, and a limit of two a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_in_an_outage_is_claimed_and_sent_at_the_pace_of_the_limit() {
    let bed = TestBed::new(2).await;
    let fence = bed.place().await;
    sqlx::query(
        "with late as (
            insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body, created_at)
            select 'duka', n, 'true_' || n || '@c.us_A', n || '@c.us', 'late ' || n, now() - interval '5 minutes'
            from generate_series(1, 4) n returning tenant_id, id
        )
        insert into bm_pending (tenant_id, direction, id) select tenant_id, 'OUT', id from late",
    )
    .execute(bed.store.pool())
    .await
    .unwrap();
    let life = bed.life_of(fence).await;
    bed.phone.wait_for(2, Duration::from_secs(10)).await;
    let sent = "select count(*) from bm_out where state = 'SENT'";
    while bed.number(sent).await < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bed.number("select count(*) from bm_out where claimed_at is null").await, 2);
    assert!(!bed.phone.received()[0].maybe_sent, "it was never tried before");
    let lifted = roost_store::TenantPatch { reply_limit_per_minute: Some(0), ..Default::default() };
    let tenant = bed.store.update_tenant(&bed.tenant().await.id, lifted).await.unwrap();
    assert_eq!(bed.phone.received().len(), 2);
    life.pipeline.update(tenant.into());
    bed.phone.wait_for(4, Duration::from_secs(10)).await;
    bed.settle().await;
    assert_eq!(bed.number("select count(*) from bm_out where claimed_at is null").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_floods_leaves_others_their_answers_and_what_it_lost_is_listed() {
    let bed = TestBed::new(4).await;
    let life = bed.next_life().await;
    for nth in 0..6 {
        ask(&bed, &life, &format!("F{nth}")).await;
    }
    // Its reply goes when the pace lets it, within a minute.
    let other = bed.phone.write("2@c.us", "B", "B");
    life.give(other);
    while bed.number("select count(*) from bm_out where chat_id = '2@c.us'").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = "select count(*) from message_logs where state = 'SUPPRESSED' and state_reason like '%4 replies in 60 s%'";
    assert_eq!(bed.number(lost).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_first_message_of_a_chat_is_greeted_whoever_owns_the_tenant() {
    let bed = TestBed::new(0).await;
    let plain = roost_store::TenantPatch { texts: Some(roost_model::Texts::default()), ..Default::default() };
    bed.store.update_tenant(&bed.tenant().await.id, plain).await.unwrap();
    let first = bed.next_life().await;
    ask(&bed, &first, "zzz").await;
    first.crash();
    // This one is durable before its owner is up, so it is read from the database.
    let fence = bed.place().await;
    let waiting = roost_store::NewInbound {
        whatsapp_id: "false_2@c.us_W".into(),
        chat: "2@c.us".into(),
        sender: "2@c.us".into(),
        body: "yyy".into(),
        received_at: time::OffsetDateTime::now_utc(),
        undecoded: None,
    };
    bed.store.admit(&fence, &[waiting]).await.unwrap();
    let second = bed.next_life().await;
    ask(&bed, &second, "zzz again").await;
    bed.phone.wait_for(3, Duration::from_secs(10)).await;
    let received = bed.phone.received_by_chat();
    assert!(received["1@c.us"][0].starts_with("Hello, this is the support team of Duka."));
    assert!(received["1@c.us"][1].starts_with("Sorry, we did not understand that."));
    assert!(received["2@c.us"][0].starts_with("Hello, this is the support team of Duka."));
}
