//! The way from one machine to the registry or to the database.
//!
//! A request is on its way by itself: its caller may have given up, been frozen or died when it arrives, and it is
//! carried out all the same. A request or an answer may be lost, and either is when the link is cut in its direction.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};

use super::{dice::Dice, process::Process};

/// How much goes wrong by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Calm,
    Rough { ttl: Duration },
}

/// Which directions are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cut {
    pub there: bool,
    pub back: bool,
}

impl Cut {
    pub const NONE: Self = Self { there: false, back: false };

    fn is_any(self) -> bool {
        self.there || self.back
    }
}

/// How long a request and its answer are on their way; None for what is lost.
struct Passage {
    there: Option<Duration>,
    back: Option<Duration>,
}

/// Cheap to clone; all clones are the same link.
#[derive(Clone)]
pub struct Link {
    dice: Dice,
    weather: watch::Receiver<Weather>,
    cut: watch::Sender<Cut>,
    /// How often each kind of call was made.
    calls: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Link {
    pub fn new(dice: Dice, weather: watch::Receiver<Weather>) -> Self {
        Self { dice, weather, cut: watch::Sender::new(Cut::NONE), calls: Arc::default() }
    }

    pub fn cut(&self, cut: Cut) {
        self.cut.send_replace(cut);
    }

    /// Does `work` at the other end. None when no answer came within the limit, whatever became of the work.
    pub async fn call<T, F>(&self, process: &Process, kind: &str, limit: Duration, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        process.thawed().await;
        let passage = self.passage(kind);
        let answer = match passage.there {
            // Most are there at once, and need no task of their own.
            Some(Duration::ZERO) => Some(work.await),
            Some(there) => timeout(limit, self.sent(there, work)).await.ok().flatten(),
            None => None,
        };
        let back = passage.back.filter(|back| answer.is_some() && *back < limit && !self.cut.borrow().back);
        // What is lost is lost in silence, not with an error.
        pass(back.unwrap_or(limit)).await;
        process.thawed().await;
        answer.filter(|_| back.is_some())
    }

    /// Carried out although nobody may wait for it any more.
    async fn sent<T, F>(&self, there: Duration, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (cut, (answer, answered)) = (self.cut.subscribe(), oneshot::channel());
        tokio::spawn(async move {
            sleep(there).await;
            if !cut.borrow().there {
                // The caller may have given up.
                let _unheard = answer.send(work.await);
            }
        });
        answered.await.ok()
    }

    fn passage(&self, kind: &str) -> Passage {
        let (weather, cut, dice) = (*self.weather.borrow(), *self.cut.borrow(), self.next(kind));
        let one_way =
            |name: &str| (!is_lost(weather, dice.of(name))).then(|| transit(weather, dice.of(name)));
        Passage { there: one_way("there").filter(|_| !cut.there), back: one_way("back") }
    }

    /// How long the next event of a stream of that kind takes.
    pub fn transit(&self, kind: &str) -> Duration {
        transit(*self.weather.borrow(), self.next(kind))
    }

    /// Resolves when the link has been cut for so long without a pause.
    pub async fn cut_for(&self, span: Duration) {
        let mut cut = self.cut.subscribe();
        loop {
            if cut.wait_for(|cut| cut.is_any()).await.is_err() {
                return;
            }
            if timeout(span, cut.wait_for(|cut| !cut.is_any())).await.is_err() {
                return;
            }
        }
    }

    /// Resolves while nothing is cut.
    pub async fn whole(&self) {
        let mut cut = self.cut.subscribe();
        let _whole = cut.wait_for(|cut| !cut.is_any()).await;
    }

    fn next(&self, kind: &str) -> Dice {
        let mut calls = self.calls.lock();
        let number = calls.entry(kind.to_owned()).or_default();
        *number += 1;
        self.dice.of(kind).nth(*number)
    }
}

/// Waits, if at all.
pub async fn pass(span: Duration) {
    if !span.is_zero() {
        sleep(span).await;
    }
}

/// Mostly less than a millisecond or a few; rarely so late that the caller has long given up, or another has taken its place.
fn transit(weather: Weather, dice: Dice) -> Duration {
    let most = match weather {
        Weather::Calm => Duration::ZERO,
        Weather::Rough { ttl } => match dice.of("pace").below(200) {
            0 | 1 => ttl * 2,
            2..=6 => ttl / 2,
            7..=16 => ttl / 20,
            17..=80 => Duration::from_millis(3),
            _ => Duration::ZERO,
        },
    };
    dice.of("span").between(Duration::ZERO, most)
}

fn is_lost(weather: Weather, dice: Dice) -> bool {
    weather != Weather::Calm && dice.of("loss").per_mille(8)
}
