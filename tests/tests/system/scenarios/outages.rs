//! What the cluster rests on goes away and comes back.

use std::time::Duration;

use crate::scenarios::stage::until;
use anyhow::{Context, Result};
use roost_devcluster::{Signal, Simulator, TenantRecord};
use roost_proto::v1::{ConditionKind, Worker};
use roost_tests::{SOON, Scenario};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Longer than a page is left to itself before it is loaded anew.
const TURNED_AWAY: Duration = Duration::from_secs(20);

/// How long a dependency is away, as the documentation's promise has it.
const AWAY: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_are_answered_while_the_coordinator_is_dead_and_it_goes_on_when_restarted()
-> anyhow::Result<()> {
    let mut scenario = Scenario::start(2, 1).await?;
    let tenant = scenario.tenant(0);
    scenario.cluster.coordinator().kill().await?;
    scenario.answers(&tenant, "without a coordinator").await?;
    scenario.cluster.coordinator().start().await?;
    let worker = scenario.cluster.tenant_connected(&tenant.id, SOON).await?;
    // It controls again: a lost node's tenant is placed.
    scenario.cluster.node(&worker.node_id)?.kill().await?;
    scenario.answers(&tenant, "after a failover by the new controller").await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_needs_no_coordinator() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(3, 1).await?;
    let tenant = scenario.tenant(0);
    let owner = scenario.owner(&tenant).await?;
    scenario.cluster.coordinator().kill().await?;
    scenario.cluster.node(&owner)?.kill().await?;
    scenario.answers(&tenant, "nobody but nodes is left").await?;
    scenario.cluster.coordinator().start().await?;
    scenario.cluster.tenant_connected(&tenant.id, SOON).await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_ten_seconds_without_etcd_everything_runs_again_by_itself() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(2, 2).await?;
    let mut conversations = vec![];
    for index in 0..2 {
        conversations.push(scenario.conversation(&scenario.tenant(index))?);
    }
    let scans = scenario.cluster.scans();
    scenario.cluster.etcd().kill().await?;
    let mut pace = tokio::time::interval(AWAY / 10);
    for _ in 0..10 {
        pace.tick().await;
        for conversation in &mut conversations {
            conversation.say(3).await?;
        }
    }
    scenario.cluster.etcd().restart().await?;
    for conversation in &conversations {
        scenario.settle(conversation, SOON).await?;
    }
    scenario.cluster.connected(SOON).await?;
    assert_eq!(scenario.cluster.scans(), scans);
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_restart_of_etcd_moves_nothing() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(2, 2).await?;
    let before = scenario.cluster.workers().await?;
    scenario.cluster.etcd().restart().await?;
    for index in 0..2 {
        scenario.answers(&scenario.tenant(index), "etcd is back").await?;
    }
    let after = scenario.cluster.workers().await?;
    let places = |workers: &[roost_proto::v1::Worker]| -> Vec<(String, i64)> {
        workers.iter().map(|worker| (worker.node_id.clone(), worker.generation)).collect()
    };
    assert_eq!(places(&before), places(&after), "leases outlive a restart, so nothing had to move");
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_seconds_without_postgres_lose_no_message_and_no_worker() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(1, 2).await?;
    let tenant = scenario.tenant(0);
    let before = scenario.cluster.worker(&tenant.id).await?;
    let mut conversation = scenario.conversation(&tenant)?;
    scenario.cluster.postgres().kill().await?;
    let mut pace = tokio::time::interval(AWAY / 10);
    for _ in 0..10 {
        pace.tick().await;
        conversation.say(3).await?;
    }
    scenario.cluster.postgres().restart().await?;
    scenario.settle(&conversation, SOON).await?;
    scenario.cluster.connected(SOON).await?;
    let after = scenario.cluster.worker(&tenant.id).await?;
    assert_eq!(
        (before.node_id, before.generation),
        (after.node_id, after.generation),
        "the worker could be kept, so it was"
    );
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_postgres_is_waited_for() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    let mut conversation = scenario.conversation(&tenant)?;
    scenario.cluster.postgres().signal_all(Signal::STOP)?;
    let mut pace = tokio::time::interval(AWAY / 10);
    for _ in 0..10 {
        pace.tick().await;
        conversation.say(3).await?;
    }
    scenario.cluster.postgres().signal_all(Signal::CONT)?;
    scenario.settle(&conversation, SOON).await?;
    scenario.finish().await
}

