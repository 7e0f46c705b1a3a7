//! `roost-coordinator`.

use std::io::{self, IsTerminal};

use clap::{Parser, Subcommand};
use roost_coordinator::{Config, Coordinator};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

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
    Run(Config),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { command: Command::Run(config) } = Cli::parse();
    log_to_stderr();
    // From before the start, so that an early signal is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut coordinator = Coordinator::start(config).await?;
    tokio::select! {
        ended = coordinator.ended() => return Ok(ended?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(coordinator.stop().await?)
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
