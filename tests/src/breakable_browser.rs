//! A browser that can be broken and mended while a node runs: what makes a node grey, for it lives on and can do nothing.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Becomes the browser that it is told of; the file beside it says that it is broken.
const SCRIPT: &str =
    "#!/bin/sh\n[ ! -e \"$0.broken\" ] || { echo 'the browser is broken' >&2; exit 1; }\nexec ";

#[derive(Debug, Clone)]
pub struct BreakableBrowser {
    command: PathBuf,
}

impl BreakableBrowser {
    /// In a directory through which the browsers' user may pass.
    pub fn make(dir: &Path, name: &str) -> Result<Self> {
        let command = dir.join(format!("browser-of-{name}"));
        let browser = roost_devcluster::browser()?;
        fs::write(&command, format!("{SCRIPT}'{}' \"$@\"\n", browser.display()))
            .and_then(|()| fs::set_permissions(&command, Permissions::from_mode(0o755)))
            .with_context(|| format!("writing {}", command.display()))?;
        Ok(Self { command })
    }

    /// What the node is given as its browser.
    pub fn command(&self) -> PathBuf {
        self.command.clone()
    }

    /// None starts any more; what runs goes on.
    pub fn spoil(&self) -> Result<()> {
        fs::write(self.broken(), "").context("breaking a browser")
    }

    pub fn mend(&self) -> Result<()> {
        fs::remove_file(self.broken()).context("mending a browser")
    }

    fn broken(&self) -> PathBuf {
        self.command.with_added_extension("broken")
    }
}
