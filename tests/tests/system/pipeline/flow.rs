//! The pipeline when nothing goes wrong: what is answered, what is not, and how fast.

use std::time::{Duration, Instant};

use roost_engine::InboundMessage;
use roost_model::ChatKind;
use roost_node::pipeline::{BODY_BYTES, reply_id};
use rustix::time::{ClockId, clock_gettime};

use crate::pipeline::test_bed::TestBed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_in_twenty_chats_is_answered_in_order() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    let began = Instant::now();
    for nth in 0..500 {
        let chat = format!("2557000{:02}@c.us", nth % 20);
        let message = bed.phone.write(&chat, &format!("M{nth}"), &nth.to_string());
        life.give(message);
    }
    bed.phone.wait_for(500, Duration::from_secs(30)).await;
    let rate = 500.0 / began.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second");
    bed.settle().await;
    for (nth, bodies) in bed.phone.received_by_chat().values().enumerate() {
        let expected: Vec<_> = (0..25).map(|turn| format!("echo: {}", turn * 20 + nth)).collect();
        assert_eq!(*bodies, expected);
    }
    assert!(rate > 100.0, "the pipeline alone, with a page that takes no time, is far too slow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_direct_messages_of_others_are_answered_stored_and_logged() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    let message =
        |id: &str, kind, from_me| InboundMessage { kind, from_me, ..bed.phone.write("1@c.us", id, "x") };
    let ignored = [
        message("G", ChatKind::Group, false),
        message("S", ChatKind::Status, false),
        message("B", ChatKind::Broadcast, false),
        message("O", ChatKind::Other, false),
        message("I", ChatKind::Direct, true),
    ];
    for message in ignored {
        life.give(message);
    }
    life.give(bed.phone.write("1@c.us", "D", "hello"));
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    bed.settle().await;
    assert_eq!(bed.phone.received()[0].body, "echo: hello");
    assert_eq!(bed.number("select count(*) from bm_in").await, 1);
    assert_eq!(bed.number("select count(*) from message_logs where direction = 'IN'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_photo_is_answered_and_a_body_beyond_the_limit_is_cut_at_a_character() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    life.give(bed.phone.write("1@c.us", "P", ""));
    let long = "\u{1F600}".repeat(BODY_BYTES);
    life.give(bed.phone.write("2@c.us", "L", &long));
    bed.phone.wait_for(2, Duration::from_secs(10)).await;
    bed.settle().await;
    let received = bed.phone.received_by_chat();
    assert_eq!(received["1@c.us"], ["echo: "]);
    assert!(received["2@c.us"][0].len() <= BODY_BYTES && received["2@c.us"][0].ends_with('\u{1F600}'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_has_the_id_that_its_question_gives_it() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    let question = bed.phone.write("1@c.us", "Q", "hello");
    life.give(question.clone());
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    let id = reply_id(bed.tenant().await.uid, &question.whatsapp_id, "1@c.us", 0);
    assert_eq!(bed.phone.received()[0].whatsapp_id, id);
    let digits = id.strip_prefix("true_1@c.us_3EB0").unwrap();
    assert_eq!(digits.len(), 18);
    assert!(digits.bytes().all(|digit| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_pipeline_has_sent_what_it_took_and_takes_no_more() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    for nth in 0..40 {
        let message = bed.phone.write("1@c.us", &format!("M{nth}"), &nth.to_string());
        life.give(message);
    }
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    assert!(life.pipeline.drain().finish(Duration::from_secs(10)).await);
    let taken = bed.number("select count(*) from bm_in").await;
    assert_eq!(bed.number("select count(*) from bm_out where state = 'SENT'").await, taken);
    life.give(bed.phone.write("1@c.us", "late", "late"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bed.number("select count(*) from bm_in").await, taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_while_the_gate_is_shut_and_all_of_it_afterwards() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    life.pipeline.set_gate(Some(life.page.clone()), true, false);
    let message = bed.phone.write("1@c.us", "M", "hello");
    life.give(message);
    while bed.number("select count(*) from bm_out").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bed.phone.received().is_empty());
    life.pipeline.set_gate(Some(life.page.clone()), true, true);
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
}

/// All of it is on the thread of the test, whose time is taken.
#[tokio::test]
async fn a_pipeline_whose_replies_may_not_be_sent_takes_no_processor_time() {
    let bed = TestBed::new(0).await;
    let life = bed.next_life().await;
    life.pipeline.set_gate(Some(life.page.clone()), true, false);
    for nth in 0..3 {
        let message = bed.phone.write(&format!("{nth}@c.us"), "M", "hello");
        life.give(message);
    }
    while bed.number("select count(*) from bm_out").await < 3 || !bed.phone.unacknowledged().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let spent = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let (before, began) = (spent(), Instant::now());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let share = (spent() - before).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(share < 0.2, "it takes {share:.2} of a core");
    life.pipeline.set_gate(Some(life.page.clone()), true, true);
    bed.phone.wait_for(3, Duration::from_secs(10)).await;
}

/// The one before was dropped in the middle of an admission: its row is there, and nobody was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_the_pipeline_before_had_just_made_durable_is_answered() {
    let bed = TestBed::new(0).await;
    let fence = bed.place().await;
    let life = bed.life_of(fence.clone()).await;
    let ask = async |id: &str| {
        life.give(bed.phone.write("1@c.us", id, id));
    };
    ask("first").await;
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    bed.settle().await;
    let message = bed.phone.write("2@c.us", "late", "late");
    let late = roost_store::NewInbound {
        whatsapp_id: message.whatsapp_id.clone(),
        chat: message.chat.clone(),
        sender: message.sender.clone(),
        body: message.body.clone(),
        received_at: time::OffsetDateTime::now_utc(),
        undecoded: None,
    };
    bed.store.admit(&fence, &[late]).await.unwrap();
    ask("after").await;
    bed.phone.wait_for(2, Duration::from_secs(10)).await;
    life.give(message);
    bed.phone.wait_for(3, Duration::from_secs(10)).await;
    bed.settle().await;
    assert_eq!(bed.phone.received_by_chat()["2@c.us"], ["echo: late"]);
}
