//! Owners that crash at any point, one after the other.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ResendPolicy;
use roost_store::TenantPatch;

use crate::pipeline::test_bed::TestBed;

/// Deterministic noise, so that a failing run can be repeated.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Writes to random chats; returns what each chat must be answered with, in order.
fn write_some(bed: &TestBed, noise: &mut Noise, count: u64, expected: &mut BTreeMap<String, Vec<String>>) {
    for _ in 0..count {
        let chat = format!("25570000010{}@c.us", noise.below(6));
        let nth = expected.values().map(Vec::len).sum::<usize>();
        bed.phone.write(&chat, &format!("M{nth}"), &nth.to_string());
        expected.entry(chat).or_default().push(format!("echo: {nth}"));
    }
}

/// 40 owners that are killed one after the other, each within so many milliseconds. `expected` is what each chat must have been
/// answered with in the end.
async fn crash_again_and_again(
    bed: &TestBed,
    noise: &mut Noise,
    within_ms: u64,
    expected: &mut BTreeMap<String, Vec<String>>,
) {
    bed.phone.fail_every(29);
    for _ in 0..40 {
        let count = noise.below(12);
        write_some(bed, noise, count, expected);
        let life = bed.next_life().await;
        tokio::time::sleep(Duration::from_micros(noise.below(within_ms * 1_000))).await;
        life.crash();
    }
    bed.phone.fail_every(0);
}

async fn survive_crashes(seed: u64) {
    let bed = TestBed::new(0).await;
    println!("seed {seed}");
    let (mut noise, mut expected) = (Noise(seed), BTreeMap::new());
    crash_again_and_again(&bed, &mut noise, 25, &mut expected).await;
    let last = bed.next_life().await;
    let total = expected.values().map(Vec::len).sum::<usize>();
    bed.phone.wait_for(total, Duration::from_secs(60)).await;
    bed.settle().await;
    assert_eq!(bed.phone.received_by_chat(), expected, "lost, doubled or reordered");
    println!("{} of {total} were sent again by a page that did not know them", bed.phone.resends());
    let total = total as i64;
    assert_eq!(bed.number("select count(*) from bm_in where state = 'DONE'").await, total);
    assert_eq!(bed.number("select count(*) from bm_out where state = 'SENT'").await, total);
    assert_eq!(bed.number("select count(*) from message_logs where direction = 'IN'").await, total);
    assert_eq!(bed.number("select count(*) from message_logs where direction = 'OUT'").await, total);
    drop(last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_answered_once_and_in_order_whenever_its_owner_crashes() {
    for seed in [1, 2, 3] {
        survive_crashes(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_doubt_is_to_be_held_nothing_is_sent_again_whenever_its_owner_crashes() {
    let bed = TestBed::new(0).await;
    let patch = TenantPatch { resend_policy: Some(ResendPolicy::Hold), ..TenantPatch::default() };
    bed.store.update_tenant(&bed.id, patch).await.unwrap();
    let (mut noise, mut expected) = (Noise(4), BTreeMap::new());
    // On a busy machine an owner may not come to a send in so short a life: they live longer until some did.
    let mut within_ms = 25;
    let (last, held) = loop {
        crash_again_and_again(&bed, &mut noise, within_ms, &mut expected).await;
        let last = bed.next_life().await;
        bed.settle().await;
        let held = bed.number("select count(*) from bm_out where state = 'DEAD'").await;
        if held > 0 || within_ms > 200 {
            break (last, held);
        }
        last.crash();
        within_ms *= 2;
    };
    let total: usize = expected.values().map(Vec::len).sum();
    println!("{held} of {total} are held");
    assert_eq!(bed.number("select count(*) from bm_out where state = 'SENT'").await + held, total as i64);
    let missing = total - bed.phone.received().len();
    assert!(held > 0 && missing as i64 <= held, "{missing} are missing, {held} held");
    assert_eq!(bed.phone.resends(), 0);

    assert_eq!(bed.redrive(&last).await as i64, held);
    bed.settle().await;
    let mut received = bed.phone.received_by_chat();
    let by_number = |body: &String| body.trim_start_matches("echo: ").parse::<usize>().unwrap();
    received.values_mut().for_each(|bodies| bodies.sort_by_key(by_number));
    assert_eq!(received, expected, "lost or doubled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_lives_on_after_its_tenant_has_moved_is_stopped_by_its_next_write() {
    let bed = TestBed::new(0).await;
    let mut old = bed.next_life().await;
    bed.phone.write("1@c.us", "M1", "one");
    old.give(bed.phone.unacknowledged().remove(0));
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    bed.settle().await;

    let new = bed.next_life().await;
    let message = bed.phone.write("1@c.us", "M2", "two");
    old.give(message.clone());
    assert!(old.pipeline.failed().await.is_fenced());
    assert_eq!(bed.phone.unacknowledged().len(), 1, "the old owner must not have confirmed it");
    new.give(message);
    bed.phone.wait_for(2, Duration::from_secs(10)).await;
    bed.settle().await;
    assert_eq!(bed.phone.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_for_postgres_and_none_is_lost_when_it_restarts() {
    let mut bed = TestBed::new(0).await;
    let (mut noise, mut expected) = (Noise(7), BTreeMap::new());
    let life = bed.next_life().await;
    for round in 0..6 {
        write_some(&bed, &mut noise, 20, &mut expected);
        for message in bed.phone.unacknowledged() {
            life.give(message);
        }
        if round == 2 {
            bed.postgres.kill().await.unwrap();
            bed.postgres.restart().await.unwrap();
        }
    }
    bed.phone.wait_for(120, Duration::from_secs(60)).await;
    bed.settle().await;
    assert_eq!(bed.phone.received_by_chat(), expected, "lost, doubled or reordered");
}
