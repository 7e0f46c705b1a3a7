//! A phone that is linked by a code that is typed, and codes that nobody scans, over the loss of a node.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use roost_devcluster::Signal;
use roost_proto::v1::{
    ConditionKind, DrawQrCodeRequest, EventKind, GetSessionRequest, ListEventsRequest, QrFormat,
    RequestPairingCodeRequest, ResumeLinkingRequest, Session, Worker,
};
use roost_tests::{SOON, Scenario, scenario::create_started};

fn is_paused(worker: &Worker) -> bool {
    worker.condition.as_ref().is_some_and(|condition| condition.kind() == ConditionKind::ScanPaused)
}

async fn session(scenario: &Scenario, tenant: &str) -> Result<Session> {
    let request = GetSessionRequest { tenant_id: tenant.to_owned() };
    Ok(scenario.cluster.admin().sessions().get_session(request).await?.into_inner())
}

/// Browsers of the cluster's nodes that live.
fn browsers(scenario: &mut Scenario) -> usize {
    let of = |process: &roost_devcluster::Descendant| {
        process.command.contains("--user-data-dir") && !process.command.contains("--type=")
    };
    scenario.cluster.nodes().iter().map(|node| node.descendants().iter().filter(|it| of(it)).count()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_that_nobody_scans_cost_no_browser_over_a_failover_and_one_that_is_typed_links_the_phone()
-> Result<()> {
    let mut scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants, options.phones_scan) = (2, 0, false);
        (options.first_code, options.code_every) = (Duration::from_secs(2), Duration::from_secs(2));
        options.node_args = vec!["--qr-rotations".into(), "2".into()];
    })
    .await?;
    let tenant = roost_devcluster::demo_tenant(0);
    create_started(&mut scenario.cluster, &tenant).await?;
    let paused = scenario.cluster.worker_until(&tenant.id, "shows no more codes", SOON, is_paused).await?;
    let noted =
        || async { session(&scenario, &tenant.id).await.is_ok_and(|it| it.scan_pause_time.is_some()) };
    scenario.cluster.wait("its browser is closed, which is noted", SOON, noted).await?;
    ensure!(browsers(&mut scenario) == 0, "a browser is left");

    scenario.cluster.node(&paused.node_id)?.signal(Signal::KILL)?;
    let next = |worker: &Worker| {
        worker.generation > paused.generation && !worker.node_id.is_empty() && is_paused(worker)
    };
    let moved = scenario.cluster.worker_until(&tenant.id, "is paused elsewhere", SOON, next).await?;
    ensure!(moved.node_id != paused.node_id, "it is where it was");
    ensure!(browsers(&mut scenario) == 0, "the new owner has started a browser");

    let admin = scenario.cluster.admin().clone();
    let tenant_id = tenant.id.clone();
    admin.sessions().resume_linking(ResumeLinkingRequest { tenant_id: tenant_id.clone() }).await?;
    let shown = || async { session(&scenario, &tenant.id).await.is_ok_and(|session| session.qr.is_some()) };
    scenario.cluster.wait("codes are shown again", SOON, shown).await?;
    let request = DrawQrCodeRequest { tenant_id: tenant_id.clone(), format: QrFormat::Svg as i32 };
    let picture = admin.sessions().draw_qr_code(request).await?.into_inner();
    ensure!(picture.content_type == "image/svg+xml" && picture.content.starts_with(b"<?xml"));

    let request =
        RequestPairingCodeRequest { tenant_id: tenant_id.clone(), phone_number: tenant.phone.clone() };
    let code = admin.sessions().request_pairing_code(request).await?.into_inner();
    scenario.cluster.simulator()?.link(&code.code, &tenant.phone, "Safari Lodge").await?;
    scenario.cluster.tenant_connected(&tenant.id, SOON).await?;
    let account = session(&scenario, &tenant.id).await?.account.context("the account is shown")?;
    ensure!(account.phone_number == tenant.phone && account.push_name == "Safari Lodge", "{account:?}");
    ensure!(account.platform == "android" && account.link_time.is_some(), "{account:?}");

    let listed = ListEventsRequest { tenant_id, ..ListEventsRequest::default() };
    let events = admin.cluster().list_events(listed).await?.into_inner().events;
    let told = |kind: EventKind| events.iter().filter(|event| event.kind() == kind).count();
    ensure!((told(EventKind::ScanPaused), told(EventKind::ScanResumed)) == (1, 1), "{events:#?}");
    ensure!(events.iter().all(|event| !event.text.contains(&code.code)), "a code is in the history");
    for (_, log) in scenario.cluster.logs() {
        let log = std::fs::read(&log).unwrap_or_default();
        ensure!(!String::from_utf8_lossy(&log).contains(&code.code), "a code is in a log");
    }
    scenario.finish().await
}
