//! Replies of which nobody knows whether they were sent, and what the tenant's resend policy makes of them.

use std::{sync::Arc, time::Duration};

use roost_model::ResendPolicy;
use roost_store::TenantPatch;

use crate::pipeline::{
    phone::FakePage,
    test_bed::{Life, TestBed},
};

async fn with_policy(resend_policy: ResendPolicy) -> TestBed {
    let bed = TestBed::new(0).await;
    let patch = TenantPatch { resend_policy: Some(resend_policy), ..TenantPatch::default() };
    bed.store.update_tenant(&bed.id, patch).await.unwrap();
    bed
}

/// A tenant whose owner was killed when a reply had reached the phone and was not marked.
async fn with_one_in_doubt(resend_policy: ResendPolicy) -> TestBed {
    let bed = with_policy(resend_policy).await;
    // The first send takes effect, and its acknowledgement is lost.
    bed.phone.fail_every(1);
    let life = bed.next_life().await;
    life.give(bed.phone.write("1@c.us", "M1", "one"));
    bed.phone.wait_for(1, Duration::from_secs(10)).await;
    life.crash();
    bed.phone.fail_every(0);
    bed
}

/// How often a reply was sent again, by the phone and by the database.
async fn resends(bed: &TestBed) -> (u64, u64) {
    (bed.phone.resends(), bed.store.get_worker(&bed.id).await.unwrap().resends)
}

async fn states(bed: &TestBed) -> String {
    let states = "select string_agg(state || last_error, ', ' order by id) from bm_out";
    sqlx::query_scalar(states).fetch_one(bed.store.pool()).await.unwrap()
}

const HELD: &str = "DEADit may have been sent already: held, as the tenant's resend policy says";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_in_doubt_is_sent_again_under_its_id_and_counted() {
    let bed = with_one_in_doubt(ResendPolicy::Resend).await;
    let _life = bed.next_life().await;
    bed.settle().await;
    assert_eq!((states(&bed).await.as_str(), bed.phone.received().len()), ("SENT", 1));
    assert_eq!(resends(&bed).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_to_be_held_it_is_a_dead_letter_its_chat_goes_on_and_a_redrive_sends_it_once() {
    let bed = with_one_in_doubt(ResendPolicy::Hold).await;
    let life = bed.next_life().await;
    life.give(bed.phone.write("1@c.us", "M2", "two"));
    bed.phone.wait_for(2, Duration::from_secs(10)).await;
    bed.settle().await;
    assert_eq!(states(&bed).await, format!("{HELD}, SENT"));
    assert_eq!(resends(&bed).await, (0, 0));

    assert_eq!(bed.redrive(&life).await, 1);
    bed.settle().await;
    assert_eq!((states(&bed).await.as_str(), bed.phone.received().len()), ("SENT, SENT", 2));
    assert_eq!(resends(&bed).await, (1, 0), "by order, which is no count of ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_knows_of_it_sends_nothing_again_whatever_the_policy() {
    for policy in [ResendPolicy::Resend, ResendPolicy::Hold] {
        let bed = with_one_in_doubt(policy).await;
        let fence = bed.place().await;
        let _life = bed.life_on(fence, FakePage::remembering(bed.phone.clone())).await;
        bed.settle().await;
        assert_eq!((states(&bed).await.as_str(), resends(&bed).await), ("SENT", (0, 0)), "{policy:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_whose_browser_ended_while_it_was_sent_is_in_doubt_too() {
    for (policy, state, counts) in
        [(ResendPolicy::Hold, HELD, (0, 0)), (ResendPolicy::Resend, "SENT", (1, 1))]
    {
        let bed = with_policy(policy).await;
        let life = bed.next_life().await;
        life.page.die_sending();
        life.give(bed.phone.write("1@c.us", "M1", "one"));
        bed.phone.wait_for(1, Duration::from_secs(10)).await;
        life.pipeline.shut_gate();
        life.pipeline.set_gate(Some(FakePage::new(bed.phone.clone())), true, true);
        bed.settle().await;
        assert_eq!((states(&bed).await.as_str(), resends(&bed).await), (state, counts), "{policy:?}");
    }
}

impl TestBed {
    /// All that was given up; the owner is told as a node tells it.
    pub async fn redrive(&self, life: &Life) -> usize {
        let letters = self.store.list_dead_letters(&Default::default(), None, 1_000).await.unwrap();
        let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
        let redriven = self.store.redrive(&ids, &Default::default()).await.unwrap();
        life.pipeline.update(Arc::new(self.tenant().await));
        redriven.len()
    }
}
