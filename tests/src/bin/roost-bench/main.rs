//! `make bench`: the figures of BENCHMARKS.md, each beside its baseline in the same run on the same machine. Prints the
//! table as Markdown; exits with 1 when a bound that the project promises is broken.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod claims;
mod crash;
mod failover;
mod flags;
mod fleet_restart;
mod hour;
mod idle;
mod kept;
mod load;
mod memory;
mod neighbours;
mod planned;
mod pm2;
mod rebalance;
mod regress;
mod report;
mod round_trip;
mod scale;
mod site;
mod workers;

use std::time::Duration;

use clap::Parser;
use report::Report;
use site::Site;

#[derive(Parser)]
struct Args {
    /// Failovers, and planned moves, to measure.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Process crashes to measure: four tenants each, and the bound is on the 99th percentile.
    #[arg(long, default_value_t = 25)]
    crashes: usize,
    /// Rows that are kept in the queues beside what is measured.
    #[arg(long, default_value_t = 10_000_000)]
    kept_rows: u64,
    /// How long the ten tenants of `hour` are written to.
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    hour: Duration,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    #[command(flatten)]
    site: Site,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A machine is lost.
    Failover,
    /// A node's process crashes.
    Crash,
    /// How old the session is that a crash leaves.
    Regress,
    /// A tenant is moved.
    Planned,
    /// A node is added.
    Rebalance,
    /// A hundred thousand tenants.
    Scale,
    /// Messages beside many that are kept.
    Kept,
    /// Memory, round trip and burst.
    Tenants,
    /// Twenty tenants beside PM2.
    Workers,
    /// A node's restart with heavy pages.
    Heavy,
    /// Eighty tenants to whom nobody writes.
    Idle,
    /// A thousand workers restarted by one order.
    Fleet,
    /// A tenant beside one whose page leaks or spins.
    Neighbours,
    /// Ten tenants that are written to for an hour, if it is named.
    Hour,
    /// The browser without each of its flags, if it is named.
    Flags,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let (site, mut report) = (&args.site, Report::default());
    if wanted(Part::Failover) {
        failover::measure(args.runs, site, &mut report).await?;
    }
    if wanted(Part::Crash) {
        crash::measure(args.crashes, site, &mut report).await?;
    }
    if wanted(Part::Regress) {
        regress::measure(args.crashes, site, &mut report).await?;
    }
    if wanted(Part::Planned) {
        planned::measure(args.runs, site, &mut report).await?;
    }
    if wanted(Part::Rebalance) {
        rebalance::measure(&mut report).await?;
    }
    if wanted(Part::Scale) {
        scale::measure(&mut report).await?;
    }
    if wanted(Part::Kept) {
        kept::measure(args.kept_rows, &mut report).await?;
    }
    if wanted(Part::Tenants) {
        round_trip::measure(site, &mut report).await?;
    }
    if wanted(Part::Workers) {
        workers::measure(site, &mut report).await?;
    }
    if wanted(Part::Heavy) {
        workers::measure_heavy(site, &mut report).await?;
    }
    if wanted(Part::Idle) {
        idle::measure(site, &mut report).await?;
    }
    if wanted(Part::Fleet) {
        fleet_restart::measure(&mut report).await?;
    }
    if wanted(Part::Neighbours) {
        neighbours::measure(site, &mut report).await?;
    }
    if args.only.contains(&Part::Hour) {
        hour::measure(args.hour, site, &mut report).await?;
    }
    if args.only.contains(&Part::Flags) {
        flags::measure(site, &mut report).await?;
    }
    println!("{report}");
    anyhow::ensure!(report.holds(), "a bound is broken: see the last column");
    Ok(())
}
