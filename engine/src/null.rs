//! An engine without a browser: it is connected at once, takes every text and says what its script says. For scale tests
//! of the cluster, where thousands of tenants must fit on one machine; nothing of the engine's contract is weaker, so the
//! worker on top of it is the real one.

mod warm;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use roost_model::ids::TenantId;
use tokio::sync::{mpsc, watch};

use self::warm::WarmBrowsers;

use super::{
    BrowserSetup, Engine, EngineError, Frozen, InboundMessage, Launch, Launched, LocalStorage, OutboundText,
    Page, PageEvent, PairingCode, Probe, ProxyProblem, SendError, SendOutcomes, StreamInfo, StreamMode,
    Versions, Vitals, WarmBrowser,
};

/// Events that wait for the worker.
const EVENTS: usize = 1024;
/// Texts remembered per tenant, for the script to look at and for finding a resend.
const REMEMBERED: usize = 4096;

/// Launches pages that only pretend. Clones share their tenants.
#[derive(Clone, Default)]
pub struct NullEngine {
    tenants: Arc<Mutex<HashMap<TenantId, Arc<NullPage>>>>,
    warm: WarmBrowsers,
    slow: Arc<watch::Sender<bool>>,
    holds_sweeps: Arc<watch::Sender<bool>>,
    refuses_logout: Arc<Mutex<Option<String>>>,
    proxy_problem: Arc<Mutex<Option<ProxyProblem>>>,
    is_away: bool,
    is_slow: bool,
    launches: Arc<AtomicU32>,
}

/// How long a start takes where they are slow: from the first to the last of so many steps, one launch after the other.
const SLOW_FROM: Duration = Duration::from_millis(200);
const SLOW_STEP: Duration = Duration::from_millis(100);
const SLOW_STEPS: u32 = 19;

impl NullEngine {
    /// One whose starts take 0.2 to 2 s, as browsers' do.
    pub fn slow() -> Self {
        Self { is_slow: true, ..Self::default() }
    }

    /// One whose pages are linked and find no WhatsApp.
    pub fn away() -> Self {
        Self { is_away: true, ..Self::default() }
    }

    /// Raises an event on a tenant's page, as WhatsApp would. `false` when the tenant has none or does not keep up.
    pub fn raise(&self, tenant: &TenantId, event: PageEvent) -> bool {
        self.page(tenant)
            .is_some_and(|page| page.events.lock().as_ref().is_some_and(|to| to.try_send(event).is_ok()))
    }

    /// Delivers a message to a tenant; held until confirmed, as on the real page.
    pub fn deliver(&self, tenant: &TenantId, message: InboundMessage) -> bool {
        self.leave(tenant, message.clone()) && self.raise(tenant, PageEvent::Message(message))
    }

    /// Delivers it and tells nobody: a sweep finds it.
    pub fn leave(&self, tenant: &TenantId, message: InboundMessage) -> bool {
        let Some(page) = self.page(tenant) else { return false };
        page.state.lock().unconfirmed.insert(message.whatsapp_id.clone(), message);
        true
    }

    /// What a tenant's page has sent, oldest first.
    pub fn sent(&self, tenant: &TenantId) -> Vec<OutboundText> {
        self.page(tenant).map_or_else(Vec::new, |page| page.state.lock().sent.iter().cloned().collect())
    }

    /// Cuts a tenant's page off, or connects it again.
    pub fn set_online(&self, tenant: &TenantId, online: bool) -> bool {
        if let Some(page) = self.page(tenant) {
            page.online.store(online, Ordering::Relaxed);
        }
        self.raise(tenant, PageEvent::Online(online))
    }

    /// A tenant's page loads itself anew, as a site that was updated may.
    pub fn load_anew(&self, tenant: &TenantId) {
        if let Some(page) = self.page(tenant) {
            page.load();
        }
    }

