//! What the leases of a thousand nodes cost an etcd of three members, and what the read that proves each renewal adds.
//!
//! The same thousand leases are renewed for a while at the pace of a TTL of 5 s, then once more with a second read after
//! each renewal: the difference is the price of one read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use roost_cluster::registry::{EtcdRegistry, Op, Registry};
use roost_devcluster::Etcd;
use roost_model::ids::Incarnation;
use roost_tests::processor_time::processor_time;
use tokio::{task::JoinSet, time::interval};

use crate::report::{Report, percentile};

const NODES: usize = 1_000;
const TTL: Duration = Duration::from_secs(60);
/// Of a TTL of 5 s.
const EVERY: Duration = Duration::from_millis(1_250);
const ROUNDS: u32 = 8;
const REQUEST: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 32;
/// A request that takes a fifth of the TTL has failed.
const P99_MS: f64 = 1_000.0;

#[derive(Clone)]
struct Lease {
    registry: Arc<EtcdRegistry>,
    id: Incarnation,
    key: String,
}

struct Cost {
    p50_ms: f64,
    p99_ms: f64,
    /// Of all members together, in processors.
    etcd_cpu: f64,
}

pub async fn measure(report: &mut Report) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("roost-bench-")?;
    let members = Etcd::start_several(dir.path(), 3, None).await?;
    let leases = grant(&members).await?;
    let proven = renew(&members, &leases, false).await?;
    let with_second_read = renew(&members, &leases, true).await?;
    let read = with_second_read.etcd_cpu - proven.etcd_cpu;
    report.row(
        format!("{NODES} leases on three members of etcd, each renewal proven by a read: p50 / p99"),
        format!("{:.1} / {:.1} ms", proven.p50_ms, proven.p99_ms),
        format!("{:.1} / {:.1} ms with a second read", with_second_read.p50_ms, with_second_read.p99_ms),
        format!("p99 at most {P99_MS:.0} ms"),
        proven.p99_ms <= P99_MS,
    );
    report.row(
        format!("{NODES} leases: processors that the three members use"),
        format!("{:.2}", proven.etcd_cpu),
        format!("{:.2} without the reads, as a second one costs {read:.2}", proven.etcd_cpu - read),
        "at most one",
        proven.etcd_cpu <= 1.0,
    );
    Ok(())
}

async fn grant(members: &[Etcd]) -> Result<Vec<Lease>> {
    let mut registries = Vec::with_capacity(members.len());
    for member in members {
        let endpoint = [member.endpoint().to_owned()];
        registries.push(Arc::new(EtcdRegistry::connect(&endpoint, "renewals", REQUEST).await?));
    }
    let lease = |number: usize| {
        let registry = registries[number % registries.len()].clone();
        async move {
            let (id, key) = (registry.grant(TTL).await?, format!("nodes/n{number:04}"));
            let put = Op::Put { key: key.clone(), value: Vec::new(), lease: Some(id) };
            registry.commit(&[], &[put]).await?;
            anyhow::Ok(Lease { registry, id, key })
        }
    };
    stream::iter(0..NODES).map(lease).buffer_unordered(AT_ONCE).try_collect().await
}

/// Every lease renewed each [`EVERY`], evenly spread over it.
async fn renew(members: &[Etcd], leases: &[Lease], reads_again: bool) -> Result<Cost> {
    let (began, cpu_before) = (Instant::now(), cpu_s(members)?);
    let mut pace = interval(EVERY / NODES as u32);
    let (mut renewals, mut took) = (JoinSet::new(), Vec::with_capacity(NODES * ROUNDS as usize));
    for _ in 0..ROUNDS {
        for lease in leases {
            pace.tick().await;
            renewals.spawn(one(lease.clone(), reads_again));
        }
    }
    while let Some(renewed) = renewals.join_next().await {
        took.push(renewed??.as_secs_f64() * 1_000.0);
    }
    ensure!(took.len() == NODES * ROUNDS as usize, "{} renewals", took.len());
    took.sort_by(f64::total_cmp);
    let etcd_cpu = (cpu_s(members)? - cpu_before) / began.elapsed().as_secs_f64();
    Ok(Cost { p50_ms: percentile(&took, 50), p99_ms: percentile(&took, 99), etcd_cpu })
}

async fn one(lease: Lease, reads_again: bool) -> Result<Duration> {
    let began = Instant::now();
    lease.registry.keep_alive(lease.id, &lease.key).await?;
    if reads_again {
        lease.registry.get(&lease.key).await?;
    }
    Ok(began.elapsed())
}

/// What the members have used so far.
fn cpu_s(members: &[Etcd]) -> Result<f64> {
    Ok(processor_time(members.iter().map(Etcd::pid))?.as_secs_f64())
}
