//! What a tenant's page shows, asked for by support: on record before it is given out, or not given out.

use anyhow::{Context, Result, ensure};
use roost_proto::{
    error::ApiError,
    v1::{EventKind, ListEventsRequest, StopWorkerRequest, TakeScreenshotRequest, TakeScreenshotResponse},
};
use roost_tests::{SOON, Scenario};
use sqlx::{Connection, PgConnection, raw_sql};
use tonic::Code;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Nobody can put down who has asked.
const REFUSE_RECORDS: &str = "
    create function refuse_screenshots() returns trigger language plpgsql as $$
        begin raise exception 'no record'; end $$;
    create trigger refuse_screenshots before insert on cluster_events for each row
        when (new.kind = 'SCREENSHOT_TAKEN') execute function refuse_screenshots()";

async fn take(scenario: &Scenario, tenant: &str) -> Result<TakeScreenshotResponse, tonic::Status> {
    let request = TakeScreenshotRequest {
        tenant_id: tenant.to_owned(),
        requested_by: "asha".into(),
        reason: "ticket 7".into(),
    };
    Ok(scenario.cluster.admin().inspection().take_screenshot(request).await?.into_inner())
}

async fn records(scenario: &Scenario) -> Result<Vec<roost_proto::v1::Event>> {
    let listed = scenario.cluster.admin().cluster().list_events(ListEventsRequest::default()).await?;
    let mut events = listed.into_inner().events;
    events.retain(|event| event.kind() == EventKind::ScreenshotTaken);
    Ok(events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_a_page_is_on_record_or_is_not_given_out() -> Result<()> {
    let mut scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    let node = scenario.owner(&tenant).await?;
    let taken = take(&scenario, &tenant.id).await?;
    ensure!(taken.png.starts_with(PNG) && taken.png.len() > 1_000, "{} bytes", taken.png.len());
    ensure!(taken.node_id == node && taken.generation > 0, "{} {}", taken.node_id, taken.generation);
    let told = records(&scenario).await?;
    let [event] = told.as_slice() else { anyhow::bail!("{told:?}") };
    ensure!((event.requested_by.as_str(), event.reason.as_str()) == ("asha", "ticket 7"), "{event:?}");
    ensure!((event.tenant_id.as_str(), event.node_id.as_str()) == (&tenant.id, &node), "{event:?}");

    let mut database = PgConnection::connect(scenario.cluster.postgres().url()).await?;
    raw_sql(REFUSE_RECORDS).execute(&mut database).await?;
    let refused = take(&scenario, &tenant.id).await.err().context("a picture without a record")?;
    ensure!(refused.message().contains("not given out"), "{refused:?}");
    raw_sql("drop trigger refuse_screenshots on cluster_events").execute(&mut database).await?;
    ensure!(records(&scenario).await?.len() == 1);
    scenario.answers(&tenant, "as before").await?;

    let stop = StopWorkerRequest { tenant_id: tenant.id.clone() };
    scenario.cluster.admin().workers().stop_worker(stop).await?;
    scenario
        .cluster
        .worker_until(&tenant.id, "is on no node", SOON, |worker| worker.node_id.is_empty())
        .await?;
    let refused = take(&scenario, &tenant.id).await.err().context("a picture of nothing")?;
    ensure!(refused.code() == Code::FailedPrecondition, "{refused:?}");
    let why = ApiError::from_status(&refused).context("with a reason")?.message;
    ensure!(why.contains("no worker running") && why.contains("roost worker start"), "{why}");
    scenario.finish().await
}
