//! What the bridge in the page says and understands; its side is `bridge/bridge.js`.

use std::path::Path;
use std::time::Duration;

use roost_model::{ChatKind, causes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    EngineError, InboundMessage, LinkedAccount, OutboundText, PageEvent, PairingCode, SendError, StreamInfo,
    WINDOW, WINDOW_CHARS,
};

/// The function in the page that the bridge tells its events through.
pub(super) const BINDING: &str = "__roostEvents";
/// What the bridge tells at once, at most. It keeps to less (see `TELL_CHARS` there).
pub(super) const TOLD_BYTES: usize = 512 * 1024;
const BRIDGE: &str = include_str!("../../bridge/bridge.js");

/// The library that the bridge stands on, as `bridge/package.json` names it, and its file `dist/wppconnect-wa.js`. It
/// runs in every tenant's session, so that no other file is taken for it. The two change together.
pub(super) const WA_JS_VERSION: &str = "4.6.0";
const WA_JS_SHA256: &str = "5bfb88027f14a4d8c9e319374e8bb4083201906881cf8c74f75789b32e4106bd";

/// Whether the page is where it goes on as one that is linked. Beside wa-js in its block, so that no page sees it.
const IS_MAIN: &str = "const roostIsMain = () => { try { return window.require('WAWebStreamModel').Stream.mode === 'MAIN' \
                       && window.require('WAWebCmd').Cmd.isMainLoaded } catch { return false } };";
/// What of wa-js is put in other words: how it waits until no module is loaded any more.
const ATTACHING: [(&str, &str); 2] = [
    ("{quiet:e=750,timeout:r=2e4,poll:n=100}", "{quiet:e=750,timeout:r=2e4,poll:n=25}"),
    ("t>0&&Date.now()-s>=e)", "t>0&&Date.now()-s>=(roostIsMain()?100:e))"),
];

/// What a page holds of messages that are not durable, at most: the contract of an outage of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLimits {
    /// How long the page waits to acknowledge one. Then it does not, and WhatsApp delivers it again after the page's next
    /// connection.
    pub hold: Duration,
    /// How many are held. What comes on top of them is not acknowledged either.
    pub messages: usize,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self { hold: Duration::from_secs(600), messages: 5_000 }
    }
}

/// The script for every new document: wa-js and our bridge, in the page itself and not in what it frames, nor in the
/// browser's own error pages. There the binding, which the browser makes in every context, is taken away.
///
/// wa-js attaches when the page has loaded no module for 750 ms, and until then nothing is answered. A page whose main bundle is
/// loaded and whose session is let in has what wa-js attaches to, so there it need not wait for longer than a moment.
pub(super) fn script(wa_js: &WaJs, limits: HoldLimits) -> String {
    let (WaJs(wa_js), bridge) = (wa_js, BRIDGE.trim_end());
    let HoldLimits { hold, messages } = limits;
    let limits = json!({
        "hold_ms": hold.as_secs_f64() * 1e3, "held": messages, "window": WINDOW, "window_chars": WINDOW_CHARS,
    });
    format!(
        "if (window === window.top && location.protocol.startsWith('http')) {{\n\
         window.WPPConfig = {{ disableGoogleAnalytics: true }};\n{IS_MAIN}\n{wa_js}\n{bridge}({limits});\n}} else {{ delete window.{BINDING}; }}"
    )
}

/// The library that every page is given.
#[derive(Clone)]
pub struct WaJs(String);

impl WaJs {
    /// `wppconnect-wa.js` of the version that the bridge was written for. What is read is what is checked.
    pub fn read(file: &Path) -> Result<Self, EngineError> {
        let path = || file.display().to_string();
        let text =
            std::fs::read_to_string(file).map_err(|source| EngineError::Spawn { path: path(), source })?;
        let found = hex::encode(Sha256::digest(text.as_bytes()));
        if found != WA_JS_SHA256 {
            let (version, expected) = (WA_JS_VERSION, WA_JS_SHA256);
            return Err(EngineError::ForeignLibrary { path: path(), version, found, expected });
        }
        Ok(Self::reworded(text))
    }

