//! The scenarios of `make test-cgroup`, which run in a guest of its own: a node under its shipped unit on a kernel whose control groups
//! (v2) are its own to divide. One line for each scenario; exits with 1 when one fails.
//!
//! One tenant does harm to the machine, the others are written to meanwhile. Where to start reading: `site.rs` is what is set up,
//! `group.rs` what the kernel says, `beside.rs` what the others notice; each other file is one scenario.
#![allow(clippy::print_stdout, reason = "a line for each scenario is what this program is for")]

mod beside;
mod delegation;
mod fork_bomb;
mod group;
mod leak;
mod memory_killer;
mod site;
mod spin;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use site::Site;

#[derive(Parser)]
struct Args {
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    #[command(flatten)]
    site: site::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    Delegated,
    Leak,
    FastLeak,
    Spin,
    ForkBomb,
    OverItsLimit,
    MachineOutOfMemory,
    NotDelegated,
}

impl Scenario {
    /// What was measured, for people.
    async fn run(self, site: &Site) -> Result<String> {
        match self {
            Self::Delegated => delegation::holds(site).await,
            Self::Leak => leak::slow(site).await,
            Self::FastLeak => leak::fast(site).await,
            Self::Spin => spin::is_held(site).await,
            Self::ForkBomb => fork_bomb::is_held(site).await,
            Self::OverItsLimit => memory_killer::over_its_limit(site).await,
            Self::MachineOutOfMemory => memory_killer::machine_out_of_memory(site).await,
            Self::NotDelegated => delegation::holds_not(site).await,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let site = Site::start(&args.site).await?;
    let mut failed = 0;
    // The last one changes the unit, so the order is that of the enum.
    for scenario in <Scenario as clap::ValueEnum>::value_variants() {
        if !args.only.is_empty() && !args.only.contains(scenario) {
            continue;
        }
        let began = Instant::now();
        let outcome = match site.recovered().await {
            Ok(()) => scenario.run(&site).await,
            Err(error) => Err(error.context("before it began")),
        };
        let took = began.elapsed().as_secs();
        match outcome {
            Ok(told) => println!("ok      {scenario:?} ({took} s): {told}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {scenario:?} ({took} s): {error:#}");
            }
        }
    }
    if failed > 0 {
        bail!("{failed} scenarios failed");
    }
    Ok(())
}
