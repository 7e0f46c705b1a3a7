//! A private etcd: one member, or several.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::try_join_all;
use rustix::process::Signal;

use serde::Deserialize;

use super::{
    certificates::ServerFiles,
    error::{DevError, Result},
    files::{remove, write_private},
    identity::Identity,
    loopback::{described, loopback_client},
    ports::free_port,
    process::{Launch, Process},
    programs,
};

const READY_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Another process may bind a port between its choice and etcd's bind.
const PORT_TRIES: u32 = 3;
/// The name of the only member.
const ALONE: &str = "etcd";

/// One member. Data in `<dir>/etcd`, log in `<dir>/logs/etcd.log` (of several: `etcd-1` and so on). It syncs to disk as
/// in production. Dropping it kills it.
#[derive(Debug)]
pub struct Etcd {
    name: String,
    launch: Launch,
    process: Process,
    port: u16,
    health_port: u16,
    endpoint: String,
    /// While this file exists the member's disk stalls, if it was started through a program that sees to it.
    stalled: PathBuf,
}

/// Where a member listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct EtcdPorts {
    pub client: u16,
    pub peer: u16,
    /// Where it tells its health; the clients' unless those need certificates.
    pub health: u16,
}

impl EtcdPorts {
    pub fn choose(client: u16, peer: u16, tls: Option<&ServerFiles>) -> Result<Self> {
        let health = if tls.is_some() { free_port()? } else { client };
        Ok(Self { client, peer, health })
    }
}

/// The part of etcd's answer to a status request that is of use here; 64-bit numbers are text in its JSON.
#[derive(Debug, Deserialize)]
struct Status {
    header: Header,
    leader: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    member_id: String,
}

