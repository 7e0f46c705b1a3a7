//! What WhatsApp, its phones and its servers do to a session.

use std::time::Duration;

use roost_proto::v1::{ConditionKind, SessionStatus, TenantStatus, Worker, WorkerStatus};
use roost_tests::{SOON, Scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_unlinked_on_the_phone_shows_a_new_code_and_works_after_a_scan() -> anyhow::Result<()> {
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants, options.phones_scan) = (1, 1, true);
    })
    .await?;
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    let scans = scenario.cluster.scans();
    scenario.cluster.simulator()?.logout(&tenant.phone).await?;
    // The phone of the harness scans the new code as soon as it is there.
    scenario
        .cluster
        .wait("the new code has been scanned", SOON, || async { scenario.cluster.scans() > scans })
        .await?;
    scenario.answers(&tenant, "after").await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_takes_a_session_back_that_was_opened_elsewhere() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(1, 1).await?;
    // A conflict is an alarm: somebody else may hold the tenant's credentials.
    scenario.expect_error("opened elsewhere");
    let tenant = scenario.tenant(0);
    let before = scenario.cluster.worker(&tenant.id).await?;
    scenario.cluster.simulator()?.conflict(&tenant.phone).await?;
    scenario.answers(&tenant, "still mine").await?;
    let after = scenario.cluster.worker(&tenant.id).await?;
    assert_eq!((before.node_id, before.generation), (after.node_id, after.generation));
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_page_heals_itself_and_loses_nothing() -> anyhow::Result<()> {
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 1);
        options.node_args = vec!["--heard-within".into(), "5s".into()];
    })
    .await?;
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    scenario.cluster.simulator()?.hang(&tenant.phone).await?;
    let mut conversation = scenario.conversation(&tenant)?;
    for _ in 0..6 {
        conversation.say(3).await?;
    }
    scenario.settle(&conversation, SOON * 2).await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_sends_are_swallowed_is_loaded_anew_and_its_replies_go_out() -> anyhow::Result<()> {
    let scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    let swallowed = serde_json::json!({ "lost_acks": 2, "lost_acks_delivered": false });
    scenario.cluster.simulator()?.harden(Some(&tenant.phone), swallowed).await?;
    let mut conversation = scenario.conversation(&tenant)?;
    conversation.say(2).await?;
    // It proves itself all the while: nothing but the sends says that it does not work.
    let heals = |worker: &Worker| {
        worker.condition.as_ref().is_some_and(|condition| {
            condition.kind() == ConditionKind::Healing && condition.reason.contains("does not acknowledge")
        })
    };
    scenario.cluster.worker_until(&tenant.id, "is healed", SOON * 2, heals).await?;
    scenario.settle(&conversation, SOON * 2).await?;
    let works = |worker: &Worker| worker.restarts == 0 && !heals(worker);
    scenario.cluster.worker_until(&tenant.id, "works, without another browser", SOON, works).await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_line_is_reconnected_and_an_outdated_page_is_loaded_anew() -> anyhow::Result<()> {
    let scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    let simulator = scenario.cluster.simulator()?;
    simulator.cut(Some(&tenant.phone), Duration::from_secs(3)).await?;
    scenario.answers(&tenant, "after the cut").await?;
    simulator.outdated(&tenant.phone).await?;
    scenario.answers(&tenant, "after the reload").await?;
    scenario.cluster.tenant_connected(&tenant.id, SOON).await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_persons_phone_is_unlinked_again_and_the_error_names_the_right_one() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(1, 0).await?;
    let tenant = roost_devcluster::demo_tenant(0);
    roost_tests::scenario::create_started(&mut scenario.cluster, &tenant).await?;
    let stranger = roost_devcluster::TenantRecord { phone: "+255799999999".into(), ..tenant.clone() };
    scenario.cluster.scan(&stranger, SOON).await?;
    let refused = |worker: &Worker| {
        worker.last_error.contains(tenant.phone.trim_start_matches('+'))
            && worker.session_status() == SessionStatus::QrReady
            && worker.status() == WorkerStatus::Running
    };
    scenario.cluster.worker_until(&tenant.id, "asks for the right phone", SOON, refused).await?;
    scenario.cluster.scan(&tenant, SOON).await?;
    scenario.cluster.tenant_connected(&tenant.id, SOON).await?;
    let told = roost_tests::scenario::tenant(&scenario.cluster, &tenant.id).await?;
    assert_eq!(told.status(), TenantStatus::Active);
    scenario.finish().await
}
