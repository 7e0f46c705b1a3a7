//! Where the programs and files are that a cluster on this machine needs.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use super::error::{DevError, Result};

const BRIDGE: &str = "engine/bridge/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js";
const BRIDGE_VARIABLE: &str = "ROOST_BRIDGE";
const WEED: &str = "target/tools/seaweedfs/bin/weed";
const WEED_VARIABLE: &str = "ROOST_WEED";
const BROWSERS: [&str; 2] = ["/usr/lib/chromium/chromium-headless-shell", "/usr/lib/chromium/chromium"];
const BROWSER_VARIABLE: &str = "ROOST_BROWSER";

/// One of the product's programs: beside this one, or one level up from a test's (`target/debug/deps`).
pub fn product(name: &str) -> Result<PathBuf> {
    let executable = executable()?;
    let dir = executable.parent().unwrap_or(Path::new("/"));
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    let program = dir.join(name);
    if program.exists() { Ok(program) } else { Err(DevError::NotBuilt { program }) }
}

/// A program of the system, on the PATH.
pub(super) fn installed(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file());
    found.ok_or_else(|| DevError::MissingProgram { program: name.to_owned() })
}

/// wa-js: what ROOST_BRIDGE says, or as `npm ci` installed it in the work tree that is here or that this program was
/// built in.
pub fn bridge() -> Result<PathBuf> {
    of_work_tree(BRIDGE_VARIABLE, "wa-js (the bridge into WhatsApp Web's page)", BRIDGE)
}

/// SeaweedFS, an S3-compatible server: what ROOST_WEED says, or as `deploy/deps.sh --test` installed it.
pub(super) fn weed() -> Result<PathBuf> {
    of_work_tree(WEED_VARIABLE, "SeaweedFS (deploy/deps.sh --test)", WEED)
}

fn of_work_tree(variable: &'static str, what: &'static str, path: &str) -> Result<PathBuf> {
    let executable = executable()?;
    let here = env::current_dir().map_err(DevError::file("find", Path::new(".")))?;
    let places = here.ancestors().chain(executable.ancestors()).map(|dir| dir.join(path));
    given_or_found(variable, what, places)
}

/// The browser: what ROOST_BROWSER says, or Debian's headless shell, or Debian's Chromium. (The programs of these names
/// in /usr/bin are shell scripts that do not replace themselves, so that a signal would not reach the browser.)
pub fn browser() -> Result<PathBuf> {
    given_or_found(
        BROWSER_VARIABLE,
        "chromium-headless-shell or chromium",
        BROWSERS.iter().map(PathBuf::from),
    )
}

fn given_or_found(
    variable: &'static str,
    what: &'static str,
    mut places: impl Iterator<Item = PathBuf>,
) -> Result<PathBuf> {
    match env::var_os(variable).map(PathBuf::from) {
        Some(given) if given.is_file() => Ok(given),
        Some(given) => Err(DevError::file("use what is named by the environment:", &given)(
            io::ErrorKind::NotFound.into(),
        )),
        None => places.find(|place| place.is_file()).ok_or(DevError::NotFound { what, variable }),
    }
}

fn executable() -> Result<PathBuf> {
    env::current_exe().map_err(DevError::file("find", Path::new("/proc/self/exe")))
}
