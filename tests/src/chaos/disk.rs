//! The disk of the snapshots: a small one that can be filled.
//!
//! A tmpfs in a mount namespace of its own, that the nodes join: nothing is mounted on the machine, and when the last
//! of these processes is dead the disk is gone, whatever killed them. Where namespaces are not permitted it is a plain
//! directory, and "full" is played by putting a file in its place: every access fails, not only writing.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use roost_devcluster::{Launch, Process, announced_in};

use crate::own_mount::{fill, seen_by};

/// Six tenants' snapshots take a tenth of it.
const SIZE: &str = "256m";
const READY_WITHIN: Duration = Duration::from_secs(10);
const MOUNT: &str = r#"mount -t tmpfs -o size="$2" tmpfs "$1" && touch "$1/.mounted" && exec sleep infinity"#;

#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    /// Holds the namespace with the mount; None on a plain directory.
    holder: Option<Process>,
}

impl Disk {
    pub async fn make(dir: &Path) -> Result<Self> {
        let path = dir.join("disk");
        fs::create_dir_all(path.join("snapshots")).context("the disk of the snapshots")?;
        let mut holder = Launch::new("disk", "unshare", dir.join("logs/disk.log"))
            .args(["--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh"])
            .args([path.as_os_str(), SIZE.as_ref()])
            .spawn()?;
        let mounted = seen_by(holder.pid(), &path).join(".mounted");
        let ready = holder.ready_when(READY_WITHIN, || async { announced_in(&mounted) }).await;
        let holder = ready.is_ok().then_some(holder);
        Ok(Self { path, holder })
    }

    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// The command that puts a process on this disk.
    pub fn enter(&self) -> Vec<OsString> {
        let Some(holder) = &self.holder else { return vec![] };
        vec!["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", holder.pid()).into(), "--".into()]
    }

    pub fn describe(&self) -> &'static str {
        match self.holder {
            Some(_) => "a tmpfs, filled to the last byte",
            None => "a directory that is taken away, for this machine permits no mount namespace",
        }
    }

    pub fn fill(&self) -> Result<()> {
        let Some(holder) = &self.holder else {
            fs::rename(self.snapshots(), self.away()).context("taking the snapshots away")?;
            return fs::write(self.snapshots(), "").context("blocking the snapshots");
        };
        fill(&seen_by(holder.pid(), &self.path).join("ballast"))
    }

    pub fn empty(&self) -> Result<()> {
        let Some(holder) = &self.holder else {
            fs::remove_file(self.snapshots()).context("unblocking the snapshots")?;
            return fs::rename(self.away(), self.snapshots()).context("bringing the snapshots back");
        };
        fs::remove_file(seen_by(holder.pid(), &self.path).join("ballast")).context("emptying the disk")
    }

    fn away(&self) -> PathBuf {
        self.path.join("snapshots.away")
    }
}
