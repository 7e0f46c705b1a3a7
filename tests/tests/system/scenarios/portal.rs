//! The portal in a browser: see tests/browser. What its script finds wrong is shown when it fails.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use roost_devcluster::DevRecord;
use roost_proto::v1::{ConditionKind, Worker};
use roost_tests::{SOON, Scenario};
use tokio::{process::Command, time::timeout};

const DEADLINE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_get_a_business_link_a_phone_read_what_is_said_and_see_a_failover_pass() -> Result<()> {
    let mut scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants, options.phones_scan) = (2, 1, false);
        // The page is seen to renew one, and there is time to scan the next.
        (options.first_code, options.code_every) = (Duration::from_secs(8), Duration::from_secs(20));
        options.echo = true;
    })
    .await?;
    scenario.cluster.invite_owner().await?;
    scenario.cluster.invite_applicant().await?;
    scenario.cluster.publish()?;
    let url = scenario.cluster.portal_url().unwrap_or_default().to_owned();
    is_found_right(&scenario, "owner.js", &url).await?;
    is_found_right(&scenario, "newcomer.js", &url).await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_sees_a_node_die_and_restarts_a_worker() -> Result<()> {
    let mut scenario = Scenario::starting(|options| (options.nodes, options.tenants) = (2, 1)).await?;
    scenario.cluster.invite_admin().await?;
    scenario.cluster.publish()?;
    let tenant = scenario.tenant(0);
    let answers = |it: &Worker| it.condition.as_ref().is_some_and(|it| it.kind() == ConditionKind::Answering);
    scenario.cluster.worker_until(&tenant.id, "answers", SOON, answers).await?;
    let url = scenario.cluster.console_url().unwrap_or_default().to_owned();
    is_found_right(&scenario, "operator.js", &url).await?;
    scenario.finish().await
}

/// By a script, which is told where to begin and who has the first tenant.
async fn is_found_right(scenario: &Scenario, script: &str, url: &str) -> Result<()> {
    let tenant = scenario.tenant(0);
    let placed =
        scenario.cluster.worker_until(&tenant.id, "is placed", SOON, |it| !it.node_id.is_empty()).await?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    ensure!(
        scripts.join("node_modules").exists(),
        "no npm packages in {}; run: make test-deps",
        scripts.display()
    );
    let output = Command::new("node")
        .arg(script)
        .current_dir(&scripts)
        .env("PORTAL_URL", url)
        .env("SETUP_URL", scenario.cluster.setup_url().unwrap_or_default())
        .env("SIMULATOR_URL", scenario.cluster.simulator()?.url())
        .env("DEV_JSON", DevRecord::path(scenario.cluster.state_dir()))
        .env("OWNER", &placed.node_id)
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, output).await??;
    let told = [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned());
    ensure!(output.status.success(), "{script}: {}", told.concat());
    Ok(())
}
