//! `make bench`: the figures of BENCHMARKS.md, each beside its baseline in the same run on the same machine. Prints the
//! table as Markdown; exits with 1 when a bound that the project promises is broken.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod claims;
mod crash;
mod failover;
mod kept;
mod memory;
mod planned;
mod rebalance;
mod regress;
mod report;
mod round_trip;
mod scale;
mod site;

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
    println!("{report}");
    anyhow::ensure!(report.holds(), "a bound is broken: see the last column");
    Ok(())
}
