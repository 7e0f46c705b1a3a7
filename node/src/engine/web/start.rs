//! The steps from a started browser to a page that drives.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::browser::GetVersionParams;
use chromiumoxide::cdp::browser_protocol::emulation::SetUserAgentOverrideParams;
use chromiumoxide::cdp::browser_protocol::fetch::{
    DisableParams, EnableParams as FetchParams, EventRequestPaused, FulfillRequestParams, RequestPattern,
};
use chromiumoxide::cdp::browser_protocol::inspector::EnableParams as InspectorParams;
use chromiumoxide::cdp::browser_protocol::page::{
    AddScriptToEvaluateOnNewDocumentParams, EnableParams as PageParams, NavigateParams,
};
use chromiumoxide::cdp::browser_protocol::target::{EventAttachedToTarget, SessionId, SetAutoAttachParams};
use chromiumoxide::cdp::js_protocol::runtime::{
    AddBindingParams, EnableParams as RuntimeParams, EvaluateParams,
};
use chromiumoxide::types::{Command, MethodType};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::STEP;
use super::bridge::BINDING;
use super::cdp::{Cdp, Event};
use crate::engine::{EngineError, LocalStorage};

/// For the first answer of a browser on a machine that starts many at once.
const FIRST_ANSWER: Duration = Duration::from_secs(20);
/// For the answer of the site's server.
const NAVIGATION: Duration = Duration::from_secs(30);

/// A browser under way to a page.
pub(super) struct Start<'a> {
    pub cdp: &'a Cdp,
    pub events: &'a mut mpsc::Receiver<Event>,
}

impl Start<'_> {
    /// Attaches to the one tab that the browser opens by itself.
    pub(super) async fn attach(&mut self) -> Result<SessionId, EngineError> {
        let step = "attaching to the page";
        let attach = SetAutoAttachParams { flatten: Some(true), ..SetAutoAttachParams::new(true, false) };
        self.cdp.call(step, None, attach, FIRST_ANSWER).await?;
        let attached = |event: &EventAttachedToTarget| event.target_info.r#type == "page";
        Ok(self.wait_for(step, FIRST_ANSWER, attached).await?.session_id)
    }

    /// Puts wa-js and the bridge into every document to come.
    pub(super) async fn install(&self, session: &SessionId, script: &str) -> Result<(), EngineError> {
        self.on_page(session, "watching the page", PageParams::default()).await?;
        self.on_page(session, "watching for crashes", InspectorParams::default()).await?;
        self.on_page(session, "giving the page a name", self.user_agent().await?).await?;
        // Without the Runtime domain a binding is not made in documents to come.
        self.on_page(session, "watching the scripts", RuntimeParams::default()).await?;
        self.on_page(session, "adding the binding", AddBindingParams::new(BINDING)).await?;
        let script = AddScriptToEvaluateOnNewDocumentParams::new(script);
        self.on_page(session, "adding the bridge", script).await
    }

    /// Fills localStorage before any script of the page runs: the site's address is answered with an empty page of our
    /// own, which has the site's origin and nothing else. Values that are on disk and not among these stay.
    pub(super) async fn put_back(
        &mut self,
        session: &SessionId,
        url: &str,
        values: &LocalStorage,
    ) -> Result<(), EngineError> {
        let every =
            RequestPattern { url_pattern: Some("*".to_owned()), resource_type: None, request_stage: None };
        let intercept = FetchParams { patterns: Some(vec![every]), handle_auth_requests: None };
        self.on_page(session, "intercepting the page", intercept).await?;
        let (cdp, of, url) = (self.cdp.clone(), session.clone(), url.to_owned());
        let navigating = tokio::spawn(async move { navigate_to(&cdp, &of, &url).await });
        let step = "answering for the site";
        let paused = self.wait_for(step, NAVIGATION, |_: &EventRequestPaused| true).await?;
        let mut answer = FulfillRequestParams::new(paused.request_id, 200);
        answer.body = Some(STANDARD.encode("<!doctype html>").into());
        self.on_page(session, step, answer).await?;
        navigating.await.map_err(|_| EngineError::Gone)??;
        self.write_values(session, values).await?;
        self.on_page(session, "ending the interception", DisableParams::default()).await
    }

    /// Loads the site; returns when its document has begun.
    pub(super) async fn navigate(&self, session: &SessionId, url: &str) -> Result<(), EngineError> {
        navigate_to(self.cdp, session, url).await
    }

    async fn write_values(&self, session: &SessionId, values: &LocalStorage) -> Result<(), EngineError> {
        let step = "putting localStorage back";
        let malformed = |source| EngineError::Malformed { step, source };
        let (origin, items) = (serde_json::to_string(&values.origin), serde_json::to_string(&values.items));
        // JSON is JavaScript, so it can stand in the expression as it is.
        let expression = format!(
            "if (location.origin !== {}) throw new Error(`the values are not of ${{location.origin}}`);\n\
             for (const [name, value] of Object.entries({})) localStorage.setItem(name, value);",
            origin.map_err(malformed)?,
            items.map_err(malformed)?,
        );
        let evaluated = self.cdp.call(step, Some(session), EvaluateParams::new(expression), STEP).await?;
        match evaluated.exception_details {
            None => Ok(()),
            Some(details) => {
                let thrown = details.exception.and_then(|exception| exception.description);
                Err(EngineError::Page { step, exception: thrown.unwrap_or(details.text) })
            }
        }
    }

    /// WhatsApp turns away a browser that calls itself headless.
    async fn user_agent(&self) -> Result<SetUserAgentOverrideParams, EngineError> {
        let version = self.cdp.call("asking the version", None, GetVersionParams::default(), STEP).await?;
        Ok(SetUserAgentOverrideParams::new(version.user_agent.replace("HeadlessChrome", "Chrome")))
    }

    async fn on_page<C: Command>(
        &self,
        session: &SessionId,
        step: &'static str,
        command: C,
    ) -> Result<(), EngineError> {
        self.cdp.call(step, Some(session), command, STEP).await.map(drop)
    }

    /// The next event of this kind that fits; others are of no use yet and are dropped.
    async fn wait_for<E: MethodType + DeserializeOwned>(
        &mut self,
        step: &'static str,
        limit: Duration,
        fits: impl Fn(&E) -> bool,
    ) -> Result<E, EngineError> {
        let waiting = async {
            while let Some(event) = self.events.recv().await {
                if event.method != E::method_id() {
                    continue;
                }
                let event = serde_json::from_value(event.params);
                let event: E = event.map_err(|source| EngineError::Malformed { step, source })?;
                if fits(&event) {
                    return Ok(event);
                }
            }
            Err(EngineError::Gone)
        };
        timeout(limit, waiting).await.map_err(|_| EngineError::TimedOut { step, limit })?
    }
}

async fn navigate_to(cdp: &Cdp, session: &SessionId, url: &str) -> Result<(), EngineError> {
    let step = "loading the page";
    let navigated = cdp.call(step, Some(session), NavigateParams::new(url), NAVIGATION).await?;
    match navigated.error_text {
        Some(reason) if !reason.is_empty() => Err(EngineError::Refused { step, reason }),
        _ => Ok(()),
    }
}
