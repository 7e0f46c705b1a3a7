//! WhatsApp Web in a headless Chromium of its own per tenant.
//!
//! ```text
//!  worker <- PageEvent - pump <- event -+          +-> bridge.js -> wa-js -> WhatsApp Web
//!  worker -- Page ----- page -> call ---+- cdp ----+   (in the page, before its own scripts)
//!                       process: the tree behind it, frozen, killed and reaped as one
//! ```
//!
//! A launch: `process` starts the browser, `cdp` speaks to it over two pipes, `start` attaches to its one tab, puts
//! localStorage back if it must, installs wa-js and `bridge/bridge.js` and navigates; from then on `pump` turns what the
//! bridge tells into events and `page` turns calls into calls of the bridge. Messages that come together are one event,
//! texts that are ready together are one call, and a lone one waits for nobody; nothing polls.
//!
//! # The browser's configuration, and why
//! PSS of the whole process tree, each of five tenants side by side, paired, 5 s after ready, on the simulated page with
//! Debian's headless shell of Chromium 156 (the real page is heavier: these are floors):
//!
//! | configuration | MiB |
//! |---|---|
//! | `--headless --disable-gpu` alone | 102 |
//! | ours, without the two switches that bring GPU and network into the browser's process | 90 |
//! | ours, without `--disable-software-rasterizer` | 82 |
//! | **ours** | **71** |
//! | ours, with `--single-process` | 60 |
//!
//! `--single-process` would save 11 MiB more. It is not used: it is a debugging aid that Chromium does not support, and
//! with it a fault in the page's scripts takes the storage down with them, while here a renderer that crashes is one
//! reload ([`super::PageEvent::Crashed`]). What is given up is isolation of GPU and network code from the browser's
//! process; what the sandbox protects is given up too where the node runs as root, for Chromium insists on `--no-sandbox`
//! there. A tenant's page is isolated from other tenants' by being in other processes with other profiles either way.
//!
//! Tried without a gain worth a flag: images off, `--enable-low-end-device-mode`, V8's `--lite-mode`,
//! `--optimize-for-size` and smaller young generations, `--disable-field-trial-config`, no 3D APIs.

mod bridge;
mod cdp;
mod flags;
mod page;
mod process;
mod pump;
mod start;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

pub use process::Launcher;

use super::{BrowserLedger, Engine, EngineError, Launch, Launched};
use cdp::Cdp;
use page::WebPage;
use process::BrowserProcess;
use pump::Pump;
use start::Start;

/// For a step that the browser answers out of its memory.
const STEP: Duration = Duration::from_secs(10);
/// From the document's beginning to the bridge in it: both are in the same process by then.
const BRIDGE_LOADED: Duration = Duration::from_secs(10);
/// Events that wait for the worker.
const EVENTS: usize = 256;

/// What the engine needs to know.
#[derive(Clone)]
pub struct WebConfig {
    pub launcher: Launcher,
    /// The browser's own binary. A shell script in front of it that does not `exec` would be killed in its place.
    pub browser: PathBuf,
    /// WhatsApp Web, or the simulator.
    pub page_url: String,
    /// `wppconnect-wa.js`.
    pub wa_js: PathBuf,
    pub ledger: Arc<dyn BrowserLedger>,
}

/// Launches browsers.
pub struct WebEngine {
    config: WebConfig,
    script: String,
}

impl WebEngine {
    /// Reads wa-js.
    pub fn new(config: WebConfig) -> Result<Self, EngineError> {
        let script = bridge::script(&config.wa_js)?;
        Ok(Self { config, script })
    }

    async fn drive(
        &self,
        launch: &Launch,
        process: BrowserProcess,
        pipes: process::Pipes,
    ) -> Result<Launched, EngineError> {
        let (cdp, mut raw) = Cdp::open(pipes.input, pipes.output);
        let mut start = Start { cdp: &cdp, events: &mut raw };
        let url = &self.config.page_url;
        let session = start.attach().await?;
        if let Some(values) = &launch.local_storage {
            start.put_back(&session, url, values).await?;
        }
        start.install(&session, &self.script).await?;
        let (document_tx, mut document) = watch::channel(None);
        let (events, received) = mpsc::channel(EVENTS);
        start.navigate(&session, url).await?;
        let (of, tree) = (session.clone(), process.tree());
        let pump =
            Pump { cdp: cdp.clone(), session: of, tree, document: document_tx, events, console_entries: 0 };
        tokio::spawn(pump.run(raw));
        let step = "loading the bridge";
        let loaded = timeout(BRIDGE_LOADED, document.wait_for(Option::is_some)).await;
        loaded
            .map_err(|_| EngineError::TimedOut { step, limit: BRIDGE_LOADED })?
            .map_err(|_| EngineError::Gone)?;
        let pid = Some(process.pid());
        Ok(Launched { page: Arc::new(WebPage { cdp, session, document, process }), events: received, pid })
    }
}

#[async_trait]
impl Engine for WebEngine {
    async fn launch(&self, launch: Launch) -> Result<Launched, EngineError> {
        let WebConfig { launcher, browser, ledger, .. } = &self.config;
        let flags = flags::flags(&launch.profile);
        let (process, pipes) = BrowserProcess::spawn(launcher, browser, &flags, ledger.clone())?;
        let tree = process.tree();
        let launched = self.drive(&launch, process, pipes).await;
        if let Err(error) = &launched {
            let ended = tree.kill().await;
            tracing::debug!(tenant = %launch.tenant, %error, ended, "a browser did not come up");
        }
        launched
    }
}
