//! The far end: WhatsApp's server and the people who write, as one object that outlives every page.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use roost_engine::{
    EngineError, Frozen, InboundMessage, LocalStorage, OutboundText, Page, PairingCode, Probe, SendError,
    SendOutcomes, Vitals,
};
use roost_model::ChatKind;

/// What was delivered and is not acknowledged, and what was received.
#[derive(Default)]
pub struct Phone {
    unacknowledged: Mutex<Vec<InboundMessage>>,
    received: Mutex<Vec<OutboundText>>,
    /// Texts that came again from a page that did not know of the first time: shown once all the same.
    resends: AtomicU64,
    /// Sends so far, to make some of them fail.
    sends: AtomicU64,
    /// Each send whose count divides by this fails, alternately before and after it took effect; 0 for none.
    fail_every: AtomicU64,
    /// A reply to this body is refused: the account is gone.
    unreachable: Mutex<Option<String>>,
    /// This body is acknowledged by nobody, whichever page sends it.
    poison: Mutex<Option<String>>,
}

impl Phone {
    pub fn write(&self, chat: &str, id: &str, body: &str) -> InboundMessage {
        let message = InboundMessage {
            whatsapp_id: format!("false_{chat}_{id}"),
            chat: chat.into(),
            sender: chat.into(),
            body: body.into(),
            from_me: false,
            kind: ChatKind::Direct,
            timestamp: time::OffsetDateTime::now_utc().unix_timestamp(),
            undecoded: None,
        };
        self.unacknowledged.lock().push(message.clone());
        message
    }

    pub fn fail_every(&self, nth: u64) {
        self.fail_every.store(nth, Ordering::Relaxed);
    }

    pub fn refuse(&self, body: &str) {
        *self.unreachable.lock() = Some(body.to_owned());
    }

    pub fn never_acknowledge(&self, body: &str) {
        *self.poison.lock() = Some(body.to_owned());
    }

    /// What a page that has just connected is given.
    pub fn unacknowledged(&self) -> Vec<InboundMessage> {
        self.unacknowledged.lock().clone()
    }

    pub fn received(&self) -> Vec<OutboundText> {
        self.received.lock().clone()
    }

    /// The bodies received, by chat, in the order of their arrival.
    pub fn received_by_chat(&self) -> BTreeMap<String, Vec<String>> {
        let mut by_chat: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in self.received.lock().iter() {
            by_chat.entry(text.chat.clone()).or_default().push(text.body.clone());
        }
        by_chat
    }