/// As WhatsApp may deliver to a page that does not acknowledge.
const DELIVERED: usize = 5_000;
/// More than a page tells its node of, and no more than the simulated one has in memory.
const WRITTEN: usize = 900;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_chats_write_while_postgres_is_frozen_is_held_by_the_page_and_nothing_else_waits_for_it()
-> Result<()> {
    let mut scenario = Scenario::start(1, 2).await?;
    let (busy, other) = (scenario.tenant(0), scenario.tenant(1));
    let phones = scenario.cluster.simulator()?.clone();
    phones.harden(Some(&busy.phone), serde_json::json!({ "in_flight": DELIVERED })).await?;
    let node = scenario.cluster.node("node-1")?.pid().context("the node runs")?;
    let (browsers, connections) = (browsers(node), connections(&phones, &busy).await);
    let mut conversation = scenario.conversation(&busy)?;
    scenario.cluster.postgres().signal_all(Signal::STOP)?;
    for _ in 0..WRITTEN {
        conversation.say(60).await?;
    }
    phones.conflict(&busy.phone).await?;
    until("the owner has taken the session back", async || {
        self::connections(&phones, &busy).await > connections
    })
    .await?;
    phones.logout(&other.phone).await?;
    until("the browser of who is logged out is gone", async || {
        self::browsers(node).len() == browsers.len() - 1
    })
    .await?;
    scenario.cluster.postgres().signal_all(Signal::CONT)?;
    scenario.settle(&conversation, SOON * 2).await?;
    assert!(self::browsers(node).iter().any(|pid| browsers.contains(pid)), "it is the same browser");
    let worker = scenario.cluster.tenant_connected(&busy.id, SOON).await?;
    assert_eq!(worker.restarts, 0);
    scenario.finish().await
}

async fn connections(phones: &Simulator, of: &TenantRecord) -> usize {
    let seen = phones.connections().await.map(|seen| seen.connections).unwrap_or_default();
    seen.iter().filter(|connection| connection.phone == of.phone.trim_start_matches('+')).count()
}

/// The root process of each.
fn browsers(node: u32) -> Vec<u32> {
    let is_root = |command: &str| command.contains("--user-data-dir=") && !command.contains("--type=");
    let processes = roost_devcluster::descendants(node);
    let roots = processes.iter().filter(|process| is_root(&process.command));
    roots.map(|process| process.identity.pid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_whatsapp_turns_everybody_away_it_is_said_what_is_waited_for_and_all_come_back() -> Result<()> {
    let scenario = Scenario::start(1, 2).await?;
    let scans = scenario.cluster.scans();
    scenario.cluster.simulator()?.cut(None, TURNED_AWAY).await?;
    for index in 0..2 {
        waits_for_whatsapp(&scenario, &scenario.tenant(index).id, "waiting for WhatsApp").await?;
    }
    scenario.cluster.connected(SOON + TURNED_AWAY).await?;
    assert_eq!(scenario.cluster.scans(), scans);
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_answers_503_is_waited_for_with_that_word() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let site = tokio::spawn(answer_503(listener));
    let scenario =
        Scenario::starting(|options| (options.nodes, options.tenants, options.page_url) = (1, 1, Some(url)))
            .await?;
    waits_for_whatsapp(&scenario, &scenario.tenant(0).id, "the site answers 503").await?;
    site.abort();
    Ok(())
}

async fn waits_for_whatsapp(scenario: &Scenario, tenant: &str, words: &str) -> Result<()> {
    let wanted = |worker: &Worker| {
        let condition = worker.condition.clone().unwrap_or_default();
        condition.kind() == ConditionKind::WaitingForWhatsapp && worker.last_error.contains(words)
    };
    scenario.cluster.worker_until(tenant, "waits for WhatsApp", SOON, wanted).await?;
    Ok(())
}

async fn answer_503(listener: TcpListener) {
    while let Ok((mut peer, _)) = listener.accept().await {
        tokio::spawn(async move {
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";
            let _asked = peer.read(&mut [0; 4096]).await;
            let _answered = peer.write_all(answer.as_bytes()).await;
        });
    }
}
