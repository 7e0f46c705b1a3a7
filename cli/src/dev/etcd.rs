//! A private etcd of one member.

use std::{path::Path, time::Duration};

use rustix::process::Signal;

use super::{
    error::{DevError, Result},
    identity::Identity,
    ports::free_port,
    process::{Launch, Process},
    programs,
};

const READY_WITHIN: Duration = Duration::from_secs(20);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Another process may bind a port between its choice and etcd's bind.
const PORT_TRIES: u32 = 3;

/// Data in `<dir>/etcd`, log in `<dir>/logs/etcd.log`. It syncs to disk as in production. Dropping it kills it.
#[derive(Debug)]
pub struct Etcd {
    launch: Launch,
    process: Process,
    endpoint: String,
}

impl Etcd {
    /// Starts it on free ports with what the data directory holds from before, and waits until it serves.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::start_on(dir, None).await
    }

    /// The same on a given client port.
    pub async fn start_on(dir: &Path, port: Option<u16>) -> Result<Self> {
        let program = programs::installed("etcd")?;
        let mut tries = if port.is_some() { 1 } else { PORT_TRIES };
        loop {
            let client_port = port.map_or_else(free_port, Ok)?;
            let launch = launch(&program, dir, client_port, free_port()?);
            let endpoint = format!("http://127.0.0.1:{client_port}");
            tries -= 1;
            match run(&launch, &endpoint).await {
                Ok(process) => return Ok(Self { launch, process, endpoint }),
                Err(DevError::Exited { .. }) if tries > 0 => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn identity(&self) -> Identity {
        self.process.identity()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// SIGTERM; SIGKILL after 5 s.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(Signal::TERM, STOP_GRACE).await.map(drop)
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.map(drop)
    }

    /// For SIGSTOP and SIGCONT.
    pub fn signal(&mut self, signal: Signal) -> Result<bool> {
        self.process.signal(signal)
    }

    /// Starts it again on the same port with its data, after stopping it if it runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.process = run(&self.launch, &self.endpoint).await?;
        Ok(())
    }
}

fn launch(program: &Path, dir: &Path, client_port: u16, peer_port: u16) -> Launch {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    Launch::new("etcd", program, dir.join("logs/etcd.log"))
        .args(["--name", "dev", "--logger", "zap", "--log-level", "warn"])
        .args(["--data-dir".into(), dir.join("etcd").into_os_string()])
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster".into(), format!("dev={peer}")])
        // Keeps a long `roost dev` small; a watcher that falls behind it lists again.
        .args(["--auto-compaction-mode", "revision", "--auto-compaction-retention", "10000"])
}

async fn run(launch: &Launch, endpoint: &str) -> Result<Process> {
    let mut process = launch.spawn()?;
    let health = format!("{endpoint}/health");
    process.ready_when(READY_WITHIN, || is_healthy(&health)).await?;
    Ok(process)
}

async fn is_healthy(url: &str) -> bool {
    let asked = tokio::time::timeout(Duration::from_secs(1), reqwest::get(url));
    matches!(asked.await, Ok(Ok(answer)) if answer.status().is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn etcd_serves_again_at_the_same_endpoint_after_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let mut etcd = Etcd::start(dir.path()).await.unwrap();
        let (endpoint, pid) = (etcd.endpoint().to_owned(), etcd.pid());
        etcd.kill().await.unwrap();
        assert!(!is_healthy(&format!("{endpoint}/health")).await);
        etcd.restart().await.unwrap();
        assert_eq!(etcd.endpoint(), endpoint);
        assert_ne!(etcd.pid(), pid);
        assert!(is_healthy(&format!("{endpoint}/health")).await);
    }
}