impl Etcd {
    /// Starts it on free ports with what the data directory holds from before, and waits until it serves.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::start_on(dir, None).await
    }

    /// The same on a given client port.
    pub async fn start_on(dir: &Path, port: Option<u16>) -> Result<Self> {
        Self::start_by(dir, port, None).await
    }

    /// The same for clients with certificates.
    pub(super) async fn start_by(dir: &Path, port: Option<u16>, tls: Option<&ServerFiles>) -> Result<Self> {
        let program = programs::installed("etcd")?;
        let mut tries = if port.is_some() { 1 } else { PORT_TRIES };
        loop {
            let ports = EtcdPorts::choose(port.map_or_else(free_port, Ok)?, free_port()?, tls)?;
            let launch = launch(&program, dir, ALONE, ports, &cluster_of(&[(ALONE.into(), ports)]), tls);
            tries -= 1;
            match run(&launch, ports.health).await {
                Ok(process) => return Ok(Self::new(dir, ALONE, launch, process, ports, tls)),
                Err(DevError::Exited { .. }) if tries > 0 => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts several members of one etcd on free ports, and waits until all serve. `through`: a program that becomes
    /// each of them and stalls its disk while a file exists; it is given the file's path and etcd's command line.
    pub async fn start_several(dir: &Path, count: usize, through: Option<&Path>) -> Result<Vec<Self>> {
        let ports = (0..count).map(|_| EtcdPorts::choose(free_port()?, free_port()?, None));
        Self::start_members(dir, &ports.collect::<Result<Vec<_>>>()?, through, None).await
    }

    pub(super) async fn start_members(
        dir: &Path,
        ports: &[EtcdPorts],
        through: Option<&Path>,
        tls: Option<&ServerFiles>,
    ) -> Result<Vec<Self>> {
        let program = programs::installed("etcd")?;
        let names = (1..=ports.len()).map(|number| format!("{ALONE}-{number}"));
        let members: Vec<_> = names.zip(ports.iter().copied()).collect();
        let cluster = cluster_of(&members);
        let starting = members.iter().map(async |(name, ports)| {
            let mut launch = launch(&program, dir, name, *ports, &cluster, tls);
            if let Some(through) = through {
                launch = launch.through(&[through.into(), stalled(dir, name).into()]);
            }
            let process = run(&launch, ports.health).await?;
            Ok(Self::new(dir, name, launch, process, *ports, tls))
        });
        try_join_all(starting).await
    }

    fn new(
        dir: &Path,
        name: &str,
        launch: Launch,
        process: Process,
        ports: EtcdPorts,
        tls: Option<&ServerFiles>,
    ) -> Self {
        let EtcdPorts { client: port, health: health_port, .. } = ports;
        let (endpoint, stalled) = (client_endpoint(port, tls), stalled(dir, name));
        Self { name: name.to_owned(), launch, process, port, health_port, endpoint, stalled }
    }

    /// Its writes to disk do not return until [`Etcd::let_go`]. Only of members that were started through a program.
    pub fn stall(&self) -> Result<()> {
        write_private(&self.stalled, "")
    }

    pub fn let_go(&self) -> Result<()> {
        remove(&self.stalled).map_err(DevError::file("remove", &self.stalled))
    }

    /// A key that is nobody's, through this member; whether it was written by the time that it may take.
    pub async fn write_something(&self, within: Duration) -> bool {
        let url = format!("{}/v3/kv/put", self.endpoint());
        // Keys are given in base64.
        let put =
            async { loopback_client(within)?.post(url).body(r#"{"key": "c29tZXRoaW5n"}"#).send().await };
        put.await.is_ok_and(|answer| answer.status().is_success())
    }

    /// `etcd`, or of several `etcd-1` and so on.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `http://127.0.0.1:PORT`, or https:// for clients with certificates.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is the leader of its members; None when it does not answer.
    pub async fn leads(&self) -> Option<bool> {
        let url = format!("{}/v3/maintenance/status", self.endpoint());
        let asked = loopback_client(ANSWER_WITHIN).ok()?.post(url).body("{}").send().await.ok()?;
        let status: Status = asked.json().await.ok()?;
        Some(status.leader == status.header.member_id)
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
        self.process = run(&self.launch, self.health_port).await?;
        Ok(())
    }
}

fn stalled(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.stalled"))
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn client_endpoint(port: u16, tls: Option<&ServerFiles>) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    format!("{scheme}://127.0.0.1:{port}")
}

/// `NAME=PEER_URL,...`
fn cluster_of(members: &[(String, EtcdPorts)]) -> String {
    let members = members.iter().map(|(name, ports)| format!("{name}={}", endpoint(ports.peer)));
    members.collect::<Vec<_>>().join(",")
}

fn launch(
    program: &Path,
    dir: &Path,
    name: &str,
    ports: EtcdPorts,
    cluster: &str,
    tls: Option<&ServerFiles>,
) -> Launch {
    let (client, peer) = (client_endpoint(ports.client, tls), endpoint(ports.peer));
    let launch = Launch::new(name, program, dir.join("logs").join(format!("{name}.log")))
        .args(["--name", name, "--logger", "zap", "--log-level", "warn"])
        .args(["--data-dir".into(), dir.join(name).into_os_string()])
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", cluster])
        // Keeps a long `roost dev` small; a watcher that falls behind it lists again.
        .args(["--auto-compaction-mode", "revision", "--auto-compaction-retention", "10000"]);
    let Some(ServerFiles { own, client_ca }) = tls else { return launch };
    launch
        .args(["--listen-metrics-urls".into(), endpoint(ports.health)])
        .args(["--client-cert-auth".into(), "--trusted-ca-file".into(), client_ca.clone().into_os_string()])
        .args(["--cert-file".into(), own.cert.clone().into_os_string()])
        .args(["--key-file".into(), own.key.clone().into_os_string()])
}

async fn run(launch: &Launch, port: u16) -> Result<Process> {
    let mut process = launch.spawn()?;
    let health = format!("{}/health", endpoint(port));
    process.ready_when(READY_WITHIN, || healthy(&health)).await?;
    Ok(process)
}

/// Or why it is not.
async fn healthy(url: &str) -> Result<(), String> {
    let asked = async { loopback_client(ANSWER_WITHIN)?.get(url).send().await?.error_for_status() };
    asked.await.map(drop).map_err(|error| described(&error))
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
        assert!(healthy(&format!("{endpoint}/health")).await.is_err());
        etcd.restart().await.unwrap();
        assert_eq!(etcd.endpoint(), endpoint);
        assert_ne!(etcd.pid(), pid);
        assert_eq!(healthy(&format!("{endpoint}/health")).await, Ok(()));
    }

    #[tokio::test]
    async fn one_of_three_members_leads_and_another_does_when_it_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut members = Etcd::start_several(dir.path(), 3, None).await.unwrap();
        let first = leader(&members).await;
        members[first].kill().await.unwrap();
        let led = || async { leads(&members).await.is_some_and(|now| now != first) };
        crate::wait_until("another leads", READY_WITHIN, led).await.unwrap();
        members[first].restart().await.unwrap();
        assert_eq!(healthy(&format!("{}/health", members[first].endpoint())).await, Ok(()));
    }

    async fn leader(members: &[Etcd]) -> usize {
        let led = || async { leads(members).await.is_some() };
        crate::wait_until("one leads", READY_WITHIN, led).await.unwrap();
        leads(members).await.unwrap()
    }

    async fn leads(members: &[Etcd]) -> Option<usize> {
        for (index, member) in members.iter().enumerate() {
            if member.leads().await == Some(true) {
                return Some(index);
            }
        }
        None
    }
}
