//! WhatsApp Web in a headless Chromium of its own per tenant.
//!
//! ```text
//!  worker <- PageEvent - pump <- event -+          +-> bridge.js -> wa-js -> WhatsApp Web
//!  worker -- Page ----- page -> call ---+- cdp ----+   (in the page, before its own scripts)
//!                       process: the tree behind it, frozen, killed and reaped as one
//! ```
//!
//! A launch: `process` starts the browser, `cdp` speaks to it over two pipes, `start` attaches to its one tab and installs
//! wa-js and `bridge/bridge.js` for the documents to come. That far a warm browser goes too. Then `start` has localStorage
//! put back if it must and navigates; from then on `pump` turns what the bridge tells into events and `page` turns calls
//! into calls of the bridge. Messages that come together are one event, texts that are ready together are one call, and a
//! lone one waits for nobody; nothing polls.
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
//! process. A page's scripts run in Chromium's sandbox: a renderer sees no file, no other process and no network but
//! through the browser's process, which is not root whoever runs the node ([`crate::run_as`]).
//!
//! Tried without a gain worth a flag: images off, `--enable-low-end-device-mode`, V8's `--lite-mode`,
//! `--optimize-for-size` and smaller young generations, `--disable-field-trial-config`, no 3D APIs.

mod bridge;
mod cdp;
mod flags;
mod page;
mod process;
mod pump;
mod sandbox;
mod start;
mod stderr_tail;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chromiumoxide_cdp::cdp::browser_protocol::target::SessionId;
use roost_model::ids::TenantId;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

pub use process::Launcher;
pub use sandbox::Sandbox;

use super::{BrowserObserver, Engine, EngineError, Launch, Launched, LocalStorage, WarmBrowser};
use cdp::Cdp;
use page::WebPage;
use process::{BrowserProcess, ProcessTree};
use pump::EventPump;
use start::Startup;

/// From the document's beginning to the bridge in it: both are in the same process by then.
const BRIDGE_LOADED: Duration = Duration::from_secs(10);
/// From the end of a browser's pipe to the end of all its processes.
const ENDED_BY_ITSELF: Duration = Duration::from_secs(2);
/// Events that wait for the worker.
const EVENTS: usize = 256;

/// What the engine needs to know.
#[derive(Clone)]
pub struct WebConfig {
    pub launcher: Launcher,
    /// The browser's own binary. A shell script in front of it that does not `exec` would be killed in its place.
    pub browser: PathBuf,
    /// Whether a page's scripts are kept in Chromium's sandbox.
    pub sandbox: bool,
    /// WhatsApp Web, or the simulator.
    pub page_url: String,
    /// `wppconnect-wa.js`.
    pub wa_js: PathBuf,
    pub observer: Arc<dyn BrowserObserver>,
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

    /// A browser on this profile, with the bridge ready for whatever document comes.
    async fn start(&self, profile: &Path) -> Result<WarmWebBrowser, EngineError> {
        let WebConfig { launcher, browser, sandbox, observer, page_url, .. } = &self.config;
        let flags = flags::flags(profile, *sandbox);
        let (process, pipes) = BrowserProcess::spawn(launcher, browser, profile, &flags, observer.clone())?;
        let (cdp, mut events) = Cdp::open(pipes.input, pipes.output);
        let mut start = Startup { cdp: &cdp, events: &mut events };
        let attached = async {
            let session = start.attach().await?;
            start.install(&session, &self.script).await?;
            Ok(session)
        };
        match attached.await {
            Ok(session) => Ok(WarmWebBrowser { url: page_url.clone(), process, cdp, events, session }),
            Err(error) => Err(end(&process.tree(), error).await),
        }
    }
}

/// A browser whose one tab shows nothing.
struct WarmWebBrowser {
    url: String,
    process: BrowserProcess,
    cdp: Cdp,
    /// Few come while no page is loaded; they are dropped when one is.
    events: mpsc::Receiver<cdp::Event>,
    session: SessionId,
}

impl WarmWebBrowser {
    async fn drive(self, local_storage: Option<&LocalStorage>) -> Result<Launched, EngineError> {
        let Self { url, process, cdp, events: raw, session } = self;
        let (document_tx, mut document) = watch::channel(None);
        let (events, received) = mpsc::channel(EVENTS);
        let pump = EventPump {
            cdp: cdp.clone(),
            session: session.clone(),
            tree: process.tree(),
            document: document_tx,
            events,
            console_entries: 0,
        };
        tokio::spawn(pump.run(raw));
        start::open(&cdp, &session, &url, local_storage).await?;
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
impl WarmBrowser for WarmWebBrowser {
    async fn open(self: Box<Self>, launch: Launch) -> Result<Launched, EngineError> {
        let tree = self.process.tree();
        match self.drive(launch.local_storage.as_ref()).await {
            Ok(launched) => Ok(launched),
            Err(error) => Err(end(&tree, error).await),
        }
    }

    async fn kill(self: Box<Self>) {
        self.process.tree().kill().await;
    }
}

/// Ends a browser that did not come up. One that has ended by itself knows better why than whoever was calling it.
async fn end(tree: &ProcessTree, error: EngineError) -> EngineError {
    let by_itself = match &error {
        EngineError::Gone => timeout(ENDED_BY_ITSELF, tree.wait()).await.ok(),
        _ => None,
    };
    tree.kill().await;
    by_itself.map_or(error, EngineError::ended)
}

#[async_trait]
impl Engine for WebEngine {
    async fn launch(&self, launch: Launch) -> Result<Launched, EngineError> {
        Box::new(self.start(&launch.profile).await?).open(launch).await
    }

    async fn warm(&self, _tenant: &TenantId, profile: &Path) -> Result<Box<dyn WarmBrowser>, EngineError> {
        Ok(Box::new(self.start(profile).await?))
    }
}
