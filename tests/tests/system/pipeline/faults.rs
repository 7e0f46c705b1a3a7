//! A message or a page with a fault of its own: what it costs the others, which is nothing.

use std::time::Duration;

use roost_engine::InboundMessage;
use tokio::time::timeout;

use crate::{
    long_text,
    pipeline::{
        phone::FakePage,
        test_bed::{Life, TestBed},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_can_never_be_sent_is_buried_and_its_chat_goes_on() {
    let bed = TestBed::new(0).await;
    bed.phone.refuse("echo: one");
    let life = bed.next_life().await;
    for body in ["one", "two"] {
        life.give(bed.phone.write("1@c.us", body, body));
    }
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    bed.settle().await;
    assert_eq!(bed.phone.received_by_chat()["1@c.us"], ["echo: two"]);
    assert_eq!(bed.number("select count(*) from bm_out where state = 'DEAD'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_stored_suffers_alone() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    let endless = long_text();
    for (chat, id) in [("1@c.us", "A"), (endless.as_str(), "B"), ("2@c.us", "nul\0"), ("3@c.us", "C")] {
        life.give(bed.phone.write(chat, id, id));
    }
    bed.phone.wait_for(3, Duration::from_secs(10)).await;
    bed.settle().await;
    let answered: Vec<_> = bed.phone.received_by_chat().into_keys().collect();
    assert_eq!(answered, ["1@c.us", "2@c.us", "3@c.us"]);
    assert_eq!(bed.number("select count(*) from bm_in where state = 'DEAD'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_understood_is_kept_with_its_reason_and_confirmed() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    let strange = bed.phone.write("1@c.us", "S", r#"{"kind":"parade"}"#);
    let strange = InboundMessage { undecoded: Some("unknown variant `parade`".into()), ..strange };
    for message in [strange, bed.phone.write("1@c.us", "A", "hello")] {
        life.give(message);
    }
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    bed.settle().await;
    assert_eq!(bed.phone.received()[0].body, "echo: hello");
    let kept = "select body || ' ' || last_error from bm_in where state = 'DEAD'";
    let kept: String = sqlx::query_scalar(kept).fetch_one(bed.store.pool()).await.unwrap();
    assert_eq!(kept, r#"{"kind":"parade"} unknown variant `parade`"#);
}

/// As a worker does: each page that is found not to send is replaced by another one.
async fn heal_pages(bed: &TestBed, life: &Life) {
    let mut faults = life.pipeline.page_faults();
    while faults.changed().await.is_ok() {
        if *faults.borrow_and_update() > 0 {
            life.pipeline.shut_gate();
            life.pipeline.set_gate(Some(FakePage::new(bed.phone.clone())), true, true);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_sends_nothing_any_more_costs_no_reply_a_try() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    life.page.swallow();
    let write = async {
        for nth in 0..20 {
            let message = bed.phone.write(&format!("{}@c.us", nth % 5), &format!("M{nth}"), &nth.to_string());
            life.give(message);
        }
        bed.phone.wait_for(20, Duration::from_secs(20)).await;
        bed.settle().await;
    };
    tokio::select! {
        () = write => {}
        () = heal_pages(&bed, &life) => panic!("the pipeline ended"),
    }
    assert_eq!(bed.phone.received().len(), 20, "once each");
    assert_eq!(bed.number("select sum(attempts)::bigint from bm_out").await, 0);
    let mut faults = life.pipeline.page_faults();
    timeout(Duration::from_secs(5), faults.wait_for(|faults| *faults == 0)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_to_a_page_that_is_being_loaded_count_for_nothing() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    let write = async {
        life.give(bed.phone.write("1@c.us", "M", "hello"));
        bed.phone.wait_for(1, Duration::from_secs(20)).await;
    };
    tokio::join!(life.page.load(3), write);
    bed.settle().await;
    assert_eq!(bed.number("select max(attempts)::bigint from bm_out").await, 0);
    assert_eq!(*life.pipeline.page_faults().borrow(), 0, "nor against the page");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_no_page_can_send_is_a_dead_letter_and_the_others_go() {
    let bed = TestBed::new(0).await;
    bed.phone.never_acknowledge("echo: poison");
    let life = bed.next_life().await;
    let write = async {
        for (chat, body) in [("1@c.us", "poison"), ("1@c.us", "after it"), ("2@c.us", "beside it")] {
            life.give(bed.phone.write(chat, body, body));
        }
        bed.phone.wait_for(2, Duration::from_secs(60)).await;
        bed.settle().await;
    };
    tokio::select! {
        () = write => {}
        () = heal_pages(&bed, &life) => panic!("the pipeline ended"),
    }
    let dead = "select body || ': ' || last_error from bm_out where state = 'DEAD'";
    let dead: String = sqlx::query_scalar(dead).fetch_one(bed.store.pool()).await.unwrap();
    assert_eq!(
        dead,
        "echo: poison: no page could send it, however often it was loaded anew: \
         the server did not acknowledge the message in time"
    );
}
