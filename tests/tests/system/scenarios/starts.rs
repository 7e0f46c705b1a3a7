//! Pages whose start costs seconds of processor time, and many of them at once.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, ensure};
use roost_devcluster::{Signal, is_connected};
use roost_proto::v1::Worker;
use roost_tests::{SOON, Scenario};
use rustix::time::{ClockId, clock_gettime};

const TENANTS: u32 = 6;
const START_COST: Duration = Duration::from_secs(2);
/// Beside it, for each: a browser's own start and what the library does in its page, on one processor and in a debug build.
const LAUNCH: Duration = Duration::from_millis(1_500);
/// Before the first attempt, and from a connection to its being read from the API.
const BEFORE_AND_AFTER: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_cost_seconds_come_up_a_few_at_a_time_and_each_is_started_once() -> Result<()> {
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants, options.start_cost) = (1, TENANTS as usize, START_COST);
    })
    .await?;
    let before = scenario.cluster.workers().await?;
    let cores = u32::try_from(thread::available_parallelism()?.get())?;
    let slow_before = slowness(cores);
    let (killed, killed_ms) = (Instant::now(), unix_ms());
    for process in scenario.cluster.node("node-1")?.descendants() {
        if process.command.contains("--user-data-dir") && !process.command.contains("--type=") {
            process.identity.signal(Signal::KILL)?;
        }
    }
    let back = |now: &[Worker]| {
        let is_back = |old: &Worker| {
            now.iter()
                .any(|it| it.tenant_id == old.tenant_id && it.restarts > old.restarts && is_connected(it))
        };
        before.iter().all(is_back)
    };
    scenario
        .cluster
        .wait("all are connected again", SOON * 2, || async {
            scenario.cluster.workers().await.is_ok_and(|now| back(&now))
        })
        .await?;
    let took = killed.elapsed();

    for (old, new) in before.iter().zip(scenario.cluster.workers().await?) {
        ensure!(new.restarts == old.restarts + 1, "{} was started more than once: {new:?}", new.tenant_id);
    }
    let seen = scenario.cluster.simulator()?.connections().await?.connections;
    let mut after_ms: Vec<_> = seen.iter().filter_map(|it| it.opened_at_ms.checked_sub(killed_ms)).collect();
    after_ms.sort_unstable();
    ensure!(after_ms.len() == TENANTS as usize, "each page was loaded once: {after_ms:?}");
    // Side by side they would all come at the end; those that go first have come by the half of it, for a node starts one more than it
    // has processors.
    ensure!(
        after_ms[0] * 3 < after_ms[TENANTS as usize - 1] * 2,
        "they were all started at once: {after_ms:?}"
    );

    let (work, launches) = (START_COST * TENANTS / cores, LAUNCH * TENANTS / cores);
    // The machine is others' too, and what they leave of it is measured.
    let slow = slow_before.max(slowness(cores));
    let allowed = (work.mul_f64(1.3) + launches).mul_f64(slow) + BEFORE_AND_AFTER;
    ensure!(took < allowed, "it took {took:?} and not {allowed:?}: {after_ms:?}");
    scenario.finish().await
}

/// How many times as long as it should some work takes that keeps every processor busy.
fn slowness(cores: u32) -> f64 {
    let work = Duration::from_millis(200);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let until = processor_time() + work;
                while processor_time() < until {}
            });
        }
    });
    begun.elapsed().as_secs_f64() / work.as_secs_f64()
}

/// Of this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