    /// Sends of the tenant's page are acknowledged by nobody, until it is loaded anew.
    pub fn swallow_sends(&self, tenant: &TenantId) {
        if let Some(page) = self.page(tenant) {
            page.swallows.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a tenant's page, which shows itself connected, has an answer of the server's to a probe.
    pub fn set_deaf(&self, tenant: &TenantId, deaf: bool) {
        if let Some(page) = self.page(tenant) {
            page.deaf.store(deaf, Ordering::Relaxed);
        }
    }

    /// How often the tenant's page was probed.
    pub fn probes(&self, tenant: &TenantId) -> u32 {
        self.page(tenant).map_or(0, |page| page.probes.load(Ordering::Relaxed))
    }

    /// From now on launches take until this is called again, or until they are cancelled.
    pub fn hold_launches(&self, hold: bool) {
        self.slow.send_replace(hold);
    }

    /// From now on a page that is asked to tell again what is not confirmed does so when this is called again.
    pub fn hold_sweeps(&self, hold: bool) {
        self.holds_sweeps.send_replace(hold);
    }

    /// From now on no page can log out, for this reason.
    pub fn refuse_logouts(&self, reason: &str) {
        *self.refuses_logout.lock() = Some(reason.to_owned());
    }

    /// From now on what is behind a proxy of its own has this problem, or none.
    pub fn set_proxy_problem(&self, problem: Option<ProxyProblem>) {
        *self.proxy_problem.lock() = problem;
    }

    /// Whether a browser of the tenant runs that has opened nothing.
    pub fn is_warm(&self, tenant: &TenantId) -> bool {
        self.warm.is_warm(tenant)
    }

    /// How many browsers run that have opened nothing and are nobody's.
    pub fn spares(&self) -> usize {
        self.warm.spares()
    }

    /// These end by themselves.
    pub fn end_spares(&self) {
        self.warm.end_spares();
    }

    /// Whether a page of the tenant is open.
    pub fn is_open(&self, tenant: &TenantId) -> bool {
        self.page(tenant).is_some_and(|page| page.check_open().is_ok())
    }

    /// How often the tenant's page was told to take its session back.
    pub fn take_overs(&self, tenant: &TenantId) -> u32 {
        self.page(tenant).map_or(0, |page| page.take_overs.load(Ordering::Relaxed))
    }

    /// As what the tenant's last browser was started.
    pub fn setup(&self, tenant: &TenantId) -> Option<BrowserSetup> {
        self.page(tenant).map(|page| page.setup.clone())
    }

    /// How often the tenant's page was loaded anew.
    pub fn reloads(&self, tenant: &TenantId) -> u32 {
        self.page(tenant).map_or(0, |page| page.reloads.load(Ordering::Relaxed))
    }

    fn start_time(&self) -> Duration {
        if !self.is_slow {
            return Duration::ZERO;
        }
        // Seven and nineteen share no factor: each step has its turn, and neighbours differ.
        let launch = self.launches.fetch_add(1, Ordering::Relaxed);
        SLOW_FROM + SLOW_STEP * (launch.wrapping_mul(7) % SLOW_STEPS)
    }

    fn page(&self, tenant: &TenantId) -> Option<Arc<NullPage>> {
        self.tenants.lock().get(tenant).cloned()
    }
}

#[async_trait]
impl Engine for NullEngine {
    async fn check_way(&self, setup: &BrowserSetup) -> Result<(), EngineError> {
        let Some(proxy) = &setup.proxy else { return Ok(()) };
        let (proxy, problem) = (proxy.place.to_string(), self.proxy_problem.lock().clone());
        problem.map_or(Ok(()), |problem| Err(EngineError::Proxy { proxy, problem }))
    }

    async fn launch(&self, launch: Launch) -> Result<Launched, EngineError> {
        let mut slow = self.slow.subscribe();
        tokio::select! {
            biased;
            () = launch.cancel.cancelled() => return Err(EngineError::Cancelled),
            // An error cannot be: the sender is this engine's own.
            _ = slow.wait_for(|slow| !slow) => {}
        }
        tokio::select! {
            () = launch.cancel.cancelled() => return Err(EngineError::Cancelled),
            () = tokio::time::sleep(self.start_time()) => {}
        }
        write_session(&launch)?;
        let (events, received) = mpsc::channel(EVENTS);
        // The channel is new and has room.
        load(&events, !self.is_away);
        let page = Arc::new(NullPage {
            events: Mutex::new(Some(events)),
            online: AtomicBool::new(!self.is_away),
            deaf: AtomicBool::new(false),
            probes: AtomicU32::new(0),
            take_overs: AtomicU32::new(0),
            reloads: AtomicU32::new(0),
            swallows: AtomicBool::new(false),
            holds_sweeps: self.holds_sweeps.subscribe(),
            refuses_logout: self.refuses_logout.clone(),
            setup: launch.setup,
            versions: launch.versions,
            state: Mutex::default(),
            since: Instant::now(),
        });
        self.tenants.lock().insert(launch.tenant, page.clone());
        Ok(Launched { page, events: received, pid: None })
    }

    async fn warm(
        &self,
        tenant: Option<&TenantId>,
        _profile: &Path,
        _setup: &BrowserSetup,
    ) -> Result<Box<dyn WarmBrowser>, EngineError> {
        Ok(self.warm.start(self, tenant))
    }
}

/// Something to take snapshots of: one file, as small as a session can be.
fn write_session(launch: &Launch) -> Result<(), EngineError> {
    let dir = launch.profile.join("Default/IndexedDB");
    fs::create_dir_all(&dir)
        .and_then(|()| fs::write(dir.join("null"), launch.tenant.as_str()))
        .map_err(|source| EngineError::Process { step: "writing the pretended session", source })
}

/// What a new document tells.
fn load(events: &mpsc::Sender<PageEvent>, online: bool) {
    let there = [PageEvent::Loaded, PageEvent::Ready { phone: String::new() }];
    for event in there.into_iter().chain((!online).then_some(PageEvent::Online(false))) {
        // A worker that does not keep up finds out by its probes.
        let _ = events.try_send(event);
    }
}

struct NullPage {
    /// `None` once closed.
    events: Mutex<Option<mpsc::Sender<PageEvent>>>,
    online: AtomicBool,
    deaf: AtomicBool,
    probes: AtomicU32,
    take_overs: AtomicU32,
    reloads: AtomicU32,
    swallows: AtomicBool,
    holds_sweeps: watch::Receiver<bool>,
    refuses_logout: Arc<Mutex<Option<String>>>,
    setup: BrowserSetup,
    versions: Versions,
    state: Mutex<NullState>,
    since: Instant,
}

#[derive(Default)]
struct NullState {
    sent: VecDeque<OutboundText>,
    unconfirmed: BTreeMap<String, InboundMessage>,
    /// What of it is still to be told again.
    swept: VecDeque<PageEvent>,
}

impl NullPage {
    fn is_online(&self) -> bool {
        self.online.load(Ordering::Relaxed)
    }

    fn check_open(&self) -> Result<(), EngineError> {
        if self.events.lock().is_some() { Ok(()) } else { Err(EngineError::Gone) }
    }

    fn load(&self) {
        self.swallows.store(false, Ordering::Relaxed);
        if let Some(events) = self.events.lock().as_ref() {
            load(events, self.is_online());
        }
    }

    /// As far as there is room; the rest when something is confirmed.
    fn tell_swept(&self, state: &mut NullState) {
        let events = self.events.lock();
        let Some(events) = events.as_ref() else { return };
        while let Ok(room) = events.try_reserve() {
            match state.swept.pop_front() {
                Some(event) => room.send(event),
                None => return,
            }
        }
    }

    fn end(&self, reason: &str) {
        if let Some(events) = self.events.lock().take() {
            // A worker that does not listen any more learns it from the end of the channel.
            let _ = events.try_send(PageEvent::Exited { reason: reason.to_owned() });
        }
    }
}

#[async_trait]
impl Page for NullPage {
    async fn send(&self, text: &OutboundText) -> Result<(), SendError> {
        self.check_open()?;
        if !self.is_online() {
            return Err(SendError::Offline);
        }
        if self.swallows.load(Ordering::Relaxed) {
            return Err(SendError::TimedOut);
        }
        let mut state = self.state.lock();
        if !state.sent.iter().any(|sent| sent.whatsapp_id == text.whatsapp_id) {
            if text.only_look {
                return Err(SendError::NotKnown);
            }
            state.sent.push_back(text.clone());
            if state.sent.len() > REMEMBERED {
                state.sent.pop_front();
            }
        }
        Ok(())
    }

    async fn send_all(&self, texts: &[OutboundText]) -> Result<SendOutcomes, SendError> {
        let mut outcomes = Vec::with_capacity(texts.len());
        for text in texts {
            outcomes.push(Some(self.send(text).await));
        }
        Ok(outcomes)
    }

    async fn confirm(&self, whatsapp_ids: &[String]) -> Result<(), EngineError> {
        self.check_open()?;
        let mut state = self.state.lock();
        for id in whatsapp_ids {
            state.unconfirmed.remove(id);
        }
        self.tell_swept(&mut state);
        Ok(())
    }

    async fn probe(&self, _heard_within: Duration) -> Result<Probe, EngineError> {
        self.check_open()?;
        self.probes.fetch_add(1, Ordering::Relaxed);
        let online = self.is_online();
        let stream_info = if online { StreamInfo::Normal } else { StreamInfo::Offline };
        Ok(Probe {
            authenticated: true,
            stream_mode: StreamMode::Main,
            stream_info,
            online,
            answered: online && !self.deaf.load(Ordering::Relaxed),
        })
    }

    async fn worked(&self) -> Result<Duration, EngineError> {
        Ok(Duration::ZERO)
    }

    async fn vitals(&self) -> Vitals {
        Vitals {
            since: self.since,
            pid: None,
            browser_version: "null".to_owned(),
            bridge_version: "",
            library_version: self.versions.library_name(""),
            page_version: self.versions.page_name(),
        }
    }

    async fn screenshot(&self) -> Result<Vec<u8>, EngineError> {
        Err(EngineError::NoPicture)
    }

    async fn sweep(&self) -> Result<(), EngineError> {
        // An engine that is gone holds nothing.
        let _ = self.holds_sweeps.clone().wait_for(|holds| !holds).await;
        self.check_open()?;
        let mut state = self.state.lock();
        let unconfirmed = state.unconfirmed.values().cloned().map(PageEvent::Message);
        state.swept = [PageEvent::SweepBegun].into_iter().chain(unconfirmed).collect();
        self.tell_swept(&mut state);
        Ok(())
    }

    async fn pairing_code(&self, phone: &str) -> Result<PairingCode, EngineError> {
        self.check_open()?;
        // Nobody has a phone to type it on; one number is refused, as by the site.
        if phone.starts_with('0') {
            return Err(EngineError::NoPairingCode { reason: "bad-request".to_owned() });
        }
        Ok(PairingCode { text: "NULLC0DE".to_owned(), expires_in: Duration::from_secs(180) })
    }

    async fn logout(&self) -> Result<(), EngineError> {
        self.check_open()?;
        if let Some(reason) = self.refuses_logout.lock().clone() {
            return Err(EngineError::NotUnlinked { reason });
        }
        if let Some(events) = self.events.lock().as_ref() {
            let _ = events.try_send(PageEvent::LoggedOut { reason: "user_initiated".to_owned() });
        }
        Ok(())
    }

    async fn take_over(&self) -> Result<(), EngineError> {
        self.check_open()?;
        self.take_overs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn reload(&self) -> Result<(), EngineError> {
        self.check_open()?;
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.load();
        Ok(())
    }

    async fn local_storage(&self) -> Result<LocalStorage, EngineError> {
        self.check_open()?;
        Ok(LocalStorage { origin: "null".to_owned(), items: BTreeMap::new() })
    }

    fn freeze(&self) -> Result<Frozen, EngineError> {
        self.check_open()?;
        Ok(Frozen::new(|| {}))
    }

    async fn close(&self) -> bool {
        let is_open = self.check_open().is_ok();
        self.end("closed");
        is_open
    }

    async fn kill(&self) {
        self.end("killed");
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn a_text_is_sent_once_whatever_is_repeated_and_nothing_is_sent_offline() {
        let (engine, tenant) = (NullEngine::default(), TenantId::new("t").unwrap());
        let dir = tempfile::tempdir().unwrap();
        let launch = Launch {
            tenant: tenant.clone(),
            profile: dir.path().to_owned(),
            setup: BrowserSetup::default(),
            local_storage: None,
            versions: Versions::default(),
            cancel: CancellationToken::new(),
        };
        let mut launched = engine.launch(launch).await.unwrap();
        assert_eq!(launched.events.recv().await, Some(PageEvent::Loaded));
        assert_eq!(launched.events.recv().await, Some(PageEvent::Ready { phone: String::new() }));
        let text = OutboundText {
            whatsapp_id: "true_1@c.us_3EB0".into(),
            chat: "1@c.us".into(),
            body: "hi".into(),
            maybe_sent: false,
            only_look: false,
        };
        engine.set_online(&tenant, false);
        assert!(matches!(launched.page.send(&text).await, Err(SendError::Offline)));
        engine.set_online(&tenant, true);
        let look = OutboundText { maybe_sent: true, only_look: true, ..text.clone() };
        assert!(matches!(launched.page.send(&look).await, Err(SendError::NotKnown)));
        launched.page.send(&text).await.unwrap();
        launched.page.send(&text).await.unwrap();
        launched.page.send(&look).await.unwrap();
        assert_eq!(engine.sent(&tenant), [text]);
        launched.page.kill().await;
        assert!(matches!(launched.page.probe(Duration::ZERO).await, Err(EngineError::Gone)));
    }
}
