//! `roost-simulator`: see the library's documentation.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use roost_simulator::{Config, Hardness, Simulator, Timing};
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
    /// As hard as the real site can be to a cluster in which nothing is wrong: see the simulator's README.
    #[arg(long, env = "ROOST_SIMULATOR_HARD")]
    hard: bool,
    /// Processor time that each load of a page burns in script before it connects.
    #[arg(long, env = "ROOST_SIMULATOR_START_COST", default_value = "0s", value_parser = humantime::parse_duration)]
    start_cost: Duration,
    /// One hardness of all phones, by the names of `/control/hardness`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", env = "ROOST_SIMULATOR_SET", value_delimiter = ',')]
    set: Vec<String>,
    #[command(flatten)]
    log: LogArgs,
}

impl Args {
    fn hardness(&self) -> Result<Hardness> {
        let start_cost_ms = u64::try_from(self.start_cost.as_millis()).context("--start-cost is too long")?;
        let gentle = Hardness { start_cost_ms, ..Hardness::default() };
        let base = if self.hard { gentle.hard() } else { gentle };
        let set = |hardness: Hardness, assignment: &String| {
            hardness.set(assignment).map_err(|problem| anyhow!("--set {assignment}: {problem}"))
        };
        self.set.iter().try_fold(base, set)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    args.log.init("info");

    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let timing = Timing { first_code: args.first_code, code_every: args.code_every };
    let hardness = args.hardness()?;
    let simulator = Simulator::start(&Config { http: args.http, tls: args.tls, timing, hardness })?;
    tracing::info!(http_url = simulator.http_url(), tls_addr = %simulator.tls_addr(), "the simulator is ready");
    if let Some(path) = &args.announce {
        announce(path, &simulator).with_context(|| format!("cannot write {}", path.display()))?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
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
