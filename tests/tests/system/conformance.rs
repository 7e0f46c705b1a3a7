//! The simulator, judged by two libraries that drive the real WhatsApp Web: both run unmodified through QR, scan,
//! ready, messages, acknowledgements, restart and logout. Two more try what the control API can do to a page, and one what
//! each build of it breaks, so that a scenario can rely on it.
//!
//! Each script starts its own browsers; their output is shown when one fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use roost_simulator::{Config, Hardness, Simulator, Timing};
use tokio::process::Command;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn wa_js_runs_the_whole_flow() {
    conform("wa-js.js").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatsapp_web_js_runs_the_whole_flow() {
    conform("wwebjs.js").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_faults_of_the_control_api_reach_the_page() {
    conform("faults.js").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_hardness_reaches_the_page() {
    conform("hardness.js").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_build_breaks_what_it_says_and_the_sound_one_nothing() {
    conform("builds.js").await.unwrap();
}

/// Gentle and hard, one after the other: each starts browsers.
async fn conform(script: &str) -> Result<()> {
    for hardness in [Hardness::default(), Hardness::default().hard()] {
        conform_to(script, hardness).await?;
    }
    Ok(())
}

async fn conform_to(script: &str, hardness: Hardness) -> Result<()> {
    let directory = scripts()?;
    let any = "127.0.0.1:0".parse()?;
    let told = format!("{script} with {hardness:?}");
    let simulator = Simulator::start(&Config { http: any, tls: any, timing: Timing::default(), hardness })?;
    let output = Command::new("node")
        .arg(script)
        .current_dir(&directory)
        .env("SIMULATOR_URL", simulator.http_url())
        .env("SIMULATOR_TLS", simulator.tls_addr().to_string())
        .kill_on_drop(true)
        .output();
    let output =
        timeout(DEADLINE, output).await.with_context(|| format!("{told} took longer than {DEADLINE:?}"))?;
    let output = output.context("cannot run node: install Node.js 20 or newer, or run `make deps`")?;
    simulator.stop().await;
    ensure!(
        output.status.success(),
        "{told} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn scripts() -> Result<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/conformance");
    let installed = directory.join("node_modules/whatsapp-web.js").is_dir();
    ensure!(installed, "the libraries are not installed in {}: run `make deps`", directory.display());
    Ok(directory)
}
