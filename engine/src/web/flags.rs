//! The browser's command line. The reasons and the measurements are in [`super`].

use std::path::Path;

/// Every flag for a browser on this profile.
pub(super) fn flags(profile: &Path) -> Vec<String> {
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    flags.push(format!("--user-data-dir={}", profile.display()));
    if rustix::process::geteuid().is_root() {
        // Chromium refuses to run as root otherwise.
        flags.push("--no-sandbox".to_owned());
    }
    flags.push("about:blank".to_owned());
    flags
}

const FLAGS: &[&str] = &[
    "--headless",
    "--remote-debugging-pipe",
    // Memory.
    "--in-process-gpu",
    "--enable-features=NetworkServiceInProcess2",
    "--no-zygote",
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
