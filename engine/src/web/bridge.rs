//! What the bridge in the page says and understands; its side is `bridge/bridge.js`.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{EngineError, InboundMessage, OutboundText, PageEvent, SendError, StreamInfo};

/// The function in the page that the bridge tells its events through.
pub(super) const BINDING: &str = "__roostEvents";
const BRIDGE: &str = include_str!("../../bridge/bridge.js");

/// The script for every new document: wa-js and our bridge, in the page itself and not in what it frames, nor in the
/// browser's own error pages.
pub(super) fn script(wa_js: &Path) -> Result<String, EngineError> {
    let wa_js = std::fs::read_to_string(wa_js)
        .map_err(|source| EngineError::Spawn { path: wa_js.display().to_string(), source })?;
    Ok(format!(
        "if (window === window.top && location.protocol.startsWith('http')) {{\n\
         window.WPPConfig = {{ disableGoogleAnalytics: true }};\n{wa_js}\n{BRIDGE}\n}}"
    ))
}

/// One event of the bridge.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum BridgeEvent {
    /// The bridge is in a new document.
    Loaded,
    /// wa-js has found the page's modules. Without `holding` the page acknowledges messages before they are durable.
    Attached {
        holding: bool,
    },
    Qr {
        text: Option<String>,
        expires_in_seconds: u64,
    },
    Ready {
        phone: String,
    },
    Online {
        online: bool,
    },
    StreamInfo {
        info: StreamInfo,
    },
    LoggedOut {
        reason: String,
    },
    Conflict,
    Outdated,
    Message {
        message: InboundMessage,
    },
}

impl BridgeEvent {
    /// What the worker learns of it.
    pub(super) fn into_page_event(self) -> Option<PageEvent> {
        Some(match self {
            Self::Loaded => return None,
            Self::Attached { holding: true } => return None,
            Self::Attached { holding: false } => {
                tracing::error!(
                    "the page does not let its acknowledgements be held; a crash may lose a message"
                );
                return None;
            }
            Self::Qr { text, expires_in_seconds } => {
                let expires_in = text.is_some().then(|| Duration::from_secs(expires_in_seconds));
                PageEvent::Qr { text, expires_in }
            }
            Self::Ready { phone } => PageEvent::Ready { phone },
            Self::Online { online } => PageEvent::Online(online),
            Self::StreamInfo { info } => PageEvent::StreamInfo(info),
            Self::LoggedOut { reason } => PageEvent::LoggedOut { reason },
            Self::Conflict => PageEvent::Conflict,
            Self::Outdated => PageEvent::Outdated,
            Self::Message { message } => PageEvent::Message(message),
        })
    }
}

/// An exception of the page as it goes into an error: its stack can be long.
pub(super) fn cut(exception: &str) -> String {
    exception.chars().take(400).collect()
}

/// The argument of the bridge's `send`.
#[derive(Debug, Serialize)]
pub(super) struct SendRequest<'a> {
    whatsapp_id: &'a str,
    chat: &'a str,
    body: &'a str,
    maybe_sent: bool,
}

impl<'a> From<&'a OutboundText> for SendRequest<'a> {
    fn from(text: &'a OutboundText) -> Self {
        let OutboundText { whatsapp_id, chat, body, maybe_sent } = text;
        Self { whatsapp_id, chat, body, maybe_sent: *maybe_sent }
    }
}

/// Its answer.
#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum SendOutcome {
    Sent,
    Offline,
    InvalidRecipient,
    Refused {
        result: String,
    },
    TimedOut,
    /// The page's script threw.
    Failed {
        exception: String,
    },
}

impl SendOutcome {
    pub(super) fn into_result(self) -> Result<(), SendError> {
        match self {
            Self::Sent => Ok(()),
            Self::Offline => Err(SendError::Offline),
            Self::InvalidRecipient => Err(SendError::InvalidRecipient),
            Self::Refused { result } => Err(SendError::Refused { result }),
            Self::TimedOut => Err(SendError::TimedOut),
            Self::Failed { exception } => {
                Err(EngineError::Page { step: "sending", exception: cut(&exception) }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use roost_model::ChatKind;

    use super::*;

    #[test]
    fn what_the_bridge_tells_is_understood() {
        let told = r#"[{"event":"loaded"},{"event":"attached","holding":true},
            {"event":"qr","text":null,"expires_in_seconds":60},{"event":"stream_info","info":"SOMETHING_NEW"},
            {"event":"message","message":{"whatsapp_id":"false_1@c.us_A","chat":"1@c.us","sender":"1@c.us",
             "body":"hi","from_me":false,"kind":"direct","timestamp":7}}]"#;
        let events: Vec<BridgeEvent> = serde_json::from_str(told).unwrap();
        let told: Vec<_> = events.into_iter().filter_map(BridgeEvent::into_page_event).collect();
        let [
            PageEvent::Qr { text: None, expires_in: None },
            PageEvent::StreamInfo(info),
            PageEvent::Message(message),
        ] = told.as_slice()
        else {
            panic!("{told:?}")
        };
        assert_eq!(*info, StreamInfo::Other("SOMETHING_NEW".to_owned()));
        assert_eq!((message.kind, message.timestamp), (ChatKind::Direct, 7));
    }

    #[test]
    fn a_send_that_failed_says_how() {
        let outcome: SendOutcome =
            serde_json::from_str(r#"{"status":"refused","result":"ERROR_UNKNOWN"}"#).unwrap();
        assert!(
            matches!(outcome.into_result(), Err(SendError::Refused { result }) if result == "ERROR_UNKNOWN")
        );
    }

    #[test]
    fn of_texts_sent_together_each_has_its_own_outcome_or_none_yet() {
        let told = r#"[{"status":"sent"},null,{"status":"failed","exception":"TypeError: x"}]"#;
        let outcomes: Vec<Option<SendOutcome>> = serde_json::from_str(told).unwrap();
        let [Some(SendOutcome::Sent), None, Some(failed)] = <[_; 3]>::try_from(outcomes).unwrap() else {
            panic!("{told} is understood differently")
        };
        let error = failed.into_result().unwrap_err();
        assert!(
            matches!(error, SendError::Page(EngineError::Page { exception, .. }) if exception == "TypeError: x")
        );
    }
}
