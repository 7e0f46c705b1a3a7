//! `make bench`: the figures of BENCHMARKS.md, each beside its baseline in the same run on the same machine. Prints the
//! table as Markdown; exits with 1 when a bound that the project promises is broken.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod baseline;
mod failover;
mod load;
mod memory;
mod report;
mod round_trip;

use clap::Parser;
use report::Report;

#[derive(Parser)]
struct Args {
    /// Failovers to measure.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Only this part.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Failover,
    Tenants,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = |part| args.only.is_none_or(|only| only == part);
    let mut report = Report::default();
    if wanted(Part::Failover) {
        failover::measure(args.runs, &mut report).await?;
    }
    if wanted(Part::Tenants) {
        round_trip::measure(&mut report).await?;
    }
    println!("{report}");
    anyhow::ensure!(report.holds(), "a bound is broken: see the last column");
    Ok(())
}
