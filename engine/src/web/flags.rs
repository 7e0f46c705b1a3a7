//! The browser's command line. The reasons and the measurements are in [`super`].

use std::ffi::OsString;
use std::path::Path;

/// Every flag for a browser on this profile.
pub(super) fn flags(profile: &Path, sandbox: bool) -> Vec<OsString> {
    let mut flags: Vec<OsString> = FLAGS.iter().map(OsString::from).collect();
    let processes = if sandbox { SANDBOXED } else { UNSANDBOXED };
    flags.extend(processes.iter().map(OsString::from));
    // As it is: a path need not be text.
    let mut user_data_dir = OsString::from("--user-data-dir=");
    user_data_dir.push(profile);
    flags.push(user_data_dir);
    flags.push("about:blank".into());
    flags
}

/// The sandbox is set up by a zygote. The second one, for processes without a sandbox, has nothing to do here: GPU and
/// network are in the browser's own process.
const SANDBOXED: &[&str] = &["--no-unsandboxed-zygote"];
/// Chromium can do without any zygote only without its sandbox.
const UNSANDBOXED: &[&str] = &["--no-sandbox", "--no-zygote"];

const FLAGS: &[&str] = &[
    "--headless",
    "--remote-debugging-pipe",
    // Memory.
    "--in-process-gpu",
    "--enable-features=NetworkServiceInProcess2",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--window-size=800,600",
    // The page's own bundle comes from the disk at the next start; nothing else is worth keeping.
    "--disk-cache-size=67108864",
    // Services of a desktop browser that a session has no use for, and that would call home.
    "--disable-features=SpareRendererForSitePerProcess,MediaRouter,OptimizationHints,Translate,AutofillServerCommunication,InterestFeedContentSuggestions,PaintHolding",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--metrics-recording-only",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    // The system's keyring would ask someone.
    "--password-store=basic",
    // The page is never in front, and must not be slowed down for that.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    // A page that asks whether it may leave would wait for someone to answer.
    "--disable-hang-monitor",
    "--disable-prompt-on-repost",
];

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_is_passed_as_it_is_and_only_a_missing_sandbox_is_said_so() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a b/\xc3\xa4/\xff"));
        let sandboxed = flags(path, true);
        let given: Vec<_> = sandboxed.iter().map(|flag| flag.as_bytes()).collect();
        assert!(given.contains(&b"--user-data-dir=/a b/\xc3\xa4/\xff".as_slice()));
        assert!(!given.contains(&b"--no-sandbox".as_slice()) && !given.contains(&b"--no-zygote".as_slice()));
        assert!(flags(path, false).contains(&"--no-sandbox".into()));
    }
}
