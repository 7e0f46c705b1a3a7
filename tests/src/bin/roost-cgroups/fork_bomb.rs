//! Processes that start others without an end. No page can do that from its sandbox, so they are put into the group of the tenant's
//! browser from outside, as one would be in that had broken out of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roost_proto::v1::{EventKind, Tenant};

use crate::{
    beside,
    site::{SOON, Site, in_a_unit},
};

const PROCESSES: i32 = 20;
/// 32 threads for each of them.
const MOST: u64 = 640;
/// What those that fork use of the processors is their tenant's.
const MILLICORES: i32 = 500;
const BOMB: &str = "bomb() { while :; do (bomb) & done; }; bomb";

pub async fn is_held(site: &Site) -> Result<String> {
    let limits = Tenant {
        process_limit: Some(PROCESSES),
        cpu_limit_millicores: Some(MILLICORES),
        ..Tenant::default()
    };
    site.limit(limits).await?;
    let standing = site.standing().await?;
    let after = site.last_event().await?;
    let group = site.group(site.offender()).await?;
    // As the node's user, of a shell that has joined the group before. What it says of forks that fail is left unsaid.
    let dir = group.dir().display();
    let become_bomb = format!(
        "echo 0 >{dir}/cgroup.procs && exec setpriv --reuid=roost --regid=roost --clear-groups sh -c '{BOMB}' 2>/dev/null"
    );
    in_a_unit(&[], &["sh", "-c", &become_bomb])?;
    let (mut most, mut refused) = (0, 0);
    let held = async {
        let began = Instant::now();
        while group.exists() {
            ensure!(began.elapsed() < SOON, "{most} threads are in the group yet");
            most = most.max(group.number("pids.current").unwrap_or(0));
            refused = group.counter("pids.events", "max").unwrap_or(refused);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(began.elapsed())
    };
    let (took, round_trips) = beside::during(site, held).await?;
    let (_, told) =
        site.event(EventKind::RestartedOverLimit, after).await?.context("the history does not have it")?;
    let figures = format!(
        "{most} threads of {MOST}, refused {refused} times, gone with its browser after {:.0} s; {told:?}; neighbours {}",
        took.as_secs_f64(),
        round_trips.told()
    );
    ensure!(most <= MOST && refused > 0, "{figures}");
    site.recovered().await?;
    standing.is_kept(site).await?;
    Ok(figures)
}
