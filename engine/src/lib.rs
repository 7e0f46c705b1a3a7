//! What a worker needs of WhatsApp Web, and nothing of how it is had: the page-driving code has one implementation per
//! engine and the worker knows none of them.
//!
//! - [`web`] is the product's engine: a headless Chromium per tenant, driven over the DevTools protocol.
//! - [`null`] starts no process and echoes; it is for scale tests of the cluster.
//! - [`Versions`] are the builds of page and library that a browser is given in the place of those that there are anyway.
//! - [`exec_with_parent_death`] is the program between a process and its child that has the kernel end the one with the other,
//!   [`run_as`] the user that the child is.
//!
//! Of ours it imports model alone, and only the node imports it. Start reading at [`Engine`] and [`Page`], then at
//! [`web`].
//!
//! The contract that the worker builds on:
//! - Events arrive in the order in which the page raised them, in a bounded channel, and the worker takes them whatever is
//!   away: log-outs, conflicts and ends of browsers are among them.
//! - WhatsApp's server keeps a message until the page acknowledges it. A page holds that acknowledgement of every
//!   direct message until [`Page::confirm`], which the worker calls once the message is durable.
//! - A page tells at most [`WINDOW`] messages of [`WINDOW_CHARS`] together that are not confirmed; the others wait in it, so
//!   whoever takes events is not made to hold a backlog (I5, I6).
//! - [`Page::send`] is idempotent by the message id, which is chosen before the first try.
//! - Every call returns within a bounded time, also when the browser is gone, hung or frozen.
//! - When the events end with [`PageEvent::Exited`] the process tree is gone.

pub mod control_group;
mod error;
mod event;
pub mod exec_with_parent_death;
pub mod null;
pub mod run_as;
mod versions;
mod vitals;
pub mod web;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use roost_model::{BrowserSettings, Proxy, ids::TenantId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use error::{EngineError, SendError};
pub use event::{
    InboundMessage, LinkedAccount, LocalStorage, OutboundText, PageEvent, PairingCode, Probe, StreamInfo,
    StreamMode,
};
pub use versions::{LibraryVersion, PageVersion, Versions};
pub use vitals::Vitals;
pub use web::ProxyProblem;

/// A page that has not answered a probe by then does not answer: its bridge waits 5 s for WhatsApp.
pub const PROBE_WITHIN: Duration = Duration::from_secs(8);
/// Messages that a page has told and that are not confirmed, at most.
pub const WINDOW: usize = 512;
/// The UTF-16 code units of their ids, chats and texts together; a single message may have more.
pub const WINDOW_CHARS: usize = 512 * 1024;

/// Starts browsers.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Tries the way by which such a browser would go to the site, where it is one of its own: whether its proxy takes a connection
    /// there. To be asked before a browser is started.
    async fn check_way(&self, setup: &BrowserSetup) -> Result<(), EngineError>;

    /// Starts a browser on a profile and navigates it to WhatsApp Web. Returns once the page drives; whether its session
    /// is good comes as an event. Nothing is left running when it fails.
    async fn launch(&self, launch: Launch) -> Result<Launched, EngineError>;

    /// Starts a browser ahead of its session, on a directory without one, for a tenant or for whoever will need one. Nothing of
    /// the site is loaded or opened until [`WarmBrowser::open`]. Nothing is left running when it fails.
    async fn warm(
        &self,
        tenant: Option<&TenantId>,
        profile: &Path,
        setup: &BrowserSetup,
    ) -> Result<Box<dyn WarmBrowser>, EngineError>;
}

/// A browser that runs and has opened nothing. Dropping it kills it.
#[async_trait]
pub trait WarmBrowser: Send + Sync {
    /// The root of its process tree; `None` for an engine without processes.
    fn pid(&self) -> Option<u32>;

    /// Resolves when it has ended.
    fn ended(&self) -> BoxFuture<'static, ()>;

