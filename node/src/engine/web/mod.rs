//! WhatsApp Web in a headless Chromium of its own per tenant.
//!
//! TODO-doc

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
        let pump = Pump { cdp: cdp.clone(), session: of, tree, document: document_tx, events, console_entries: 0 };
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
