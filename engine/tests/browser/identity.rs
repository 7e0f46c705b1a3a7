//! What a page and its workers say that they are.

use roost_engine::{BrowserSetup, web::Identity};
use roost_model::BrowserSettings;
use serde_json::{Value, json};

use crate::{site::Site, stage::Stage};

/// In the page, in a worker of its own, in a shared and in a service worker.
const SCRIPT: &str = "
    (async () => {
      const source = await (await fetch('/worker.js')).text();
      const page = (0, eval)(`${source}; identity()`);
      const own = new Worker('/worker.js');
      const shared = new SharedWorker('/worker.js');
      await navigator.serviceWorker.register('/worker.js');
      const { active: service } = await navigator.serviceWorker.ready;
      const answer = (from) => new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = ({ data }) => resolve(data);
        from.postMessage('who are you?', [port2]);
      });
      const asked = [answer(own), answer(shared.port), answer(service)];
      tell({ who: [page, ...await Promise.all(asked)], locale: new Intl.DateTimeFormat().resolvedOptions().locale });
    })();";

async fn told(identity: Identity) -> Value {
    told_as(identity, BrowserSettings::default()).await
}

async fn told_as(identity: Identity, settings: BrowserSettings) -> Value {
    let mut site = Site::serve("127.0.0.2", SCRIPT).await;
    let stage = Stage::with_identity(&site.url(), identity);
    let launched = stage.launch_as(BrowserSetup { settings, ..BrowserSetup::default() }).await.unwrap();
    let told = site.told().await;
    launched.page.kill().await;
    told
}

/// Nothing says that it is headless, and all say the same.
pub async fn unset() {
    let told = told(Identity::default()).await;
    let who = told["who"].as_array().unwrap();
    assert_eq!(who.len(), 4);
    assert!(who.iter().all(|it| it == &who[0]), "{told:#}");
    assert!(!told.to_string().contains("Headless"), "{told:#}");
    assert!(who[0]["agent"].as_str().unwrap().contains(" Chrome/"), "{told:#}");
    assert_eq!(who[0]["brands"][0], "Chromium", "{told:#}");
}

pub async fn set() {
    let user_agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";
    let identity = Identity {
        user_agent: Some(user_agent.to_owned()),
        languages: Some("sw-TZ,sw".to_owned()),
        time_zone: Some("Africa/Dar_es_Salaam".to_owned()),
    };
    let told = told(identity).await;
    let who = json!({
        "agent": user_agent, "brands": ["Chromium", "Not:A-Brand"], "language": "sw-TZ", "zone": "Africa/Dar_es_Salaam",
    });
    assert_eq!(told, json!({ "who": vec![who; 4], "locale": "sw-TZ" }), "{told:#}");
}

/// Of two tenants of one node each is what it has set itself.
pub async fn per_tenant() {
    let user_agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/151.0.0.0 Safari/537.36";
    let node = Identity {
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0".to_owned()),
        languages: Some("en-GB,en".to_owned()),
        time_zone: Some("UTC".to_owned()),
    };
    let own = BrowserSettings {
        time_zone: Some("Africa/Dar_es_Salaam".to_owned()),
        languages: vec!["sw-TZ".to_owned(), "sw".to_owned()],
        user_agent: Some(user_agent.to_owned()),
        ..BrowserSettings::default()
    };
    let with_its_own = told_as(node.clone(), own).await;
    let who = json!({
        "agent": user_agent, "brands": ["Chromium", "Not:A-Brand"], "language": "sw-TZ", "zone": "Africa/Dar_es_Salaam",
    });
    assert_eq!(with_its_own, json!({ "who": vec![who; 4], "locale": "sw-TZ" }), "{with_its_own:#}");
    let without = told(node).await;
    assert_eq!(
        (&without["who"][3]["language"], &without["who"][0]["zone"]),
        (&json!("en-GB"), &json!("UTC"))
    );
}
