//! A place that one node has mounted for itself and nobody else sees: it can be made read-only, or filled, under the node's feet.

use std::{
    ffi::OsString,
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// What is written at once when a disk is filled.
const CHUNK: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub struct OwnMount {
    path: PathBuf,
    mount: &'static str,
}

impl OwnMount {
    /// What is there already.
    pub fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), mount: "--bind \"$0\"" }
    }

    /// An empty disk of 128 MiB.
    pub fn small_disk(path: &Path) -> Self {
        Self { path: path.to_owned(), mount: "-t tmpfs -o size=128m,mode=755 tmpfs" }
    }

    /// The command that becomes the node. The mount needs rights that the node must not have; a change of them clears the signal with
    /// which a node dies when its test does.
    pub fn through(&self) -> Vec<OsString> {
        let become_it = format!(
            "mount {} \"$0\" && exec setpriv --pdeathsig KILL --ambient-caps=-all --inh-caps=-all -- \"$@\"",
            self.mount
        );
        let words =
            ["unshare"].iter().chain(user_namespace()).chain(&["--mount", "--propagation", "private"]);
        let words = words.chain(&["sh", "-c"]).map(OsString::from);
        words.chain([become_it.into(), self.path.as_os_str().to_owned()]).collect()
    }

    /// `ro` or `rw`, for the node of this process.
    pub fn remount(&self, node: u32, mode: &str) -> Result<()> {
        let mut enter = Command::new("nsenter");
        enter.arg(format!("--target={node}")).arg("--mount");
        if !user_namespace().is_empty() {
            enter.args(["--user", "--preserve-credentials"]);
        }
        let done = enter.args(["mount", "-o", &format!("remount,bind,{mode}")]).arg(&self.path).status()?;
        ensure!(done.success(), "remounting {} {mode}: {done}", self.path.display());
        Ok(())
    }

    pub fn fill(&self, node: u32) -> Result<()> {
        fill(&self.ballast(node))
    }

    pub fn empty(&self, node: u32) -> Result<()> {
        std::fs::remove_file(self.ballast(node)).context("emptying the disk")
    }

    fn ballast(&self, node: u32) -> PathBuf {
        seen_by(node, &self.path).join("ballast")
    }
}

/// A path as a process with mounts of its own sees it.
pub fn seen_by(process: u32, path: &Path) -> PathBuf {
    let inside = path.strip_prefix("/").unwrap_or(path);
    Path::new("/proc").join(process.to_string()).join("root").join(inside)
}

/// With a file, to the last byte of its disk.
pub fn fill(ballast: &Path) -> Result<()> {
    let mut ballast = File::create(ballast).context("filling the disk")?;
    loop {
        match ballast.write_all(&[0; CHUNK]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error).context("filling the disk"),
        }
    }
}

/// Whoever is not root may mount in a user namespace of his own.
fn user_namespace() -> &'static [&'static str] {
    match rustix::process::geteuid().is_root() {
        true => &[],
        false => &["--user", "--map-current-user", "--keep-caps"],
    }
}