    /// Waits until so many texts have arrived; says what did when they have not in time.
    pub async fn wait_for(&self, count: usize, within: Duration) {
        let deadline = Instant::now() + within;
        while self.received.lock().len() < count {
            assert!(Instant::now() < deadline, "{} of {count} texts arrived", self.received.lock().len());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn resends(&self) -> u64 {
        self.resends.load(Ordering::Relaxed)
    }

    fn receive(&self, text: &OutboundText) {
        let mut received = self.received.lock();
        let is_known = received.iter().any(|earlier| earlier.whatsapp_id == text.whatsapp_id);
        // Who says that it was surely never tried is wrong: that shows as an answer too many.
        if is_known && text.maybe_sent {
            self.resends.fetch_add(1, Ordering::Relaxed);
        } else {
            received.push(text.clone());
        }
    }
}

/// A page of the phone's tenant, with a memory of its own: the next one knows nothing of what this one has sent, as after a
/// restore from an older snapshot. A dead one sends and confirms nothing any more.
pub struct FakePage {
    phone: Arc<Phone>,
    has_sent: Mutex<BTreeSet<String>>,
    alive: AtomicBool,
    swallows: AtomicBool,
    dies_sending: AtomicBool,
    /// It is between two documents.
    loading: AtomicBool,
    /// Calls to send that found it so.
    too_early: AtomicU64,
}

impl FakePage {
    pub fn new(phone: Arc<Phone>) -> Arc<Self> {
        Self::with_memory(phone, BTreeSet::new())
    }

    /// One that knows of all that the phone has received.
    pub fn remembering(phone: Arc<Phone>) -> Arc<Self> {
        let received = phone.received().into_iter().map(|text| text.whatsapp_id).collect();
        Self::with_memory(phone, received)
    }

    fn with_memory(phone: Arc<Phone>, has_sent: BTreeSet<String>) -> Arc<Self> {
        Arc::new(Self {
            phone,
            has_sent: Mutex::new(has_sent),
            alive: AtomicBool::new(true),
            swallows: AtomicBool::default(),
            dies_sending: AtomicBool::default(),
            loading: AtomicBool::default(),
            too_early: AtomicU64::default(),
        })
    }

    pub fn die(&self) {
        self.alive.store(false, Ordering::Relaxed);
    }

    /// What it sends from here on goes nowhere.
    pub fn swallow(&self) {
        self.swallows.store(true, Ordering::Relaxed);
    }

    /// Its browser ends with its next send, which arrives.
    pub fn die_sending(&self) {
        self.dies_sending.store(true, Ordering::Relaxed);
    }

    /// Waits, once it is loading, until so many sends have come too early.
    pub async fn load(&self, sends: u64) {
        self.loading.store(true, Ordering::Relaxed);
        while self.too_early.load(Ordering::Relaxed) < sends {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.loading.store(false, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), EngineError> {
        if self.alive.load(Ordering::Relaxed) { Ok(()) } else { Err(EngineError::Gone) }
    }
}

#[async_trait]
impl Page for FakePage {
    async fn send(&self, text: &OutboundText) -> Result<(), SendError> {
        tokio::task::yield_now().await;
        self.check()?;
        if self.phone.unreachable.lock().as_ref() == Some(&text.body) {
            return Err(SendError::InvalidRecipient);
        }
        if self.loading.load(Ordering::Relaxed) {
            self.too_early.fetch_add(1, Ordering::Relaxed);
            return Err(EngineError::NoDocument { step: "sending" }.into());
        }
        if text.only_look {
            let is_known = self.has_sent.lock().contains(&text.whatsapp_id);
            return if is_known { Ok(()) } else { Err(SendError::NotKnown) };
        }
        let is_poison = self.phone.poison.lock().as_ref() == Some(&text.body);
        if is_poison || self.swallows.load(Ordering::Relaxed) {
            return Err(SendError::TimedOut);
        }
        let nth = self.phone.sends.fetch_add(1, Ordering::Relaxed) + 1;
        let every = self.phone.fail_every.load(Ordering::Relaxed);
        let fails = every > 0 && nth.is_multiple_of(every);
        if fails && (nth / every).is_multiple_of(2) {
            return Err(SendError::TimedOut);
        }
        if self.has_sent.lock().insert(text.whatsapp_id.clone()) {
            self.phone.receive(text);
        }
        if self.dies_sending.load(Ordering::Relaxed) {
            self.die();
            return Err(EngineError::Gone.into());
        }
        tokio::task::yield_now().await;
        if fails { Err(SendError::TimedOut) } else { Ok(()) }
    }

    async fn send_all(&self, texts: &[OutboundText]) -> Result<SendOutcomes, SendError> {
        self.check()?;
        let mut outcomes = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            // Every third one takes longer than the others.
            outcomes.push(if place % 3 == 1 { None } else { Some(self.send(text).await) });
        }
        Ok(outcomes)
    }

    async fn confirm(&self, whatsapp_ids: &[String]) -> Result<(), EngineError> {
        self.check()?;
        self.phone.unacknowledged.lock().retain(|message| !whatsapp_ids.contains(&message.whatsapp_id));
        Ok(())
    }

    async fn probe(&self, _heard_within: Duration) -> Result<Probe, EngineError> {
        Err(EngineError::Gone)
    }

    async fn vitals(&self) -> Vitals {
        Vitals {
            since: Instant::now(),
            pid: None,
            browser_version: String::new(),
            bridge_version: "",
            library_version: String::new(),
            page_version: None,
        }
    }

    async fn worked(&self) -> Result<Duration, EngineError> {
        Ok(Duration::ZERO)
    }

    async fn screenshot(&self) -> Result<Vec<u8>, EngineError> {
        Err(EngineError::NoPicture)
    }

    async fn sweep(&self) -> Result<(), EngineError> {
        Err(EngineError::Gone)
    }

    async fn pairing_code(&self, _: &str) -> Result<PairingCode, EngineError> {
        Err(EngineError::NoPairingCode { reason: "it is linked".to_owned() })
    }

    async fn logout(&self) -> Result<(), EngineError> {
        Err(EngineError::Gone)
    }

    async fn take_over(&self) -> Result<(), EngineError> {
        Err(EngineError::Gone)
    }

    async fn reload(&self) -> Result<(), EngineError> {
        Err(EngineError::Gone)
    }

    async fn local_storage(&self) -> Result<LocalStorage, EngineError> {
        Err(EngineError::Gone)
    }

    fn freeze(&self) -> Result<Frozen, EngineError> {
        Err(EngineError::Gone)
    }

    async fn close(&self) -> bool {
        self.die();
        true
    }

    async fn kill(&self) {
        self.die();
    }
}
