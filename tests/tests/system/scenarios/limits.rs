//! A page that leaks, beside one that does not.

use anyhow::{Context, Result, ensure};
use roost_proto::v1::{DescribeWorkerRequest, Tenant, UpdateTenantRequest};
use roost_tests::{SOON, Scenario};
use serde_json::json;
use sqlx::{Connection, PgConnection};

const LIMIT_MIB: i64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_leaks_is_restarted_over_its_limit_and_its_neighbour_notices_nothing() -> Result<()> {
    let mut scenario = Scenario::start(1, 2).await?;
    let (leaks, neighbour) = (scenario.tenant(0), scenario.tenant(1));
    let tenant =
        Tenant { id: leaks.id.clone(), memory_limit_bytes: Some(LIMIT_MIB << 20), ..Tenant::default() };
    let request = UpdateTenantRequest { tenant: Some(tenant), update_mask: None };
    scenario.cluster.admin().tenants().update_tenant(request).await?;
    // Slow enough to be seen between its limit and half as much again.
    scenario.cluster.simulator()?.harden(Some(&leaks.phone), json!({ "leak_mib_per_s": 8 })).await?;

    let mut database = PgConnection::connect(scenario.cluster.postgres().url()).await?;
    let worker = async |tenant: &str| scenario.cluster.worker(tenant).await;
    let restarted = || async { worker(&leaks.id).await.is_ok_and(|worker| worker.restarts == 1) };
    scenario.cluster.wait("it is restarted", SOON, restarted).await?;
    scenario.cluster.simulator()?.harden(Some(&leaks.phone), json!({ "leak_mib_per_s": 0 })).await?;
    scenario.answers(&leaks, "after it").await?;
    scenario.answers(&neighbour, "beside it").await?;

    let told = "select tenant_id || ': ' || text from cluster_events where kind = 'RESTARTED_OVER_LIMIT'";
    let told: Vec<String> = sqlx::query_scalar(told).fetch_all(&mut database).await?;
    let [told] = told.as_slice() else { anyhow::bail!("once: {told:?}") };
    let begins = format!("{}: its browser is restarted: it used 2", leaks.id);
    ensure!(told.starts_with(&begins) && told.ends_with("may use 200"), "{told}");
    // Both are seen anew by then, each with what it uses.
    let modest = |worker: Result<roost_proto::v1::Worker, _>| {
        worker.is_ok_and(|worker| worker.memory_bytes.is_some_and(|bytes| bytes < LIMIT_MIB << 20))
    };
    let shown = || async {
        modest(worker(&leaks.id).await.map_err(drop)) && modest(worker(&neighbour.id).await.map_err(drop))
    };
    scenario.cluster.wait("both use less than the limit", SOON, shown).await?;
    let described = DescribeWorkerRequest { tenant_id: neighbour.id.clone() };
    let described = scenario.cluster.admin().inspection().describe_worker(described).await?.into_inner();
    let browser = described.live.and_then(|live| live.browser).context("it runs")?;
    let held_by = &browser.limits_held_by;
    ensure!(
        held_by.starts_with("the control group /") || held_by.starts_with("the node's looks at it alone: "),
        "{held_by:?}"
    );
    let beside = worker(&neighbour.id).await?;
    ensure!(beside.restarts == 0 && beside.last_error.is_empty(), "{beside:?}");
    let connections = scenario.cluster.simulator()?.connections().await?.connections;
    let of_neighbour = connections.iter().filter(|one| neighbour.phone.ends_with(&one.phone)).count();
    ensure!(of_neighbour == 1, "it was connected {of_neighbour} times");
    scenario.finish().await
}
