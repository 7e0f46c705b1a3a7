//! `roost-coordinator`.

use clap::{Parser, Subcommand};
use roost_coordinator::{Config, Coordinator};
use roost_telemetry::LogArgs;
use tokio::signal::unix::{SignalKind, signal};

/// Serves Roost's admin API and stands for the controller of the cluster
#[derive(Parser)]
#[command(name = "roost-coordinator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT
    Run {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        log: LogArgs,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { command: Command::Run { config, log } } = Cli::parse();
    log.init("info");
    // From before the start, so that an early signal is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut coordinator = Coordinator::start(config).await?;
    tokio::select! {
        ended = coordinator.ended() => return Ok(ended?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(coordinator.stop().await?)
}
