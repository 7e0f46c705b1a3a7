//! A graceful move, seen from the nodes: the test is the controller, and writes the records that one would write, so that
//! it can stop at every step and look. Real etcd, Postgres, nodes and browsers; the simulator judges.

#![allow(clippy::print_stdout, reason = "the gap of a move is a figure, and is printed")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use roost_cluster::{records::Phase, registry::Registry, timing::Timing};
use roost_devcluster::{Signal, wait_until};
use roost_store::Fence;
use roost_tests::{Conversation, SOON};

use crate::scenarios::stage::{Gap, Stage, on_a, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_move_back_and_forth_while_people_write_and_every_message_is_answered_once() -> Result<()> {
    let (stage, mut generation) = on_a().await?;
    let stage = Arc::new(stage);
    let talk = tokio::spawn({
        let (phones, tenant) = (stage.phones.clone(), stage.record());
        async move {
            let mut conversation = Conversation::new(phones, &tenant);
            let mut pace = tokio::time::interval(Duration::from_millis(200));
            for _ in 0..100 {
                pace.tick().await;
                conversation.say(4).await?;
            }
            conversation.settle(SOON).await
        }
    });
    let mut gaps = Vec::new();
    for (from, to) in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a"), ("a", "b")] {
        let (next, gap) = stage.graceful(from, to, generation).await?;
        ensure!(stage.browsers(from) == 0 && stage.browsers(to) == 1, "one browser, on {to}");
        let Gap { acknowledged, silent, shown } = gap;
        println!("released in {acknowledged:?}, silent for {silent:?}, shown as connected after {shown:?}");
        generation = next;
        gaps.push(silent);
    }
    gaps.sort();
    println!("silent for {:?} in the median", gaps[gaps.len() / 2]);
    talk.await??;
    stage.nothing_went_back().await?;
    Arc::into_inner(stage).context("nobody else has the stage")?.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_prepared_opens_nothing_before_it_is_the_nodes_own_and_goes_when_it_is_not_wanted()
-> Result<()> {
    let (stage, generation) = on_a().await?;
    let one = stage.connections().await?;
    stage.assign("b", Some((Phase::Preparing, generation))).await?;
    stage
        .acknowledged("b", "it is prepared and not held", |ack| {
            ack.held.is_empty() && ack.prepared.iter().any(|it| it.generation == generation)
        })
        .await?;
    ensure!((stage.browsers("a"), stage.browsers("b")) == (1, 1), "a warm browser waits on b");

    // Active, but under the owner's generation: the session is still the owner's (I1).
    let revision = stage.assign("b", Some((Phase::Active, generation))).await?;
    stage.acknowledged("b", "it has taken that in", |ack| ack.applied >= revision).await?;
    ensure!(stage.ack("b").await?.held.is_empty(), "it holds what is another node's");
    stage.answers("still from a").await?;
    ensure!(stage.connections().await? == one, "the warm browser has opened the session");

    // The order is withdrawn.
    stage.assign("b", None).await?;
    stage.acknowledged("b", "it is forgotten", |ack| ack.prepared.is_empty()).await?;
    until("its browser is gone", async || stage.browsers("b") == 0).await?;

    // Prepared again, and then the node's working process dies: nothing of it outlives that.
    stage.assign("b", Some((Phase::Preparing, generation))).await?;
    stage.acknowledged("b", "it is prepared again", |ack| !ack.prepared.is_empty()).await?;
    ensure!(stage.working_process(1)?.signal(Signal::STOP)?);
    until("a frozen node has no warm browser", async || stage.browsers("b") == 0).await?;
    stage.answers("from a all the while").await?;
    ensure!(stage.connections().await? == one);
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_whose_codes_nobody_scans_is_prepared_for_without_a_browser() -> Result<()> {
    let (stage, generation) = on_a().await?;
    let fence = Fence { tenant: stage.tenant.clone(), generation };
    let spec = stage.store.worker_spec(&stage.tenant).await?;
    ensure!(stage.store.pause_scan(&fence, spec.restart_seq, "nobody scans").await?);
    stage.assign("b", Some((Phase::Preparing, generation))).await?;
    stage.acknowledged("b", "it is prepared for", |ack| !ack.prepared.is_empty()).await?;
    ensure!(stage.browsers("b") == 0, "a browser waits on b for a tenant that runs none");
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_node_takes_over_from_one_that_dies() -> Result<()> {
    let (mut stage, generation) = on_a().await?;
    stage.answers("before").await?;
    stage.assign("b", Some((Phase::Preparing, generation))).await?;
    stage.acknowledged("b", "it is prepared", |ack| !ack.prepared.is_empty()).await?;
    stage.nodes[0].kill().await?;
    wait_until("the dead node's lease is over", SOON, || async {
        stage.incarnation("a").await.is_ok_and(|it| it.is_none())
    })
    .await?;
    let opened = stage.connections().await? + 1;
    let next = stage.place("b").await?;
    ensure!(next > generation);
    until("b is connected", async || stage.connections().await.is_ok_and(|now| now >= opened)).await?;
    stage.answers("after").await?;
    let fence = Fence { tenant: stage.tenant.clone(), generation };
    ensure!(stage.store.record_conflict(&fence).await.is_err(), "the dead owner's generation writes nothing");
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leads_and_crashes_leaves_no_leader_behind() -> Result<()> {
    let stage = Stage::set().await?;
    stage.registry.revoke(stage.leading).await?;
    until("a node leads as a last resort", async || matches!(stage.leading_node().await, Ok(Some(_))))
        .await?;
    let leader = stage.leading_node().await?.context("a node leads")?;
    let killed_at = Instant::now();
    ensure!(stage.working_process(usize::from(leader == "b"))?.signal(Signal::KILL)?);
    until("its term is over", async || {
        stage.leading_node().await.is_ok_and(|now| now.as_ref() != Some(&leader))
    })
    .await?;
    let took = killed_at.elapsed();
    println!("the term of a killed process ended after {took:?}");
    // Its lease would have lived for four fifths of a TTL at the least.
    ensure!(took < Timing::default().ttl / 2, "it took {took:?}");
    stage.end().await
}
