//! One child process: started so that it dies with this one, logged to a file, signalled only while it is surely ours.

mod launch;

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    error::{DevError, Result},
    identity::Identity,
};

pub use launch::Launch;

const POLL_EVERY: Duration = Duration::from_millis(20);
const LOG_TAIL: u64 = 3_000;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    identity: Identity,
    ended: Option<ExitStatus>,
}

impl Process {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pid(&self) -> u32 {
        self.identity.pid
    }

    pub fn identity(&self) -> Identity {
        self.identity
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The status it ended with, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            // An error means that it was reaped before: only this type reaps it, and it would have kept the status.
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Signals it; false when it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<bool> {
        if self.ended().is_some() {
            return Ok(false);
        }
        // It is not reaped before `ended` says so, hence the pid is still its own.
        self.identity.signal(signal).map_err(|source| DevError::Signal {
            name: self.name.clone(),
            pid: self.identity.pid,
            source,
        })
    }

    /// Resolves within 20 ms of its end.
    pub async fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Sends `signal`, waits up to `grace`, then kills. The status it ended with.
    pub async fn stop(&mut self, signal: Signal, grace: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        match tokio::time::timeout(grace, self.wait()).await {
            Ok(ended) => Ok(ended),
            Err(_) => self.kill().await,
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        Ok(self.wait().await)
    }

    /// Waits until `ready` succeeds; an error with the end of the log when the process ends or the time is over before,
    /// and with what `ready` said last.
    pub async fn ready_when<F>(&mut self, within: Duration, mut ready: impl FnMut() -> F) -> Result<()>
    where
        F: Future<Output = Result<(), String>>,
    {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                let tail = tail(&self.log);
                return Err(DevError::Exited {
                    name: self.name.clone(),
                    status,
                    log: self.log.clone(),
                    tail,
                });
            }
            let Err(last) = ready().await else { return Ok(()) };
            if begun.elapsed() > within {
                let tail = tail(&self.log);
                return Err(DevError::NotReady {
                    name: self.name.clone(),
                    waited: within,
                    last,
                    log: self.log.clone(),
                    tail,
                });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() && self.child.kill().is_ok() {
            // SIGKILL leaves nothing to wait for but the kernel.
            self.child.wait().ok();
        }
    }
}

/// The last part of a log, from the start of a line.
pub fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole_lines = if length > LOG_TAIL { text.find('\n').map_or(0, |end| end + 1) } else { 0 };
        Ok(text[whole_lines..].to_owned())
    };
    read().unwrap_or_else(|error| format!("(not readable: {error})"))
}

/// Polls until `holds` answers true; an error that says `what` was waited for when the time is over before.
pub async fn wait_until<F>(what: &str, within: Duration, mut holds: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = bool>,
{
    let begun = Instant::now();
    while !holds().await {
        if begun.elapsed() > within {
            return Err(DevError::TimedOut { what: what.to_owned(), waited: within });
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::announced_in;

    fn shell(dir: &Path, script: &str) -> Launch {
        Launch::new("shell", "sh", dir.join("logs/shell.log")).args(["-c", script])
    }

    #[tokio::test]
    async fn a_child_that_ends_early_is_reported_with_its_status_and_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(dir.path(), "echo no disk left >&2; exit 7").spawn().unwrap();
        let error =
            process.ready_when(Duration::from_secs(5), || async { Err("no".to_owned()) }).await.unwrap_err();
        assert!(matches!(&error, DevError::Exited { status, tail, .. }
            if status.code() == Some(7) && tail == "no disk left\n"));
    }

    #[tokio::test]
    async fn what_was_asked_last_is_part_of_the_error_of_a_wait() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(dir.path(), "exec sleep 60").spawn().unwrap();
        let asked = || async { Err("connection refused".to_owned()) };
        let error = process.ready_when(Duration::from_millis(50), asked).await.unwrap_err();
        assert!(error.to_string().contains("connection refused"), "{error}");
    }

    #[tokio::test]
    async fn a_child_outlives_the_thread_that_asked_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let launch = shell(dir.path(), "exec sleep 60");
        let mut process = std::thread::spawn(move || launch.spawn().unwrap()).join().unwrap();
        let status = tokio::time::timeout(Duration::from_millis(200), process.wait()).await;
        assert!(status.is_err(), "ended with {status:?}");
        let identity = process.identity();
        drop(process);
        assert!(!identity.is_alive());
    }

    #[tokio::test]
    async fn one_that_ignores_sigterm_is_killed_after_the_grace() {
        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join("ready");
        let script = format!("trap '' TERM; touch {}; while :; do sleep 1; done", ready.display());
        let mut process = shell(dir.path(), &script).spawn().unwrap();
        process.ready_when(Duration::from_secs(5), || async { announced_in(&ready) }).await.unwrap();
        let status = process.stop(Signal::TERM, Duration::from_millis(100)).await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }
}
