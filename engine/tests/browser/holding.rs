//! Messages that do not become durable: what the page tells of them, holds and refuses, and what it acknowledges.

use std::time::Duration;

use roost_engine::{Launched, PageEvent, WINDOW, WINDOW_CHARS, web::HoldLimits};
use serde_json::json;

use crate::{
    site::Site,
    stage::{self, Stage},
};

/// As much of the page as messages go through. `arrive` is a delivery and resolves with what became of it; `more` is
/// called when the test takes the session over.
const PAGE: &str = "
    const store = [];
    const MsgCollection = { processMultipleMessages: async (chat, messages) => {
      for (const message of messages) if (!store.some(({ id }) => id === message.id)) store.push(message);
    } };
    window.require = () => ({ MsgCollection });
    window.Debug = {};
    let more = () => {};
    WPP.whatsapp = {
      MsgStore: { filter: (wanted) => store.filter(wanted) },
      Socket: { takeover: () => more() },
    };
    const arrive = (nth, chat = 1 + nth % 3, body = 'hello') => {
      const id = `false_${chat}@c.us_${nth}`;
      const message = { id, from: `${chat}@c.us`, type: 'chat', body, t: 7, isNewMsg: true };
      return MsgCollection.processMultipleMessages(chat, [message]).then(() => 'acknowledged', () => 'rejected');
    };
    const arriveAll = (count) => Array.from({ length: count }, (_, nth) => arrive(nth));
    const counted = (outcomes) => Object.fromEntries(['acknowledged', 'rejected', undefined]
      .map((wanted) => [wanted ?? 'open', outcomes.filter((outcome) => outcome === wanted).length]));
    const settledSoFar = (promises) => Promise.all(promises.map((one) => Promise.race([one, undefined])));";

struct Held {
    site: Site,
    launched: Launched,
    _stage: Stage,
}

impl Held {
    async fn by(limits: HoldLimits, script: &str) -> Self {
        let site = Site::serve("127.0.0.2", &format!("{PAGE}\n{script}")).await;
        let stage = Stage::with_hold_limits(&site.url(), limits);
        let mut launched = stage.launch().await.unwrap();
        assert_eq!(stage::event(&mut launched).await, PageEvent::Loaded);
        Self { site, launched, _stage: stage }
    }

    /// The ids of the messages that are told before the next event of another kind, which is the last.
    async fn told_until_another(&mut self) -> (Vec<String>, PageEvent) {
        let mut told = Vec::new();
        loop {
            match stage::event(&mut self.launched).await {
                PageEvent::Message(message) => told.push(message.whatsapp_id),
                other => return (told, other),
            }
        }
    }

    async fn told(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        while told.len() < count {
            match stage::event(&mut self.launched).await {
                PageEvent::Message(message) => told.push(message.whatsapp_id),
                other => panic!("{other:?} after {} messages", told.len()),
            }
        }
        told
    }

    async fn confirm(&self, ids: &[String]) {
        self.launched.page.confirm(ids).await.unwrap();
    }

    /// Confirms what is told, and so on until so many more have been.
    async fn take_in(&mut self, mut ids: Vec<String>, more: usize) -> Vec<String> {
        let mut taken = Vec::new();
        while taken.len() < more {
            self.confirm(&ids).await;
            ids = self.told(ids.len().min(more - taken.len())).await;
            taken.extend(ids.clone());
        }
        self.confirm(&ids).await;
        taken
    }
}

fn ids(of: impl IntoIterator<Item = usize>) -> Vec<String> {
    of.into_iter().map(|nth| format!("false_{}@c.us_{nth}", 1 + nth % 3)).collect()
}

pub async fn window() {
    let script = "Promise.all(arriveAll(1200)).then((all) => tell(counted(all)));
        WPP.raise('conn.stream_mode_changed', 'CONFLICT');";
    let mut held = Held::by(HoldLimits::default(), script).await;
    let (told, other) = held.told_until_another().await;
    assert_eq!((told.as_slice(), other), (&*ids(0..WINDOW), PageEvent::Conflict), "they hide nothing");
    held.confirm(&told[..64]).await;
    assert_eq!(held.told(64).await, ids(WINDOW..WINDOW + 64), "as many as are durable");
    let rest = held.take_in(ids(64..WINDOW + 64), 1200 - WINDOW - 64).await;
    assert_eq!(rest, ids(WINDOW + 64..1200));
    assert_eq!(held.site.told().await, json!({ "acknowledged": 1200, "rejected": 0, "open": 0 }));
    held.launched.page.kill().await;
}

