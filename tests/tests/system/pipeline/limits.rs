//! The reply limit over a failover, and what the next owner knows of a chat.

use std::time::Duration;

use crate::pipeline::test_bed::{Life, TestBed};

async fn ask(bed: &TestBed, life: &Life, id: &str) {
    let message = bed.phone.write("1@c.us", id, id);
    life.pipeline.intake().send(message).await.unwrap();
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
        life.pipeline.intake().send(message).await.unwrap();
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
