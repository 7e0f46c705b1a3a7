//! A page as the worker sees it: every call is one message to the browser, answered by the bridge.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chromiumoxide_cdp::cdp::browser_protocol::browser::{CloseParams, GetVersionParams};
use chromiumoxide_cdp::cdp::browser_protocol::page::{CaptureScreenshotParams, ReloadParams};
use chromiumoxide_cdp::cdp::browser_protocol::performance::GetMetricsParams;
use chromiumoxide_cdp::cdp::browser_protocol::target::SessionId;
use chromiumoxide_cdp::cdp::js_protocol::runtime::{
    CallArgument, CallFunctionOnParams, ExceptionDetails, ExecutionContextId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::bridge::{PairingAnswer, SendOutcome, SendRequest, WA_JS_VERSION, cut};
use super::cdp::Cdp;
use super::forwarder::Forwarder;
use super::freeze::freeze;
use super::process::{BrowserProcess, ProcessTree};
use crate::{
    EngineError, Frozen, LocalStorage, OutboundText, PROBE_WITHIN, Page, PairingCode, Probe, SendError,
    SendOutcomes, Versions, Vitals,
};

/// For calls that the page answers out of its memory.
const CALL: Duration = Duration::from_secs(10);
/// The bridge itself gives up after 20 s; this is for a page that does not run.
const SEND: Duration = Duration::from_secs(25);
/// The bridge waits 15 s for the server.
const PAIRING: Duration = Duration::from_secs(18);
/// For people who wait for what else there is to tell.
const VERSION: Duration = Duration::from_secs(2);
/// The bridge waits 8 s for the server.
const LOGOUT: Duration = Duration::from_secs(10);
/// For people who wait. A page whose renderer stands still never answers.
const SCREENSHOT: Duration = Duration::from_secs(8);
/// A gRPC message has 4 MiB at most.
const PICTURE_BYTES: usize = 3 << 20;
/// How long the threads of a busy machine may take to stop.
const FREEZE: Duration = Duration::from_secs(1);
/// How long a browser may take to close by itself.
const CLOSE: Duration = Duration::from_secs(5);

pub(super) struct WebPage {
    pub(super) cdp: Cdp,
    pub(super) session: SessionId,
    /// The document that the bridge is in; `None` between documents.
    pub(super) document: watch::Receiver<Option<ExecutionContextId>>,
    /// Kept for its end: dropping it kills the browser.
    pub(super) process: BrowserProcess,
    /// When its session was opened.
    pub(super) since: Instant,
    pub(super) versions: Versions,
    /// Kept for its way to its tenant's proxy.
    pub(super) _forwarder: Option<Forwarder>,
}

impl WebPage {
    /// Calls a function in the page with one argument and waits for what its promise brings.
    async fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        step: &'static str,
        function: &'static str,
        argument: A,
        limit: Duration,
    ) -> Result<R, EngineError> {
        let document = self.document.borrow().ok_or(EngineError::NoDocument { step })?;
        let malformed = |source| EngineError::Malformed { step, source };
        let argument =
            CallArgument::builder().value(serde_json::to_value(argument).map_err(malformed)?).build();
        let call = CallFunctionOnParams {
            arguments: Some(vec![argument]),
            execution_context_id: Some(document),
            await_promise: Some(true),
            return_by_value: Some(true),
            ..CallFunctionOnParams::new(function)
        };
        let returned = match self.cdp.call(step, Some(&self.session), call, limit).await {
            Err(EngineError::Refused { reason, .. }) if is_about_a_lost_document(&reason) => {
                return Err(EngineError::NoDocument { step });
            }
            returned => returned?,
        };
        if let Some(details) = returned.exception_details {
            return Err(EngineError::Page { step, exception: describe(&details) });
        }
        serde_json::from_value(returned.result.value.unwrap_or(Value::Null)).map_err(malformed)
    }

    fn tree(&self) -> ProcessTree {
        self.process.tree()
    }
}

/// DevTools has one error code for all of these.
fn is_about_a_lost_document(reason: &str) -> bool {
    [
        "Cannot find context",
        "Execution context was destroyed",
        "Inspected target navigated",
        "Promise was collected",
    ]
    .iter()
    .any(|known| reason.contains(known))
}

/// As the browser tells it: in base64.
fn picture(step: &'static str, told: &str) -> Result<Vec<u8>, EngineError> {
    let limit = PICTURE_BYTES;
    let refused = |error: base64::DecodeError| EngineError::Refused { step, reason: error.to_string() };
    match told.len() / 4 * 3 {
        bytes if bytes > limit => Err(EngineError::PictureTooLarge { bytes, limit }),
        _ => STANDARD.decode(told).map_err(refused),
    }
}

/// A send whose page does not answer is like one whose server does not: nobody knows.
fn timed_out(error: EngineError) -> SendError {
    match error {
        EngineError::TimedOut { .. } => SendError::TimedOut,
        error => error.into(),
    }
}

