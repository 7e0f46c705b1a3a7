//! The directory that holds everything of one cluster: state, secrets, logs, and who runs it.
//!
//! One process at a time owns it, by a lock that the kernel drops when that process dies. The processes that the owner
//! started are recorded with their start times: the next owner ends those that outlived a crash, and nothing else.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::{
    error::{DevError, Result},
    files,
    identity::Identity,
    ports::{free_port, is_free},
    record::DevRecord,
    system_user::{is_root, reachable},
};

#[derive(Debug)]
pub struct StateDir {
    root: PathBuf,
    /// Holds the lock while it is open.
    _lock: File,
}

/// A process that this cluster started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub name: String,
    #[serde(flatten)]
    pub identity: Identity,
}

impl StateDir {
    /// Takes the directory over: makes it, locks it, ends what a crashed owner left behind.
    pub fn take(dir: &Path) -> Result<(Self, Vec<Started>)> {
        if dir.to_str().is_none() {
            return Err(DevError::NotText { dir: dir.to_owned() });
        }
        // Root's servers and browsers run as other users, who pass through it.
        make(dir, if is_root() { 0o711 } else { 0o700 })?;
        for part in ["logs", "run"] {
            make(&dir.join(part), 0o700)?;
        }
        // Absolute, for its paths are passed to processes and recorded.
        let root = dir.canonicalize().map_err(DevError::file("resolve", dir))?;
        if is_root() {
            reachable(&root.join("nodes"))?;
        }
        let lock = lock(&root)?;
        let state_dir = Self { root, _lock: lock };
        let ended = state_dir.end_leftovers()?;
        state_dir.forget()?;
        Ok((state_dir, ended))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Where a process announces that it is ready.
    pub fn announcement(&self, name: &str) -> PathBuf {
        self.root.join("run").join(format!("{name}.json"))
    }

    pub fn token_file(&self) -> PathBuf {
        self.root.join("token")
    }

    /// The bearer token, made on the first start.
    pub fn token(&self) -> Result<String> {
        files::secret::<16>(&self.token_file())
    }

    /// The key of the snapshots, made on the first start.
    pub fn snapshot_key_file(&self) -> Result<PathBuf> {
        let path = self.root.join("snapshot.key");
        files::secret::<32>(&path).map(|_| path)
    }

    /// What the programs of the cluster know each other by, made on the first start.
    pub fn cluster_secret_file(&self) -> Result<PathBuf> {
        let path = self.root.join("cluster.secret");
        files::secret::<32>(&path).map(|_| path)
    }

    /// The key of people's secrets in the database, made on the first start.
    pub fn secrets_key_file(&self) -> Result<PathBuf> {
        let path = self.root.join("secrets.key");
        files::secret::<32>(&path).map(|_| path)
    }

    /// The port of a server: the given one, or the one that it had in this directory before if that is free, or a free
    /// one. Sessions belong to the address of their page, and people keep addresses in their shell's history.
    pub fn port(&self, name: &str, given: Option<u16>) -> Result<u16> {
        let path = self.root.join("ports.json");
        let malformed = |source| DevError::Malformed { path: path.clone(), source };
        let mut ports: BTreeMap<String, u16> = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(malformed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(DevError::file("read", &path)(error)),
        };
        let before = ports.get(name).copied().filter(|port| is_free(*port));
        let port = given.or(before).map_or_else(free_port, Ok)?;
        if ports.insert(name.to_owned(), port) != Some(port) {
            let text = serde_json::to_string_pretty(&ports).map_err(malformed)?;
            files::write_private(&path, &(text + "\n"))?;
        }
        Ok(port)
    }

    /// Remembers what runs, for the owner after a crash.
    pub fn remember(&self, started: &[Started]) -> Result<()> {
        let path = self.processes();
        let text = serde_json::to_string_pretty(started)
            .map_err(|source| DevError::Malformed { path: path.clone(), source })?;
        files::write_private(&path, &(text + "\n"))
    }

    /// Tells the world that the cluster is ready.
    pub fn publish(&self, record: &DevRecord) -> Result<()> {
        let path = DevRecord::path(&self.root);
        let text = serde_json::to_string_pretty(record)
            .map_err(|source| DevError::Malformed { path: path.clone(), source })?;
        files::write_private(&path, &(text + "\n"))
    }

    /// Nothing runs any more.
    pub fn forget(&self) -> Result<()> {
        for path in [DevRecord::path(&self.root), self.processes()] {
            files::remove(&path).map_err(DevError::file("remove", &path))?;
        }
        Ok(())
    }

    fn processes(&self) -> PathBuf {
        self.root.join("processes.json")
    }

    fn end_leftovers(&self) -> Result<Vec<Started>> {
        let path = self.processes();
        let Ok(text) = fs::read_to_string(&path) else { return Ok(vec![]) };
        let started: Vec<Started> =
            serde_json::from_str(&text).map_err(|source| DevError::Malformed { path, source })?;
        let mut ended = vec![];
        for left in started {
            let failed =
                |source| DevError::Signal { name: left.name.clone(), pid: left.identity.pid, source };
            if left.identity.signal(Signal::KILL).map_err(failed)? {
                ended.push(left);
            }
        }
        Ok(ended)
    }
}

/// A directory of this mode, whoever made it.
fn make(dir: &Path, mode: u32) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(dir);
    made.and_then(|()| fs::set_permissions(dir, Permissions::from_mode(mode)))
        .map_err(DevError::file("create", dir))
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join("lock");
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let file = opened.map_err(DevError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).map_err(DevError::file("read", &path))?;
            return Err(DevError::InUse { dir: root.to_owned(), pid: pid.trim().to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(DevError::file("lock", &path)(error)),
    }
    fs::write(&path, std::process::id().to_string()).map_err(DevError::file("write", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Launch;

    #[test]
    fn a_second_owner_is_refused_and_told_who_the_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = StateDir::take(dir.path()).unwrap();
        let refused = StateDir::take(dir.path()).unwrap_err();
        assert!(matches!(refused, DevError::InUse { pid, .. } if pid == std::process::id().to_string()));
        drop(first);
        StateDir::take(dir.path()).unwrap();
    }

    #[test]
    fn what_outlived_a_crash_is_ended_and_a_reused_pid_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let sleeper =
            Launch::new("sleeper", "sleep", dir.path().join("logs/s.log")).args(["60"]).spawn().unwrap();
        let mut bystander =
            Launch::new("other", "sleep", dir.path().join("logs/o.log")).args(["60"]).spawn().unwrap();
        let (first, _) = StateDir::take(dir.path()).unwrap();
        let mut reused = bystander.identity();
        reused.started -= 1;
        let left = Started { name: "node-1".into(), identity: sleeper.identity() };
        first.remember(&[left.clone(), Started { name: "node-2".into(), identity: reused }]).unwrap();
        drop(first);
        let (_second, ended) = StateDir::take(dir.path()).unwrap();
        assert_eq!(ended, [left]);
        assert!(bystander.is_running());
    }

    #[test]
    fn a_name_that_is_not_text_is_refused_and_the_others_are_closed_to_strangers() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let dir = tempfile::tempdir().unwrap();
        let refused = StateDir::take(&dir.path().join(OsStr::from_bytes(b"\xff"))).unwrap_err();
        assert!(matches!(refused, DevError::NotText { .. }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let odd = dir.path().join("duka la Mama \u{c4}sha");
        let (_state, _) = StateDir::take(&odd).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&odd.join("logs")), 0o700);
        assert_eq!(mode(&odd), if is_root() { 0o711 } else { 0o700 });
    }

    #[test]
    fn a_server_keeps_its_port_while_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::take(dir.path()).unwrap();
        let port = state.port("etcd", None).unwrap();
        assert_eq!(state.port("etcd", None).unwrap(), port);
        assert_ne!(state.port("postgres", None).unwrap(), port);
        let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_ne!(state.port("etcd", None).unwrap(), port);
        assert_eq!(state.port("etcd", Some(4_321)).unwrap(), 4_321);
    }

    #[test]
    fn secrets_are_private_and_stay_the_same() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::take(dir.path()).unwrap();
        let token = state.token().unwrap();
        assert_eq!(token.len(), 32);
        assert_eq!(state.token().unwrap(), token);
        assert_eq!(fs::metadata(state.token_file()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
