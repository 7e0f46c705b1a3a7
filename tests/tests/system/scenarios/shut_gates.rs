//! What a node costs while nothing may be sent: that the time of a reply has come is no reason to look again and again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roost_proto::v1::ConditionKind;
use roost_tests::{SOON, Scenario, processor_time::processor_time};
use sqlx::{Connection, Executor, PgConnection};

const TENANTS: usize = 20;
const WINDOW: Duration = Duration::from_secs(5);
/// Of one core.
const SHARE: f64 = 0.02;

/// WhatsApp is away from all of its tenants, each of which has replies whose time has come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_due_replies_may_not_be_sent_takes_no_processor_time() -> Result<()> {
    let mut scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants, options.phones_scan) = (1, TENANTS, false);
        options.node_args = ["--engine", "null-away"].map(str::to_owned).to_vec();
    })
    .await?;
    all_wait_for_whatsapp(&scenario).await?;
    scenario.cluster.node("node-1")?.kill().await?;
    let mut database = PgConnection::connect(scenario.cluster.postgres().url()).await?;
    database
        .execute(
            "insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body)
            select id, n, 'true_255711000111@c.us_' || n, '255711000111@c.us', 'due' from tenants, generate_series(1, 3) n;
            update worker_processes set condition = 'NONE'",
        )
        .await?;
    // An owner reads what waits when it begins.
    scenario.cluster.start_node("node-1").await?;
    all_wait_for_whatsapp(&scenario).await?;

    let node = scenario.cluster.node("node-1")?;
    let guard = node.pid().context("it runs")?;
    let child = node.descendants().into_iter().find(|process| process.parent == guard);
    let pids = [guard, child.context("the guard has a child")?.identity.pid];
    // At first it looks for WhatsApp every second or two, for each of them.
    let (began, mut least) = (Instant::now(), f64::MAX);
    while least >= SHARE {
        ensure!(began.elapsed() < SOON, "guard and child take {least:.3} of a core at the least");
        least = share_of_a_core(pids).await?.min(least);
    }
    let due = "select count(*) from bm_out where state = 'PENDING' and next_attempt_at <= now()";
    let due: i64 = sqlx::query_scalar(due).fetch_one(&mut database).await?;
    ensure!(due == 3 * TENANTS as i64, "{due} replies are due");
    scenario.finish_without_a_connection().await
}

async fn share_of_a_core(pids: [u32; 2]) -> Result<f64> {
    let (before, began) = (processor_time(pids)?, Instant::now());
    tokio::time::sleep(WINDOW).await;
    Ok((processor_time(pids)? - before).as_secs_f64() / began.elapsed().as_secs_f64())
}

async fn all_wait_for_whatsapp(scenario: &Scenario) -> Result<()> {
    let waits = || async {
        let workers = scenario.cluster.workers().await.unwrap_or_default();
        let kinds = workers.iter().map(|worker| worker.condition.as_ref().map(|now| now.kind()));
        workers.len() == TENANTS
            && kinds.into_iter().all(|kind| kind == Some(ConditionKind::WaitingForWhatsapp))
    };
    Ok(scenario.cluster.wait("all wait for WhatsApp", SOON * 2, waits).await?)
}