fn describe(details: &ExceptionDetails) -> String {
    let thrown = details.exception.as_ref().and_then(|exception| exception.description.as_deref());
    let text = thrown.unwrap_or(&details.text);
    cut(text)
}

#[async_trait]
impl Page for WebPage {
    async fn send(&self, text: &OutboundText) -> Result<(), SendError> {
        let request = SendRequest::from(text);
        let sent: Result<SendOutcome, _> =
            self.call("sending", "(text) => __roost.send(text)", request, SEND).await;
        sent.map_err(timed_out)?.into_result()
    }

    async fn send_all(&self, texts: &[OutboundText]) -> Result<SendOutcomes, SendError> {
        let requests: Vec<_> = texts.iter().map(SendRequest::from).collect();
        let sent: Result<Vec<Option<SendOutcome>>, _> =
            self.call("sending", "(texts) => __roost.sendAll(texts)", requests, SEND).await;
        let sent = sent.map_err(timed_out)?;
        Ok(sent.into_iter().map(|outcome| outcome.map(SendOutcome::into_result)).collect())
    }

    async fn confirm(&self, whatsapp_ids: &[String]) -> Result<(), EngineError> {
        self.call("confirming", "(ids) => { __roost.confirm(ids); }", whatsapp_ids, CALL).await
    }

    async fn probe(&self, heard_within: Duration) -> Result<Probe, EngineError> {
        let heard_within_ms = heard_within.as_secs_f64() * 1e3;
        self.call("probing", "(heardWithinMs) => __roost.probe(heardWithinMs)", heard_within_ms, PROBE_WITHIN)
            .await
    }

    async fn worked(&self) -> Result<Duration, EngineError> {
        let step = "asking how busy the page is";
        let metrics =
            self.cdp.call(step, Some(&self.session), GetMetricsParams::default(), CALL).await?.metrics;
        let tasks = metrics.iter().find(|metric| metric.name == "TaskDuration");
        Ok(Duration::from_secs_f64(tasks.map_or(0.0, |metric| metric.value.max(0.0))))
    }

    async fn vitals(&self) -> Vitals {
        let step = "asking the browser's version";
        let said = self.cdp.call(step, None, GetVersionParams::default(), VERSION).await;
        Vitals {
            since: self.since,
            pid: Some(self.process.pid()),
            browser_version: said.map(|said| said.product).unwrap_or_default(),
            bridge_version: env!("CARGO_PKG_VERSION"),
            library_version: self.versions.library_name(WA_JS_VERSION),
            page_version: self.versions.page_name(),
        }
    }

    async fn screenshot(&self) -> Result<Vec<u8>, EngineError> {
        let step = "taking a picture of the page";
        let taken = self.cdp.call(step, Some(&self.session), CaptureScreenshotParams::default(), SCREENSHOT);
        picture(step, taken.await?.data.as_ref())
    }

    async fn sweep(&self) -> Result<(), EngineError> {
        self.call("sweeping", "() => { __roost.sweep(); }", (), CALL).await
    }

    async fn pairing_code(&self, phone: &str) -> Result<PairingCode, EngineError> {
        let step = "asking for a code to type";
        let answer: PairingAnswer =
            self.call(step, "(phone) => __roost.pairingCode(phone)", phone, PAIRING).await?;
        answer.into_result()
    }

    async fn logout(&self) -> Result<(), EngineError> {
        let problem: Option<String> = self.call("logging out", "() => __roost.logout()", (), LOGOUT).await?;
        problem.map_or(Ok(()), |problem| Err(EngineError::NotUnlinked { reason: cut(&problem) }))
    }

    async fn take_over(&self) -> Result<(), EngineError> {
        self.call("taking over", "() => { __roost.takeOver(); }", (), CALL).await
    }

    async fn reload(&self) -> Result<(), EngineError> {
        let step = "reloading";
        self.cdp.call(step, Some(&self.session), ReloadParams::default(), CALL).await.map(drop)
    }

    async fn local_storage(&self) -> Result<LocalStorage, EngineError> {
        let function = "() => ({ origin: location.origin, items: { ...localStorage } })";
        self.call("reading localStorage", function, (), CALL).await
    }

    fn freeze(&self) -> Result<Frozen, EngineError> {
        freeze(&self.tree(), FREEZE)
    }

    async fn close(&self) -> bool {
        let tree = self.tree();
        // It ended without being asked to.
        if tree.is_gone() {
            return false;
        }
        let closing = async {
            // The browser may close its pipe before it answers.
            let _ = self.cdp.call("closing", None, CloseParams::default(), CLOSE).await;
            tree.ended_in_order().await
        };
        let pid = self.process.pid();
        match timeout(CLOSE, closing).await {
            Ok(true) => return true,
            Ok(false) => {
                let reason = tree.wait().await;
                tracing::warn!(pid, reason, "the browser did not close in order");
            }
            Err(_elapsed) => tracing::warn!(pid, "the browser does not close and is killed"),
        }
        self.kill().await;
        false
    }

    async fn kill(&self) {
        self.tree().kill().await;
    }
}