    /// Whether the process of its page answers, within a bounded time. It opens nothing.
    fn check(&self) -> BoxFuture<'static, Result<(), EngineError>>;

    /// Opens the site, as [`Engine::launch`] does. Profile and setup are those that it was started on, or the profile is where the
    /// directory has been moved to and a link leads there from where it was; it holds the session by now but for the localStorage.
    /// Nothing is left running when it fails.
    async fn open(self: Box<Self>, launch: Launch) -> Result<Launched, EngineError>;

    /// Ends it and waits until its tree is gone.
    async fn kill(self: Box<Self>);
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    pub tenant: TenantId,
    /// The browser's user data directory; the caller holds its lock.
    pub profile: PathBuf,
    pub setup: BrowserSetup,
    /// Put back before the page's own scripts run. `None` when the profile's own copy is whole.
    pub local_storage: Option<LocalStorage>,
    pub versions: Versions,
    /// Once it is cancelled the site is not opened any more, and the launch fails when nothing is left of the browser.
    pub cancel: CancellationToken,
}

/// What of a browser is settled when it starts, and cannot be changed while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrowserSetup {
    /// The tenant's own, before the engine's.
    pub settings: BrowserSettings,
    /// By which it goes to the site, and by no other way.
    pub proxy: Option<Proxy>,
}

/// A running browser.
pub struct Launched {
    pub page: Arc<dyn Page>,
    pub events: mpsc::Receiver<PageEvent>,
    /// The root of the browser's process tree and the id of its process group; `None` for an engine without processes.
    pub pid: Option<u32>,
}

/// What became of texts that were sent together; `None` while it is open.
pub type SendOutcomes = Vec<Option<Result<(), SendError>>>;

/// One tenant's WhatsApp Web. Dropping it kills the browser.
#[async_trait]
pub trait Page: Send + Sync {
    /// Sends a text and waits for the server's acknowledgement. An earlier send with the same id is found and not
    /// repeated, so a caller that knows nothing of the outcome just calls again.
    async fn send(&self, text: &OutboundText) -> Result<(), SendError>;

    /// Sends texts of different chats together, each as by [`Page::send`] and whatever becomes of the others; the
    /// outcomes are in the order given. One that takes longer than the others has none yet and goes on being sent:
    /// [`Page::send`] waits for it. An error is that of every text.
    async fn send_all(&self, texts: &[OutboundText]) -> Result<SendOutcomes, SendError>;

    /// These inbound messages are durable: the page may acknowledge them to WhatsApp. Unknown ids are ignored.
    async fn confirm(&self, whatsapp_ids: &[String]) -> Result<(), EngineError>;

    /// What the page says of itself, and whether the server behind it lets hear of itself: it is asked if it has not for so
    /// long, or if a send waits for it.
    async fn probe(&self, heard_within: Duration) -> Result<Probe, EngineError>;

    /// How long the page's own thread has worked so far, by its document's count: it may begin anew with another one. An answer
    /// waits for what the thread is at.
    async fn worked(&self) -> Result<Duration, EngineError>;

    /// What runs the page, for people. What the browser itself says is asked for two seconds at most and left out then.
    async fn vitals(&self) -> Vitals;

    /// What the page shows at this moment, as a PNG, for people. It takes 8 s at most and holds up no other call.
    async fn screenshot(&self) -> Result<Vec<u8>, EngineError>;

    /// Has the page tell, as events after [`PageEvent::SweepBegun`], what is not confirmed: again what it has told, and what it
    /// has not: what comes before the bridge attaches fires no event. The caller deduplicates by id.
    async fn sweep(&self) -> Result<(), EngineError>;

    /// Has WhatsApp give a code that links the page when it is typed on the phone of this number, its digits alone. It replaces
    /// the one before, and is void once the page is loaded anew.
    async fn pairing_code(&self, phone: &str) -> Result<PairingCode, EngineError>;

    /// Unlinks the device and waits until WhatsApp has done so: whoever ends the browser before has not logged out.
    /// [`PageEvent::LoggedOut`] comes with it.
    async fn logout(&self) -> Result<(), EngineError>;

