//! The steps from a started browser to a page that drives.

use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::emulation::{
    SetLocaleOverrideParams, SetUserAgentOverrideParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::inspector::EnableParams as InspectorParams;
use chromiumoxide_cdp::cdp::browser_protocol::page::{
    AddScriptToEvaluateOnNewDocumentParams, EnableParams as PageParams, NavigateParams,
    RemoveScriptToEvaluateOnNewDocumentParams, ScriptIdentifier,
};
use chromiumoxide_cdp::cdp::browser_protocol::performance::EnableParams as PerformanceParams;
use chromiumoxide_cdp::cdp::browser_protocol::target::{
    EventAttachedToTarget, SessionId, SetAutoAttachParams, TargetId,
};
use chromiumoxide_cdp::cdp::js_protocol::runtime::{
    AddBindingParams, EnableParams as RuntimeParams, EvaluateParams,
};
use chromiumoxide_types::{Command, MethodType};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bridge::BINDING;
use super::cdp::{ANSWERED_WITHIN, Cdp, Event};
use crate::{EngineError, LocalStorage};

/// For the first answer of a browser on a machine that starts many at once.
const FIRST_ANSWER: Duration = Duration::from_secs(20);
/// For the answer of the site's server.
const NAVIGATION: Duration = Duration::from_secs(30);

/// The one tab of a browser.
pub(super) struct Tab {
    pub session: SessionId,
    pub id: TargetId,
    /// The node's own bridge, which is in its documents to come.
    pub bridge: ScriptIdentifier,
}

/// A browser under way to a page.
pub(super) struct Startup<'a> {
    pub cdp: &'a Cdp,
    pub events: &'a mut mpsc::Receiver<Event>,
}

