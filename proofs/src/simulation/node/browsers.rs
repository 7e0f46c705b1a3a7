//! The browsers of one machine. They are processes: what starts or kills them may die meanwhile, and they go on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use roost_cluster::timing::Timing;
use roost_model::ids::{Generation, NodeId, TenantId};
use tokio::sync::watch;

use super::super::{
    dice::Dice,
    judge::{BrowserId, Judge},
};

/// Cheap to clone; all clones are the same machine's.
#[derive(Clone)]
pub struct Browsers {
    judge: Arc<Judge>,
    node: NodeId,
    timing: Timing,
    dice: Dice,
    state: Arc<Mutex<State>>,
    /// How many there are.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    launched: u64,
    alive: BTreeMap<u64, Browser>,
}

struct Browser {
    tenant: TenantId,
    generation: Generation,
    /// None while the machine sleeps.
    known_as: Option<BrowserId>,
    is_dying: bool,
}

/// What its launcher knows it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pid(u64);

impl Browsers {
    pub fn new(judge: Arc<Judge>, node: NodeId, timing: Timing, dice: Dice) -> Self {
        Self { judge, node, timing, dice, state: Arc::default(), count: watch::Sender::new(0) }
    }

    pub fn launch(&self, tenant: &TenantId, generation: Generation) -> Pid {
        let known_as = Some(self.judge.opened(tenant, &self.node, generation));
        let mut state = self.state.lock();
        state.launched += 1;
        let pid = state.launched;
        let browser = Browser { tenant: tenant.clone(), generation, known_as, is_dying: false };
        state.alive.insert(pid, browser);
        self.count.send_replace(state.alive.len());
        Pid(pid)
    }

    /// SIGKILL; its tree is gone a while later, at the worst after all the time that the product allows for.
    pub fn kill(&self, pid: Pid) {
        let mut state = self.state.lock();
        let Some(browser) = state.alive.get_mut(&pid.0).filter(|browser| !browser.is_dying) else { return };
        browser.is_dying = true;
        let dice = self.dice.of(browser.tenant.as_str()).nth(browser.generation.0 as u64);
        let most = self.timing.kill_time.saturating_sub(Duration::from_millis(2));
        let least = if dice.of("at worst").percent(30) { most } else { Duration::ZERO };
        let takes = dice.of("takes").between(least, most);
        let browsers = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(takes).await;
            browsers.gone(pid);
        });
    }

    pub fn kill_all(&self) {
        let all: Vec<u64> = self.state.lock().alive.keys().copied().collect();
        all.into_iter().for_each(|pid| self.kill(Pid(pid)));
    }

    pub async fn until_gone(&self, pid: Pid) {
        let mut count = self.count.subscribe();
        // An error means that the machine is no more, and the browser with it.
        let _gone = count.wait_for(|_| !self.state.lock().alive.contains_key(&pid.0)).await;
    }

    pub async fn until_none_is_left(&self) {
        let mut count = self.count.subscribe();
        let _none = count.wait_for(|count| *count == 0).await;
    }

    /// All of them, at once, without anybody's doing.
    pub fn vanish(&self) {
        let all: Vec<u64> = self.state.lock().alive.keys().copied().collect();
        all.into_iter().for_each(|pid| self.gone(Pid(pid)));
    }

    pub fn suspend(&self) {
        for browser in self.state.lock().alive.values_mut() {
            if let Some(id) = browser.known_as.take() {
                self.judge.closed(&browser.tenant, id);
            }
        }
    }

    /// Those that were being killed are dead, and so are all if their time has run out.
    pub fn resume(&self, may_live: bool) {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        for (pid, browser) in state.alive.iter_mut().filter(|(_, browser)| browser.known_as.is_none()) {
            if may_live && !browser.is_dying {
                let id = self.judge.opened(&browser.tenant, &self.node, browser.generation);
                browser.known_as = Some(id);
            } else {
                dead.push(*pid);
            }
        }
        drop(state);
        dead.into_iter().for_each(|pid| self.gone(Pid(pid)));
    }

    fn gone(&self, pid: Pid) {
        let mut state = self.state.lock();
        let Some(browser) = state.alive.remove(&pid.0) else { return };
        if let Some(id) = browser.known_as {
            self.judge.closed(&browser.tenant, id);
        }
        self.count.send_replace(state.alive.len());
    }
}