    /// Another build, which need not have what is put in other words.
    pub(super) fn reworded(text: String) -> Self {
        Self(ATTACHING.iter().fold(text, |text, (theirs, ours)| text.replacen(theirs, ours, 1)))
    }

    /// As much of it as a page of one's own needs. Nobody checks what it is.
    pub fn stand_in(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// One event of the bridge.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum BridgeEvent {
    /// The bridge is in a new document, which the server has given with this HTTP status; 0 where it is not known.
    Loaded {
        #[serde(default)]
        status: u16,
    },
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
    Account {
        account: LinkedAccount,
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
    SweepBegun,
    Message {
        message: InboundMessage,
    },
}

impl BridgeEvent {
    /// What the worker learns of it.
    pub(super) fn into_page_event(self) -> Option<PageEvent> {
        Some(match self {
            Self::Loaded { status } if status >= 400 => PageEvent::TurnedAway { status },
            Self::Loaded { .. } => PageEvent::Loaded,
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
            Self::Account { account } => PageEvent::Account(account),
            Self::Online { online } => PageEvent::Online(online),
            Self::StreamInfo { info } => PageEvent::StreamInfo(info),
            Self::LoggedOut { reason } => PageEvent::LoggedOut { reason },
            Self::Conflict => PageEvent::Conflict,
            Self::Outdated => PageEvent::Outdated,
            Self::SweepBegun => PageEvent::SweepBegun,
            Self::Message { message } => PageEvent::Message(message),
        })
    }
}

/// The events that are told together, each a line. One that is not understood takes no other with it.
pub(super) fn events_of(told: &str) -> impl Iterator<Item = BridgeEvent> {
    told.lines().filter_map(|line| match serde_json::from_str(line) {
        Ok(event) => Some(event),
        Err(error) => undecoded_event(line, &error).or_else(|| {
            let told = cut(line);
            tracing::error!(error = %causes(&error), told, "the bridge tells what this build does not understand");
            None
        }),
    })
}

fn undecoded_event(line: &str, error: &serde_json::Error) -> Option<BridgeEvent> {
    let event: Value = serde_json::from_str(line).ok()?;
    let message = event.get("message").filter(|_| event["event"] == "message")?;
    Some(BridgeEvent::Message { message: undecoded_message(message, error)? })
}

/// `None` for what has not even an id: it cannot be confirmed, and WhatsApp keeps it.
fn undecoded_message(told: &Value, error: &serde_json::Error) -> Option<InboundMessage> {
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(InboundMessage {
        whatsapp_id: Some(text("whatsapp_id")).filter(|id| !id.is_empty())?,
        chat: text("chat"),
        sender: text("sender"),
        body: told.to_string(),
        from_me: false,
        kind: ChatKind::Direct,
        timestamp: 0,
        undecoded: Some(causes(error).to_string()),
    })
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
    only_look: bool,
}

impl<'a> From<&'a OutboundText> for SendRequest<'a> {
    fn from(text: &'a OutboundText) -> Self {
        let OutboundText { whatsapp_id, chat, body, maybe_sent, only_look } = text;
        Self { whatsapp_id, chat, body, maybe_sent: *maybe_sent, only_look: *only_look }
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
    NotKnown,
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
            Self::NotKnown => Err(SendError::NotKnown),
            Self::Failed { exception } => {
                Err(EngineError::Page { step: "sending", exception: cut(&exception) }.into())
            }
        }
    }
}

/// The bridge's answer to the wish for a code that is typed on the phone.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum PairingAnswer {
    Code { text: String, expires_in_seconds: u64 },
    Refused { reason: String },
}