    /// Answers a conflict: takes the session back from wherever it was opened. Only the owner may (I1).
    async fn take_over(&self) -> Result<(), EngineError>;

    /// Loads the page anew, also after its renderer crashed.
    async fn reload(&self) -> Result<(), EngineError>;

    /// The page's localStorage, which reaches the disk late and therefore belongs to a snapshot of its own.
    async fn local_storage(&self) -> Result<LocalStorage, EngineError>;

    /// Stops every process of the browser until it is thawed: none of their threads does anything by the
    /// time that this returns. A browser that does not stand still within a second goes on, and this fails. Blocking.
    fn freeze(&self) -> Result<Frozen, EngineError>;

    /// Closes the browser so that it writes everything to disk, at most 5 s, then kills it. The tree is gone afterwards;
    /// `true` when it was asked to and ended by itself with success, so that the profile is whole: not when it crashed, was
    /// killed meanwhile, or was gone before.
    async fn close(&self) -> bool;

    /// Kills the browser's process tree and waits until it is gone.
    async fn kill(&self);
}

/// A frozen browser. It is thawed when this is dropped, or [`Frozen::AT_MOST`] after it was frozen, whichever comes first: a
/// caller that is cancelled leaves no browser frozen, and one that is held up none for longer than WhatsApp bears it.
#[must_use = "dropping this thaws the browser"]
pub struct Frozen {
    thaw: Arc<Mutex<Option<Thaw>>>,
    _limit: AbortOnDropHandle<()>,
}

type Thaw = Box<dyn FnOnce() + Send>;

impl Frozen {
    /// The page's own probes and WhatsApp's server are patient for longer.
    pub const AT_MOST: Duration = Duration::from_secs(2);

    /// `thaw` runs once. To be called within a runtime.
    pub fn new(thaw: impl FnOnce() + Send + 'static) -> Self {
        let thaw: Arc<Mutex<Option<Thaw>>> = Arc::new(Mutex::new(Some(Box::new(thaw))));
        let due = thaw.clone();
        let limit = tokio::spawn(async move {
            tokio::time::sleep(Self::AT_MOST).await;
            if let Some(thaw) = due.lock().take() {
                thaw();
            }
        });
        Self { thaw, _limit: AbortOnDropHandle::new(limit) }
    }

    /// Thaws it. An error says that this has happened already: what was done meanwhile was not done to a frozen browser.
    pub fn thaw(self) -> Result<(), EngineError> {
        let limit = Self::AT_MOST;
        let thaw = self.thaw.lock().take();
        thaw.map(|thaw| thaw())
            .ok_or(EngineError::TimedOut { step: "copying from the frozen browser", limit })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(thaw) = self.thaw.lock().take() {
            thaw();
        }
    }
}

/// Told of every browser process, so that the guard can end it when this process cannot.
pub trait BrowserObserver: Send + Sync {
    /// A browser's root process runs; its process group has the same id.
    fn started(&self, pid: u32);
    /// The whole tree of that browser is gone.
    fn gone(&self, pid: u32);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_browser_is_thawed_once_and_not_later_than_the_limit() {
        let thawed = Arc::new(AtomicU32::new(0));
        let freeze = || {
            let thawed = thawed.clone();
            Frozen::new(move || {
                thawed.fetch_add(1, Ordering::SeqCst);
            })
        };
        freeze().thaw().unwrap();
        drop(freeze());
        assert_eq!(thawed.load(Ordering::SeqCst), 2);
        let held_up = freeze();
        tokio::time::sleep(Frozen::AT_MOST + Duration::from_millis(1)).await;
        assert_eq!(thawed.load(Ordering::SeqCst), 3, "although nobody has let go of it");
        assert!(matches!(held_up.thaw(), Err(EngineError::TimedOut { .. })));
        assert_eq!(thawed.load(Ordering::SeqCst), 3);
    }
}
