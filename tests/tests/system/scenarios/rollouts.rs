//! Versions of the page and of the library, given to two tenants first while two others keep what they have: a sound one becomes the
//! fleet's, each broken one is taken back by itself, and all answer again. Customers write to all of them all the while.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use roost_devcluster::bridge;
use roost_proto::v1::{
    CreateVersionRequest, DescribeWorkerRequest, GetOperationRequest, ListVersionsRequest, Operation,
    OperationState, PinVersionRequest, StartRolloutRequest, VersionKind,
};
use roost_simulator::builds::{Extent, PageBuild, broken_library, page};
use roost_tests::{SOON, Scenario};
use tokio::task::JoinSet;

const TENANTS: usize = 4;
/// A page that does not attach is given up after the start deadline, one that does not send after two sends that hang.
const WITHIN: Duration = Duration::from_secs(180);
const EVERY: Duration = Duration::from_millis(200);

async fn keep(scenario: &Scenario, name: &str, kind: VersionKind, content: String) -> Result<()> {
    let kind = kind.into();
    let request = CreateVersionRequest { name: name.into(), kind, content, ..Default::default() };
    scenario.cluster.admin().versions().create_version(request).await?;
    Ok(())
}

/// Rolls it out to half of them, and waits for the end.
async fn roll_out(scenario: &Scenario, version: &str) -> Result<Operation> {
    let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let request = StartRolloutRequest {
        version: version.into(),
        share_percent: 50,
        max_concurrent: 2,
        least_acknowledged: 6,
        watch_for: span(3),
        give_up_after: span(170),
        ..Default::default()
    };
    let id = scenario.cluster.admin().versions().start_rollout(request).await?.into_inner().id;
    let began = Instant::now();
    loop {
        let request = GetOperationRequest { id };
        let now = scenario.cluster.admin().operations().get_operation(request).await?.into_inner();
        if now.state() != OperationState::Running {
            return Ok(now);
        }
        ensure!(began.elapsed() < WITHIN, "{version} is not judged: {now:?}");
        tokio::time::sleep(EVERY).await;
    }
}

/// The pages and the libraries that browsers run with, tenant by tenant.
async fn versions(scenario: &Scenario) -> Result<Vec<(String, String)>> {
    let mut versions = Vec::new();
    for tenant in scenario.cluster.tenants() {
        let request = DescribeWorkerRequest { tenant_id: tenant.id.clone() };
        let told = scenario.cluster.admin().inspection().describe_worker(request).await?.into_inner();
        let browser = told.live.and_then(|live| live.browser).context("it has a browser")?;
        versions.push((browser.page_version, browser.library_version));
    }
    Ok(versions)
}

/// Rolls out a broken version: whoever is given it fails, nobody else does, and all are back on what they had.
async fn is_taken_back(scenario: &Scenario, version: &str) -> Result<()> {
    let broken = roll_out(scenario, version).await?;
    let told = [1, 2].map(|fail| format!("broken: {fail} of 2 that have it fail, and 0 of 2 that do not: "));
    let is_told = told.iter().any(|told| broken.message.starts_with(told));
    ensure!(broken.state() == OperationState::Failed && is_told, "{version}: {broken:?}");
    scenario.cluster.connected(SOON).await?;
    let back = versions(scenario).await?;
    ensure!(back.iter().all(|(page, library)| page != version && library != version), "{version}: {back:?}");
    Ok(())
}

/// Customers that write to every tenant until they are told to stop; then all of them have been answered once.
struct Customers {
    stop: Arc<AtomicBool>,
    writing: JoinSet<Result<()>>,
}

impl Customers {
    fn of(scenario: &Scenario) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writing = JoinSet::new();
        for index in 0..TENANTS {
            let mut conversation = scenario.conversation(&scenario.tenant(index))?;
            let stop = stop.clone();
            writing.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    conversation.say(3).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                conversation.settle(WITHIN).await
            });
        }
        Ok(Self { stop, writing })
    }

    async fn are_answered(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(answered) = self.writing.join_next().await {
            answered??;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_version_becomes_the_fleets_and_each_broken_one_is_taken_back() -> Result<()> {
    let scenario = Scenario::start(1, TENANTS).await?;
    let library = fs::read_to_string(bridge()?)?;
    let build = |build| page(build, Extent::default());
    for (name, kind, content) in [
        ("sound", VersionKind::Page, build(PageBuild::Sound)),
        ("no-look-ups", VersionKind::Page, build(PageBuild::BrokenLookups)),
        ("no-sends", VersionKind::Page, build(PageBuild::BrokenSends)),
        ("4.6.0-again", VersionKind::Library, library.clone()),
        ("4.6.0-broken", VersionKind::Library, broken_library(&library)?),
    ] {
        keep(&scenario, name, kind, content).await?;
    }
    let own = versions(&scenario).await?;
    ensure!(own.iter().all(|(page, library)| page.is_empty() && library == "4.6.0"), "{own:?}");
    let customers = Customers::of(&scenario)?;

    let sound = roll_out(&scenario, "sound").await?;
    ensure!(sound.state() == OperationState::Done && sound.done_tenants == 2, "{sound:?}");
    let tried: Vec<bool> = versions(&scenario).await?.iter().map(|(page, _)| page == "sound").collect();
    ensure!(tried.iter().filter(|has_it| **has_it).count() == 2, "the others keep their browsers: {tried:?}");
    let again = roll_out(&scenario, "4.6.0-again").await?;
    ensure!(again.state() == OperationState::Done, "{again:?}");

    for version in ["no-sends", "4.6.0-broken"] {
        is_taken_back(&scenario, version).await?;
    }
    customers.are_answered().await?;
    // A page that hides its modules acknowledges what comes by itself: nobody writes to it.
    is_taken_back(&scenario, "no-look-ups").await?;
    for index in 0..TENANTS {
        scenario.answers(&scenario.tenant(index), "all answer").await?;
    }

    // What the fleet has is told, and goes when it is taken from it.
    let list = scenario.cluster.admin().versions().list_versions(ListVersionsRequest {}).await?.into_inner();
    let fleets: Vec<&str> =
        list.versions.iter().filter(|one| one.is_fleets).map(|one| one.name.as_str()).collect();
    ensure!(fleets == ["4.6.0-again", "sound"], "{fleets:?}");
    let none = PinVersionRequest { kind: VersionKind::Page.into(), ..Default::default() };
    ensure!(scenario.cluster.admin().versions().pin_version(none).await?.into_inner().changed);
    scenario.finish().await
}
