//! `roost-coordinator`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use roost_coordinator::{Config, Coordinator, StartError, StopError};
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

/// The exit code of a coordinator that would end the same way if it were started again.
const EXIT_REFUSED: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command: Command::Run { config, log } } = Cli::parse();
    log.init("info");
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `{:#}` is the whole chain on one line.
            tracing::error!("the coordinator cannot go on: {error:#}");
            if is_final(&error) { ExitCode::from(EXIT_REFUSED) } else { ExitCode::FAILURE }
        }
    }
}

fn is_final(error: &anyhow::Error) -> bool {
    let at_start = error.downcast_ref::<StartError>();
    let found_later = error.downcast_ref().and_then(|ended| match ended {
        StopError::Unusable(error) => Some(error),
        StopError::Serve(_) | StopError::Task(_) => None,
    });
    at_start.or(found_later).is_some_and(StartError::is_final)
}

async fn run(config: Config) -> anyhow::Result<()> {
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
