//! Whether Chromium can have its sandbox here. It is made of user namespaces; where these are closed, a program with the
//! set-user-id bit that lies beside the browser (Debian's package chromium-sandbox) makes it instead, if the browser may
//! gain privileges by such a program.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use super::Launcher;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    Usable,
    Missing { reason: String },
}

impl Sandbox {
    /// Tries what a browser would do, in a process of the browsers' user.
    pub async fn find(launcher: &Launcher, browser: &Path) -> Self {
        let trial = launcher.trial().env_clear().stdin(Stdio::null()).kill_on_drop(true).output().await;
        let reason = match trial {
            Ok(trial) if trial.status.success() => return Self::Usable,
            Ok(trial) => String::from_utf8_lossy(&trial.stderr).trim().to_owned(),
            Err(error) => format!("it could not be tried: {error}"),
        };
        if launcher.keeps_privileges() && has_helper(browser) {
            Self::Usable
        } else {
            Self::Missing { reason }
        }
    }
}

fn has_helper(browser: &Path) -> bool {
    let helper = browser.with_file_name("chrome-sandbox");
    fs::metadata(helper).is_ok_and(|meta| meta.uid() == 0 && meta.permissions().mode() & 0o4001 == 0o4001)
}
