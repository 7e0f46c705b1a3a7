//! What passes between a page and its worker.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use roost_model::ChatKind;
use serde::{Deserialize, Serialize};

/// What a page tells. [`PageEvent::Exited`] is the last one.
#[derive(Debug, Clone, PartialEq)]
pub enum PageEvent {
    /// The page is a new document: after the launch, after a reload, or because it loaded itself anew. Nothing that was known
    /// of the one before holds, and what comes from here on is told by the new one.
    Loaded,
    /// A linking code to scan, or none any more. The lifetime is how long WhatsApp shows it.
    Qr {
        text: Option<String>,
        expires_in: Option<Duration>,
    },
    /// Linked and synchronised: messages flow. Comes again after each reload and each reconnect that left the main mode.
    Ready {
        phone: String,
    },
    /// Whose account is linked; comes after [`PageEvent::Ready`].
    Account(LinkedAccount),
    /// The page's own opinion of the network.
    Online(bool),
    StreamInfo(StreamInfo),
    /// The device was unlinked: the credentials are worthless from here on.
    LoggedOut {
        reason: String,
    },
    /// The session was opened elsewhere; this page is disconnected until [`super::Page::take_over`].
    Conflict,
    /// WhatsApp wants a newer page; a reload brings it.
    Outdated,
    /// The document that was loaded is what the site's server says with an error: this HTTP status, 400 or more.
    TurnedAway {
        status: u16,
    },
    /// From here on the page tells again what is not confirmed; see [`super::Page::sweep`].
    SweepBegun,
    /// A new message from someone else, held unacknowledged until [`super::Page::confirm`] if it is direct.
    Message(InboundMessage),
    /// The renderer died; the browser lives and [`super::Page::reload`] recovers.
    Crashed {
        reason: String,
    },
    /// The kernel has ended the browser because it was over its memory limit; its end comes next.
    OverMemory {
        reason: String,
    },
    /// The browser's root process ended and the rest of its tree was ended with it.
    Exited {
        reason: String,
    },
}

/// The state of the page's stream, as WhatsApp Web names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StreamInfo {
    Offline,
    Opening,
    Pairing,
    Syncing,
    Resuming,
    Connecting,
    Normal,
    /// A name that this build does not know.
    #[serde(untagged)]
    Other(String),
}

/// What the page shows, as WhatsApp Web names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StreamMode {
    Qr,
    Main,
    Syncing,
    Offline,
    Conflict,
    ProxyBlock,
    #[serde(rename = "TOS_BLOCK")]
    TosBlock,
    #[serde(rename = "SMB_TOS_BLOCK")]
    SmbTosBlock,
    #[serde(rename = "DEPRECATED_VERSION")]
    DeprecatedVersion,
    /// A name that this build does not know.
    #[serde(untagged)]
    Other(String),
}

/// A message that someone sent to the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InboundMessage {
    /// The full key: `false_<chat>_<id>`.
    pub whatsapp_id: String,
    pub chat: String,
    /// Who wrote it; the chat itself unless it is a group.
    pub sender: String,
    /// The text; a caption or nothing for media.
    pub body: String,
    pub from_me: bool,
    pub kind: ChatKind,
    /// Seconds since the epoch, by WhatsApp's clock.
    pub timestamp: i64,
    /// Why what the page told of it is not understood. Only the id is sure then, and the body is all that was told.
    #[serde(skip)]
    pub undecoded: Option<String>,
}

/// An account as the page tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LinkedAccount {
    /// The digits of its number.
    pub number: String,
    /// What its owner calls it.
    pub push_name: String,
    /// The phone's system, such as `android`.
    pub platform: String,
}

/// What the phone's owner types to link the page.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode {
    pub text: String,
    pub expires_in: Duration,
}

/// Whoever has the code can link a phone: it is for the caller and for no log.
impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairingCode").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A text to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundText {
    /// The full key, chosen before the first try: `true_<chat>_3EB0<18 hex digits, upper case>`.
    pub whatsapp_id: String,
    pub chat: String,
    pub body: String,
    /// An earlier try may have been made, by another life of the page: it is looked for on the page's disk first, which
    /// takes a few milliseconds. `false` only for a message that was surely never tried.
    pub maybe_sent: bool,
    /// Nothing is sent: it is looked for, and [`crate::SendError::NotKnown`] if the page does not know that it was sent.
    pub only_look: bool,
}

/// What a page says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Probe {
    pub authenticated: bool,
    pub stream_mode: StreamMode,
    pub stream_info: StreamInfo,
    pub online: bool,
    /// The server behind the page answered a request made for this probe: the evidence that the page is not deaf.
    pub answered: bool,
}

/// The localStorage of WhatsApp Web's origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStorage {
    /// Scheme, host and port, as the page's `location.origin`.
    pub origin: String,
    pub items: BTreeMap<String, String>,
}
