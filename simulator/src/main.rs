//! `roost-simulator`: see the library's documentation.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use roost_simulator::{Config, Simulator, Timing};
use roost_telemetry::LogArgs;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// A simulated WhatsApp Web: page, server and phones.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where the page and the control API listen for HTTP.
    #[arg(long, env = "ROOST_SIMULATOR_HTTP", default_value = "127.0.0.1:0")]
    http: SocketAddr,
    /// Where the page listens for TLS, with a certificate of its own for web.whatsapp.com.
    #[arg(long, env = "ROOST_SIMULATOR_TLS", default_value = "127.0.0.1:0")]
    tls: SocketAddr,
    /// Written, whole, once both listeners are up: {"pid", "http_url", "tls_addr"}.
    #[arg(long, env = "ROOST_SIMULATOR_ANNOUNCE")]
    announce: Option<PathBuf>,
    /// How long the first pairing code of a page is valid.
    #[arg(long, env = "ROOST_SIMULATOR_FIRST_CODE", default_value = "60s", value_parser = humantime::parse_duration)]
    first_code: Duration,
    /// How long each further one is.
    #[arg(long, env = "ROOST_SIMULATOR_CODE_EVERY", default_value = "20s", value_parser = humantime::parse_duration)]
    code_every: Duration,
    /// Processor time that each load of a page burns in script before it connects.
    #[arg(long, env = "ROOST_SIMULATOR_START_COST", default_value = "0s", value_parser = humantime::parse_duration)]
    start_cost: Duration,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    args.log.init("info");

    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let timing = Timing {
        first_code: args.first_code,
        code_every: args.code_every,
        start_cost: args.start_cost,
        ..Timing::default()
    };
    let simulator = Simulator::start(&Config { http: args.http, tls: args.tls, timing })?;
    tracing::info!(http_url = simulator.http_url(), tls_addr = %simulator.tls_addr(), "the simulator is ready");
    if let Some(path) = &args.announce {
        announce(path, &simulator).with_context(|| format!("cannot write {}", path.display()))?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for SIGINT")?,
    }
    simulator.stop().await;
    Ok(())
}

fn announce(path: &Path, simulator: &Simulator) -> Result<()> {
    let announcement = json!({
        "pid": std::process::id(),
        "http_url": simulator.http_url(),
        "tls_addr": simulator.tls_addr().to_string(),
    });
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(announcement.to_string().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(unfinished, path)?;
    Ok(())
}
