//! What must be true whatever happens, seen from outside of time: no process of the cluster has this view.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use parking_lot::Mutex;
use roost_model::ids::{Generation, NodeId, TenantId, Term};
use tokio::time::Instant;

/// One browser, in the whole history.
pub type BrowserId = u64;

pub struct Judge {
    origin: Instant,
    /// Whether every event is kept as text.
    verbose: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    browsers: BTreeMap<TenantId, BTreeMap<BrowserId, Browser>>,
    opened: u64,
    /// By tenant: the newest placement, and the newest generation that a write was taken under.
    placed: BTreeMap<TenantId, Generation>,
    written: BTreeMap<TenantId, Generation>,
    term: Term,
    violations: Vec<String>,
    /// Of all events, whatever their order within a moment.
    digest: u64,
    events: Vec<(Duration, String)>,
}

struct Browser {
    node: NodeId,
    generation: Generation,
    /// It has written: it does its work.
    is_useful: bool,
}

impl Judge {
    /// Time begins now.
    pub fn new(verbose: bool) -> Self {
        Self { origin: Instant::now(), verbose, state: Mutex::default() }
    }

    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Something has happened that the history is told by.
    pub fn note(&self, event: impl Hash + fmt::Display) {
        let now = self.now();
        let mut hasher = DefaultHasher::new();
        (now.as_millis(), &event).hash(&mut hasher);
        let mut state = self.state.lock();
        state.digest = state.digest.wrapping_add(hasher.finish());
        if self.verbose {
            state.events.push((now, event.to_string()));
        }
    }

    pub fn violated(&self, rule: &str) {
        self.note(format!("VIOLATED: {rule}"));
        let at = self.now();
        self.state.lock().violations.push(format!("after {at:?}: {rule}"));
    }

    /// A browser lives from here until [`Judge::closed`] (I1).
    pub fn opened(&self, tenant: &TenantId, node: &NodeId, generation: Generation) -> BrowserId {
        self.note(format!("{tenant}: a browser on {node} under generation {generation}"));
        let mut state = self.state.lock();
        state.opened += 1;
        let id = state.opened;
        let browsers = state.browsers.entry(tenant.clone()).or_default();
        let other =
            browsers.values().next().map(|other| format!("{} under {}", other.node, other.generation));
        browsers.insert(id, Browser { node: node.clone(), generation, is_useful: false });
        drop(state);
        if let Some(other) = other {
            self.violated(&format!(
                "I1: {tenant} has a browser on {node} under {generation} beside one on {other}"
            ));
        }
        id
    }

    pub fn closed(&self, tenant: &TenantId, id: BrowserId) {
        let closed = self.state.lock().browsers.get_mut(tenant).and_then(|browsers| browsers.remove(&id));
        if let Some(Browser { node, generation, .. }) = closed {
            self.note(format!("{tenant}: no browser on {node} under generation {generation} any more"));
        }
    }

    /// A worker's write was taken while `newest` was the tenant's generation (I2).
    pub fn wrote(&self, tenant: &TenantId, generation: Generation, newest: Generation) {
        let mut state = self.state.lock();
        let written = state.written.entry(tenant.clone()).or_default();
        let is_late = generation < newest || generation < *written;
        *written = (*written).max(generation);
        if let Some(browsers) = state.browsers.get_mut(tenant) {
            let own = browsers.values_mut().filter(|browser| browser.generation == generation);
            own.for_each(|browser| browser.is_useful = true);
        }
        drop(state);
        if is_late {
            self.violated(&format!("I2: a write of {tenant} under {generation} was taken after {newest}"));
        }
    }

    pub fn placed(&self, tenant: &TenantId, generation: Generation) {
        self.note(format!("{tenant}: placed under generation {generation}"));
        let before = self.state.lock().placed.insert(tenant.clone(), generation);
        if before.is_some_and(|before| before >= generation) {
            self.violated(&format!("I2: {tenant} was placed again under generation {generation}"));
        }
    }

    pub fn began(&self, term: Term) {
        self.note(format!("term {term} begins"));
        let mut state = self.state.lock();
        let shrinks = term < state.term;
        state.term = term;
        drop(state);
        if shrinks {
            self.violated(&format!("I2: term {term} begins after a later one"));
        }
    }

    /// A controller's write to the ledger was taken.
    pub fn ledger_written(&self, term: Term) {
        let newest = self.state.lock().term;
        if term < newest {
            self.violated(&format!("a controller of term {term} has written to the ledger in term {newest}"));
        }
    }

    /// Whoever is useful has to show it again.
    pub fn begin_calm(&self) {
        self.note("calm".to_owned());
        let mut state = self.state.lock();
        state
            .browsers
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .for_each(|browser| browser.is_useful = false);
    }

    /// The tenants that have a browser which does its work.
    pub fn useful(&self) -> BTreeSet<TenantId> {
        self.with_browsers(|browser| browser.is_useful)
    }

    /// The tenants that have a browser.
    pub fn live(&self) -> BTreeSet<TenantId> {
        self.with_browsers(|_| true)
    }

    fn with_browsers(&self, which: impl Fn(&Browser) -> bool) -> BTreeSet<TenantId> {
        let state = self.state.lock();
        let counted = state.browsers.iter().filter(|(_, browsers)| browsers.values().any(&which));
        counted.map(|(tenant, _)| tenant.clone()).collect()
    }

    pub fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }

    /// How many browsers there were.
    pub fn opened_count(&self) -> u64 {
        self.state.lock().opened
    }

    pub fn digest(&self) -> u64 {
        self.state.lock().digest
    }

    /// The history as text, if it was kept.
    pub fn history(&self) -> String {
        let state = self.state.lock();
        state.events.iter().map(|(at, event)| format!("{:>9.3}  {event}\n", at.as_secs_f64())).collect()
    }
}