pub async fn long_texts() {
    let script = "const long = 'x'.repeat(60_000);
        for (let nth = 0; nth < 50; nth += 1) arrive(nth, 1, long);
        WPP.raise('conn.stream_mode_changed', 'CONFLICT');";
    let mut held = Held::by(HoldLimits::default(), script).await;
    let (told, _) = held.told_until_another().await;
    assert_eq!(told.len(), WINDOW_CHARS / 60_100);
    assert_eq!(held.take_in(told, 40).await.len(), 40, "the others come as these become durable");
    held.launched.page.kill().await;
}

pub async fn too_long() {
    let script = "const first = arriveAll(600);
        const again = (nths) => Promise.all(nths.map((nth) => arrive(nth))).then((all) => tell(counted(all)));
        Promise.all(first)
          .then((all) => tell(counted(all))).then(() => again([0, 599])).then(() => WPP.raise('conn.needs_update'));
        more = () => again([0, 511, 599]);";
    let limits = HoldLimits { hold: Duration::from_millis(100), ..HoldLimits::default() };
    let mut held = Held::by(limits, script).await;
    assert_eq!(held.site.told().await, json!({ "acknowledged": 0, "rejected": 600, "open": 0 }));
    assert_eq!(held.site.told().await, json!({ "acknowledged": 0, "rejected": 2, "open": 0 }), "nor later");
    let (told, _) = held.told_until_another().await;
    assert_eq!(told, ids(0..WINDOW), "what the node has been told of keeps its place, and is told once");
    let rest = held.take_in(told, 600 - WINDOW).await;
    assert_eq!(rest, ids(WINDOW..600), "and so do the others");
    held.launched.page.take_over().await.unwrap();
    let durable = json!({ "acknowledged": 3, "rejected": 0, "open": 0 });
    assert_eq!(held.site.told().await, durable, "what is durable is acknowledged when it comes again");
    held.launched.page.kill().await;
}

/// One that comes while there is room again must not overtake those of its chat that found none.
pub async fn too_many() {
    let script = "let outcomes = arriveAll(700);
        const count = () => settledSoFar(outcomes).then((all) => tell(counted(all)));
        setTimeout(count, 50);
        more = () => {
          outcomes = [arrive(700), arrive(701, 9)];
          setTimeout(count, 50);
          more = () => { outcomes = arriveAll(701); Promise.all(outcomes).then(count); };
        };";
    let limits = HoldLimits { messages: 600, ..HoldLimits::default() };
    let mut held = Held::by(limits, script).await;
    assert_eq!(held.site.told().await, json!({ "acknowledged": 0, "rejected": 100, "open": 600 }));
    let told = held.told(WINDOW).await;
    held.confirm(&told).await;
    let told = held.told(600 - WINDOW).await;
    held.launched.page.take_over().await.unwrap();
    assert_eq!(held.site.told().await, json!({ "acknowledged": 0, "rejected": 1, "open": 1 }));
    assert_eq!(held.told(1).await, ["false_9@c.us_701"]);
    held.confirm(&[told, vec!["false_9@c.us_701".to_owned()]].concat()).await;
    let missed = held.told(101).await;
    assert_eq!(missed, ids(600..701), "as soon as all that was held is durable, in their order");
    held.confirm(&missed).await;
    held.launched.page.take_over().await.unwrap();
    assert_eq!(held.site.told().await, json!({ "acknowledged": 701, "rejected": 0, "open": 0 }));
    held.launched.page.kill().await;
}

pub async fn sweep() {
    let script = "store.push({ id: 'false_7@c.us_early', from: '7@c.us', type: 'chat', body: '', t: 7, isNewMsg: true });
        arriveAll(600);
        more = () => WPP.raise('conn.needs_update');";
    let mut held = Held::by(HoldLimits::default(), script).await;
    let told = held.told(WINDOW).await;
    held.confirm(&told[..2]).await;
    held.told(2).await;
    held.launched.page.sweep().await.unwrap();
    assert_eq!(stage::event(&mut held.launched).await, PageEvent::SweepBegun);
    held.launched.page.take_over().await.unwrap();
    let (again, _) = held.told_until_another().await;
    assert_eq!(again[0], "false_7@c.us_early", "what came before the bridge goes before what came after it");
    assert_eq!(again[1..], ids(2..WINDOW + 1), "what the node may have lost, and nothing beyond the window");
    let rest = held.take_in(again, 600 - WINDOW - 1).await;
    assert_eq!(rest, ids(WINDOW + 1..600), "the others in their turn");
    held.launched.page.kill().await;
}