impl PairingAnswer {
    pub(super) fn into_result(self) -> Result<PairingCode, EngineError> {
        match self {
            Self::Code { text, expires_in_seconds } => {
                Ok(PairingCode { text, expires_in: Duration::from_secs(expires_in_seconds) })
            }
            Self::Refused { reason } => Err(EngineError::NoPairingCode { reason: cut(&reason) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `npm ci` installs it.
    const INSTALLED: &str = "bridge/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js";

    #[test]
    fn the_library_that_the_lock_file_installs_is_the_one_that_is_taken() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(WaJs::read(&here.join(INSTALLED)).is_ok());
        let package = std::fs::read_to_string(here.join("bridge/package.json")).unwrap();
        assert!(package.contains(&format!("\"@wppconnect/wa-js\": \"{WA_JS_VERSION}\"")), "{package}");
    }

    #[test]
    fn what_is_put_in_other_words_is_in_the_library_once() {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED)).unwrap();
        for (theirs, _) in ATTACHING {
            assert_eq!(text.matches(theirs).count(), 1, "{theirs}");
        }
    }

    /// A script with any other character, be it in a comment, is kept at two bytes for each: a MiB more in every browser.
    #[test]
    fn the_script_is_ascii() {
        let wa_js = WaJs::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED)).unwrap();
        let script = script(&wa_js, HoldLimits::default());
        let wide = script.lines().find(|line| !line.is_ascii());
        assert_eq!(wide, None);
    }

    #[test]
    fn a_library_with_a_changed_byte_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wa.js");
        let mut bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let error = WaJs::read(&file).err().unwrap();
        assert!(matches!(error, EngineError::ForeignLibrary { .. }), "{error}");
        let told = error.to_string();
        for said in ["wa.js is not wa-js 4.6.0", WA_JS_SHA256, "npm ci"] {
            assert!(told.contains(said), "{said}: {told}");
        }
    }

    #[test]
    fn what_the_bridge_tells_is_understood() {
        let told = concat!(
            r#"{"event":"loaded","status":200}"#,
            "\n",
            r#"{"event":"attached","holding":true}"#,
            "\n",
            r#"{"event":"qr","text":null,"expires_in_seconds":60}"#,
            "\n",
            r#"{"event":"stream_info","info":"SOMETHING_NEW"}"#,
            "\n",
            r#"{"event":"message","message":{"whatsapp_id":"false_1@c.us_A","chat":"1@c.us","sender":"1@c.us","#,
            r#""body":"hi","from_me":false,"kind":"direct","timestamp":7}}"#,
        );
        let told: Vec<_> = events_of(told).filter_map(BridgeEvent::into_page_event).collect();
        let [
            PageEvent::Loaded,
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
    fn what_is_not_understood_takes_no_other_event_with_it_and_is_kept_if_it_is_a_message() {
        let told = concat!(
            r#"{"event":"online","online":false}"#,
            "\n",
            r#"{"event":"message","message":{"whatsapp_id":"false_1@c.us_A","chat":"1@c.us","kind":"parade"}}"#,
            "\n",
            r#"{"event":"message","message":{"chat":"1@c.us"}}"#,
            "\n",
            r#"{"event":"from the future"}"#,
            "\n",
            "no JSON\n",
            r#"{"event":"conflict"}"#,
        );
        let told: Vec<_> = events_of(told).filter_map(BridgeEvent::into_page_event).collect();
        let [PageEvent::Online(false), PageEvent::Message(message), PageEvent::Conflict] = told.as_slice()
        else {
            panic!("{told:?}")
        };
        assert_eq!((message.whatsapp_id.as_str(), message.chat.as_str()), ("false_1@c.us_A", "1@c.us"));
        assert!(message.body.contains("parade"), "{}", message.body);
        let reason = message.undecoded.as_deref().unwrap_or_default();
        assert!(reason.contains("parade") || reason.contains("missing field"), "{reason}");
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
    fn what_the_page_does_not_know_is_no_failure_of_a_send() {
        let outcome: SendOutcome = serde_json::from_str(r#"{"status":"not_known"}"#).unwrap();
        let error = outcome.into_result().unwrap_err();
        assert!(matches!(error, SendError::NotKnown) && !error.is_untried() && !error.is_answer());
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
