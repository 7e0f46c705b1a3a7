//! One of the product's processes in a cluster: a node, a coordinator or the simulator.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use rustix::process::Signal;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    error::{DevError, Result},
    files,
    identity::{Descendant, descendants},
    loopback::loopback_client,
    process::{Launch, Process},
    state_dir::Started,
};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// A node takes up to 20 s to hand its tenants over.
const TERM_GRACE: Duration = Duration::from_secs(25);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// It may run or not; starting it again runs the same command. Dropping it kills it.
#[derive(Debug)]
pub struct Member {
    id: String,
    launch: Launch,
    announcement: PathBuf,
    process: Option<Process>,
    addr: String,
    http_addr: Option<String>,
}

/// What a node and a coordinator announce.
#[derive(Debug, Deserialize)]
struct Announced {
    addr: String,
    /// A coordinator's alone.
    http_addr: Option<String>,
}

impl Member {
    pub(super) fn new(id: impl Into<String>, launch: Launch, announcement: PathBuf) -> Self {
        let launch = launch.args(["--announce".into(), announcement.clone().into_os_string()]);
        Self { id: id.into(), launch, announcement, process: None, addr: String::new(), http_addr: None }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// HOST:PORT, as it announced at its last start.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// HOST:PORT where a coordinator serves in JSON over HTTP, as it announced at its last start.
    pub fn http_addr(&self) -> Option<&str> {
        self.http_addr.as_deref()
    }

    /// Of the process that was started last.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    pub fn log(&self) -> &std::path::Path {
        self.launch.log()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// The status that it ended with; None while it runs and before its first start.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(Process::ended)
    }

    /// Its children, and theirs: of a node, the working process and the browsers.
    pub fn descendants(&self) -> Vec<Descendant> {
        self.pid().map(descendants).unwrap_or_default()
    }

    /// Starts it and waits until it has announced that it is ready. It must not run.
    pub async fn start(&mut self) -> Result<()> {
        let announced: Announced = self.start_announcing().await?;
        (self.addr, self.http_addr) = (announced.addr, announced.http_addr);
        Ok(())
    }

    /// The same for one whose announcement needs no reading: the simulator keeps its ports.
    pub(super) async fn start_again(&mut self) -> Result<()> {
        match self.addr.is_empty() {
            true => self.start_announcing::<serde_json::Value>().await.map(drop),
            false => self.start().await,
        }
    }

    pub(super) async fn start_announcing<T: DeserializeOwned>(&mut self) -> Result<T> {
        let announcement = self.announcement.clone();
        files::remove(&announcement).map_err(DevError::file("remove", &announcement))?;
        let process = self.process.insert(self.launch.spawn()?);
        process.ready_when(READY_WITHIN, || async { announced_in(&announcement) }).await?;
        let text = fs::read_to_string(&announcement).map_err(DevError::file("read", &announcement))?;
        serde_json::from_str(&text).map_err(|source| DevError::Malformed { path: announcement, source })
    }

    /// What it answers over HTTP on the address that it announced: a node's `/readyz`, for one.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let url = format!("http://{}{path}", self.addr);
        let answered = async {
            let answer = loopback_client(ANSWER_WITHIN)?.get(&url).send().await?;
            Ok((answer.status().as_u16(), answer.text().await?))
        };
        answered.await.map_err(|source| DevError::Unanswered { url: url.clone(), source })
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<()> {
        match &mut self.process {
            Some(process) => process.kill().await.map(drop),
            None => Ok(()),
        }
    }

    /// SIGTERM, and waits until it is gone; SIGKILL after 25 s. The status it ended with, None if it never ran.
    pub async fn terminate(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.process {
            Some(process) => process.stop(Signal::TERM, TERM_GRACE).await.map(Some),
            None => Ok(None),
        }
    }

    /// Terminates it and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.terminate().await?;
        self.start().await
    }

    /// Any signal to the process that was started; false when it has ended. SIGSTOP and SIGCONT freeze and thaw it.
    pub fn signal(&mut self, signal: Signal) -> Result<bool> {
        self.process.as_mut().map_or(Ok(false), |process| process.signal(signal))
    }

    pub(super) fn started(&self) -> Option<Started> {
        self.process.as_ref().map(|process| Started { name: self.id.clone(), identity: process.identity() })
    }
}

/// For [`Process::ready_when`]: a process announces itself by writing this file.
pub fn announced_in(announcement: &Path) -> Result<(), String> {
    if announcement.exists() { Ok(()) } else { Err("it has not announced itself".to_owned()) }
}
