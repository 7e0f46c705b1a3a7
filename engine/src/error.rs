//! What can go wrong with a browser. A failed call never means that the browser is gone: that is what
//! [`super::PageEvent::Exited`] says.

use std::time::Duration;

use crate::web::ProxyProblem;

/// A call to the engine that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the browser could not be started from {path}")]
    Spawn {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{path} is not wa-js {version}, which browsers are given with all that the page may do: its SHA-256 is {found} \
         and not {expected}; install it with `npm ci` in engine/bridge"
    )]
    ForeignLibrary { path: String, version: &'static str, found: String, expected: &'static str },
    #[error("{path} does not say which version it is, but {said:?}; set the user agent (--user-agent)")]
    NoVersion { path: String, said: String },
    /// Whoever wanted it does not any more.
    #[error("the launch was cancelled")]
    Cancelled,
    /// It ended, or its connection did, while the call was under way.
    #[error("the browser is gone")]
    Gone,
    /// It ended before it could be used; `reason` has its last words.
    #[error("{reason}")]
    Ended { reason: String },
    /// The same, for want of what its sandbox is made of.
    #[error(
        "{reason}. Browsers run only in their sandbox, for which the kernel must let the browsers' user make user \
         namespaces (sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns), or, where the node is not root, Debian's package \
         chromium-sandbox be installed; --allow-no-sandbox lets them run without it"
    )]
    NoSandbox { reason: String },
    #[error("{step} took longer than {limit:?}")]
    TimedOut { step: &'static str, limit: Duration },
    /// The browser refused the command; `reason` is its own text.
    #[error("{step}: the browser says: {reason}")]
    Refused { step: &'static str, reason: String },
    /// The site cannot be reached; `reason` is the browser's own word for it.
    #[error("the site cannot be reached: {reason}")]
    Unreachable { reason: String },
    /// The tenant's own proxy does not take its browser there.
    #[error("PROXY_UNREACHABLE: the proxy {proxy} {problem}")]
    Proxy { proxy: String, problem: ProxyProblem },
    /// The page's script threw; `exception` is its own text.
    #[error("{step}: the page threw: {exception}")]
    Page { step: &'static str, exception: String },
    /// WhatsApp refused to unlink the device, or did not answer.
    #[error("WhatsApp did not unlink the device: {reason}")]
    NotUnlinked { reason: String },
    /// WhatsApp gives no code for the number, or not now; `reason` is its own word.
    #[error("WhatsApp gives no code: {reason}")]
    NoPairingCode { reason: String },
    /// An engine without browsers.
    #[error("there is no browser, and so no page to be seen (--engine null)")]
    NoPicture,
    #[error("the picture of the page has {bytes} bytes, and {limit} at most are given out")]
    PictureTooLarge { bytes: usize, limit: usize },
    /// No document with the bridge in it: the page is being loaded, or crashed.
    #[error("{step}: the page is not loaded")]
    NoDocument { step: &'static str },
    #[error("{step}: the answer is not of the form expected")]
    Malformed {
        step: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("{step} failed on the browser's processes")]
    Process {
        step: &'static str,
        #[source]
        source: std::io::Error,
    },
}

impl EngineError {
    /// A browser that ended by itself, with this to say.
    pub(super) fn ended(reason: String) -> Self {
        let for_want_of_a_sandbox =
            ["No usable sandbox", "user namespace", "Failed to move to new namespace"];
        if for_want_of_a_sandbox.iter().any(|words| reason.contains(words)) {
            Self::NoSandbox { reason }
        } else {
            Self::Ended { reason }
        }
    }
}

/// A text that was not sent, or of which nobody knows whether it was. Every kind may be tried again with the same id.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The page has no connection to the server; it has not taken the message.
    #[error("the page is offline")]
    Offline,
    /// No such WhatsApp account; trying again does not help.
    #[error("the recipient is not a valid WhatsApp id")]
    InvalidRecipient,
    /// WhatsApp's own answer, as the page gives it.
    #[error("WhatsApp refused the message: {result}")]
    Refused { result: String },
    /// It may still arrive: a retry with the same id finds it.
    #[error("the server did not acknowledge the message in time")]
    TimedOut,
    /// It was only to be looked for, and nothing was sent.
    #[error("the page does not know that the message was sent")]
    NotKnown,
    #[error(transparent)]
    Page(#[from] EngineError),
}

impl SendError {
    /// There was no page to try it: it is offline, being loaded, or gone.
    pub fn is_untried(&self) -> bool {
        matches!(self, Self::Offline | Self::Page(EngineError::NoDocument { .. } | EngineError::Gone))
    }

    /// WhatsApp has answered, about this message; anything else may be the page's fault.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::InvalidRecipient | Self::Refused { .. })
    }
}