impl Startup<'_> {
    /// Attaches to the one tab that the browser opens by itself. What is opened later waits until the pump has told it who it is.
    pub(super) async fn attach(&mut self) -> Result<(SessionId, TargetId), EngineError> {
        let step = "attaching to the page";
        let attach = SetAutoAttachParams { flatten: Some(true), ..SetAutoAttachParams::new(true, true) };
        self.cdp.call(step, None, attach, FIRST_ANSWER).await?;
        let attached = |event: &EventAttachedToTarget| event.target_info.r#type == "page";
        let attached = self.wait_for(step, FIRST_ANSWER, attached).await?;
        Ok((attached.session_id, attached.target_info.target_id))
    }

    /// Puts wa-js and the bridge into every document to come.
    pub(super) async fn install(
        &self,
        session: &SessionId,
        script: &str,
    ) -> Result<ScriptIdentifier, EngineError> {
        self.on_page(session, "watching the page", PageParams::default()).await?;
        self.on_page(session, "watching for crashes", InspectorParams::default()).await?;
        self.on_page(session, "counting what it works", PerformanceParams::default()).await?;
        // Without the Runtime domain a binding is not made in documents to come.
        self.on_page(session, "watching the scripts", RuntimeParams::default()).await?;
        self.on_page(session, "adding the binding", AddBindingParams::new(BINDING)).await?;
        add_bridge(self.cdp, session, script).await
    }

    /// Has the page, and the workers of its own, say who it is.
    pub(super) async fn identify(
        &self,
        session: &SessionId,
        who: SetUserAgentOverrideParams,
        locale: Option<String>,
    ) -> Result<(), EngineError> {
        self.on_page(session, "giving the page a name", who).await?;
        if locale.is_some() {
            self.on_page(session, "giving the page a language", SetLocaleOverrideParams { locale }).await?;
        }
        Ok(())
    }

    async fn on_page<C: Command>(
        &self,
        session: &SessionId,
        step: &'static str,
        command: C,
    ) -> Result<(), EngineError> {
        self.cdp.call(step, Some(session), command, ANSWERED_WITHIN).await.map(drop)
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

/// Whether the page's process answers.
pub(super) async fn check(cdp: &Cdp, session: &SessionId) -> Result<(), EngineError> {
    cdp.call("looking at the page", Some(session), EvaluateParams::new("0"), ANSWERED_WITHIN).await.map(drop)
}

/// Has the documents to come run this bridge and not the node's own.
pub(super) async fn replace_bridge(cdp: &Cdp, tab: &Tab, script: &str) -> Result<(), EngineError> {
    let removal = RemoveScriptToEvaluateOnNewDocumentParams::new(tab.bridge.clone());
    cdp.call("taking the bridge out", Some(&tab.session), removal, ANSWERED_WITHIN).await?;
    add_bridge(cdp, &tab.session, script).await.map(drop)
}

async fn add_bridge(cdp: &Cdp, session: &SessionId, script: &str) -> Result<ScriptIdentifier, EngineError> {
    let script = AddScriptToEvaluateOnNewDocumentParams::new(script);
    let added = cdp.call("adding the bridge", Some(session), script, ANSWERED_WITHIN).await?;
    Ok(added.identifier)
}

/// Loads the site; returns when its document has begun. `values` are in its localStorage before any script of the page
/// runs; what is on disk and not among them stays.
pub(super) async fn open(
    cdp: &Cdp,
    session: &SessionId,
    url: &str,
    values: Option<&LocalStorage>,
) -> Result<(), EngineError> {
    let Some(values) = values else { return navigate(cdp, session, url).await };
    let script = AddScriptToEvaluateOnNewDocumentParams::new(put_back(url, values)?);
    let step = "putting localStorage back";
    let added = cdp.call(step, Some(session), script, ANSWERED_WITHIN).await?;
    navigate(cdp, session, url).await?;
    // The values are of this moment; a document that the page loads later has newer ones.
    let removal = RemoveScriptToEvaluateOnNewDocumentParams::new(added.identifier);
    cdp.call(step, Some(session), removal, ANSWERED_WITHIN).await.map(drop)
}

/// The script that fills localStorage. The origin is compared before anything is loaded: values of another one would leave
/// the page without its session, and it would ask for a scan.
fn put_back(url: &str, values: &LocalStorage) -> Result<String, EngineError> {
    let step = "putting localStorage back";
    if origin(url) != values.origin {
        let reason = format!("the values are of {} and the page is at {url}", values.origin);
        return Err(EngineError::Refused { step, reason });
    }
    let malformed = |source| EngineError::Malformed { step, source };
    let (origin, items) = (serde_json::to_string(&values.origin), serde_json::to_string(&values.items));
    // JSON is JavaScript, so it can stand in the script as it is. A reload between the first document and the removal of
    // the script must not undo what the page has written.
    Ok(format!(
        "if (window === window.top && location.origin === {} && performance.getEntriesByType('navigation')[0]?.type !== 'reload') {{\n\
         for (const [name, value] of Object.entries({})) localStorage.setItem(name, value);\n}}",
        origin.map_err(malformed)?,
        items.map_err(malformed)?,
    ))
}

/// As `location.origin` gives it: without the port that the scheme implies.
fn origin(url: &str) -> &str {
    let host_begins = url.find("://").map_or(0, |at| at + 3);
    let end = url[host_begins..].find(['/', '?', '#']).map_or(url.len(), |at| host_begins + at);
    let origin = &url[..end];
    let implied = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(implied).unwrap_or(origin)
}

async fn navigate(cdp: &Cdp, session: &SessionId, url: &str) -> Result<(), EngineError> {
    let step = "loading the page";
    let navigated = cdp.call(step, Some(session), NavigateParams::new(url), NAVIGATION).await?;
    match navigated.error_text {
        Some(reason) if !reason.is_empty() => Err(EngineError::Unreachable { reason: explained(reason) }),
        _ => Ok(()),
    }
}

/// A name that the browser is not let know reads like one that there is not.
fn explained(reason: String) -> String {
    match reason.as_str() {
        "net::ERR_NAME_NOT_RESOLVED" => format!(
            "{reason}; the page reaches its own host alone, and what --page-hosts names: if the site sends it to another one, name \
             that there"
        ),
        _ => reason,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn values_are_put_back_into_their_own_origin_only() {
        let values = |origin: &str| LocalStorage {
            origin: origin.to_owned(),
            items: BTreeMap::from([("a\"b".to_owned(), "</script>".to_owned())]),
        };
        for (url, of) in [
            ("https://web.whatsapp.com", "https://web.whatsapp.com"),
            ("https://web.whatsapp.com:443/", "https://web.whatsapp.com"),
            ("http://127.0.0.1:8080/?x", "http://127.0.0.1:8080"),
        ] {
            let script = put_back(url, &values(of)).unwrap();
            assert!(script.contains(r#"{"a\"b":"</script>"}"#), "{script}");
            let other = put_back(url, &values("https://elsewhere"));
            assert!(matches!(other, Err(EngineError::Refused { .. })), "{url}");
        }
    }
}
