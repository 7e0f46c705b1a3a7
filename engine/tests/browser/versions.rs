//! Browsers that are given a page and a build of the library in the place of those that there are anyway.

use std::{fs, sync::Arc};

use roost_engine::{
    BrowserSetup, Engine, Launch, Launched, LibraryVersion, PageEvent, PageVersion, Versions,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    site::{Site, document},
    stage::{Stage, WA_JS, event},
};

/// Of any document: which it is, by what it was loaded, and what of the library runs in it.
const WHAT: &str = "
    const [{ type, responseStatus: status }] = performance.getEntriesByType('navigation');
    const { characterSet, contentType } = document;
    const what = { at: location.pathname + location.search, type, status, characterSet, contentType, builds: window.builds };";

fn page(script: &str) -> Option<Arc<PageVersion>> {
    Some(Arc::new(PageVersion { name: "2.3000.1".to_owned(), html: document(script) }))
}

fn library() -> Option<Arc<LibraryVersion>> {
    Some(Arc::new(LibraryVersion::new("4.6.1", WA_JS.replace("'own'", "'another'"))))
}

async fn launch(stage: &Stage, versions: Versions) -> Launched {
    stage.engine().launch(Launch { versions, ..stage.plain() }).await.unwrap()
}

fn told_of(at: &str, how: &str, builds: &[&str]) -> Value {
    let (character_set, content_type) = ("UTF-8", "text/html");
    json!({
        "at": at, "type": how, "status": 200, "characterSet": character_set, "contentType": content_type, "builds": builds,
    })
}

/// At the start, where the page goes after a log-out, after a reload, and in a renderer after the one that crashed.
pub async fn page_in_place() {
    let mut site = Site::serve("127.0.0.2", "tell('the site');").await;
    let stage = Stage::set(&site.url());
    let script =
        format!("{WHAT} tell(what).then(() => location.search || location.assign('/?post_logout=1'));");
    let mut launched = launch(&stage, Versions { page: page(&script), library: None }).await;
    assert_eq!(site.told().await, told_of("/", "navigate", &["own"]));
    assert_eq!(site.told().await, told_of("/?post_logout=1", "navigate", &["own"]));
    launched.page.reload().await.unwrap();
    assert_eq!(site.told().await, told_of("/?post_logout=1", "reload", &["own"]));
    kill_process(renderer(launched.pid.unwrap()), Signal::KILL).unwrap();
    while !matches!(event(&mut launched).await, PageEvent::Crashed { .. }) {}
    launched.page.reload().await.unwrap();
    assert_eq!(site.told().await, told_of("/?post_logout=1", "reload", &["own"]));
    let vitals = launched.page.vitals().await;
    assert_eq!(vitals.page_version.as_deref(), Some("2.3000.1"));
    assert_eq!(vitals.library_version, "4.6.0");
    launched.page.kill().await;
}

/// A frame with the page's own address, what a script fetches from there, the site's websocket, and another page in the tab.
pub async fn nothing_else() {
    let of_site = "tell({ site: location.pathname, isFrame: window !== top })
      .then(() => window === top || top.location.assign('/other'));";
    let mut site = Site::serve("127.0.0.2", of_site).await;
    let stage = Stage::set(&site.url());
    let script = "
        (async () => {
          const echo = new Promise((resolve) => {
            const socket = new WebSocket(`ws://${location.host}/echo`);
            socket.onopen = () => socket.send('hello');
            socket.onmessage = ({ data }) => resolve(data);
            socket.onerror = () => resolve('failed');
          });
          await tell({ echo: await echo, fetched: await fetch('/').then((response) => response.text()) });
          document.body.append(Object.assign(document.createElement('iframe'), { src: '/' }));
        })();";
    let launched = launch(&stage, Versions { page: page(script), library: None }).await;
    assert_eq!(site.told().await, json!({ "echo": "hello", "fetched": document(of_site) }));
    assert_eq!(site.told().await, json!({ "site": "/", "isFrame": true }));
    assert_eq!(site.told().await, json!({ "site": "/other", "isFrame": false }));
    launched.page.kill().await;
}

/// One that answers for the site's document does not for the pinned one, and does again where nothing is pinned: there nothing is
/// intercepted.
pub async fn service_worker() {
    let register = "
        navigator.serviceWorker.oncontrollerchange = () => tell('registered');
        navigator.serviceWorker.register('/answering.js');";
    let mut site = Site::serve("127.0.0.2", register).await;
    let stage = Stage::set(&site.url());
    let launched = launch(&stage, Versions::default()).await;
    assert_eq!(site.told().await, "registered");
    launched.page.reload().await.unwrap();
    assert_eq!(site.told().await, "the worker");
    let vitals = launched.page.vitals().await;
    assert_eq!((vitals.page_version, vitals.library_version.as_str()), (None, "4.6.0"));
    assert!(launched.page.close().await);
    let launched = launch(&stage, Versions { page: page("tell('pinned');"), library: None }).await;
    assert_eq!(site.told().await, "pinned");
    launched.page.reload().await.unwrap();
    assert_eq!(site.told().await, "pinned");
    assert!(launched.page.close().await);
    let launched = launch(&stage, Versions::default()).await;
    assert_eq!(site.told().await, "the worker");
    launched.page.kill().await;
}

/// Instead of the node's own, not beside it.
pub async fn another_bridge() {
    let mut site = Site::serve("127.0.0.2", &format!("{WHAT} tell(what);")).await;
    let stage = Stage::set(&site.url());
    let mut launched = launch(&stage, Versions { page: None, library: library() }).await;
    assert_eq!(site.told().await, told_of("/", "navigate", &["another"]));
    launched.page.reload().await.unwrap();
    assert_eq!(site.told().await, told_of("/", "reload", &["another"]));
    let vitals = launched.page.vitals().await;
    assert_eq!((vitals.page_version, vitals.library_version.as_str()), (None, "4.6.1"));
    for _ in ["at the start", "after the reload"] {
        assert_eq!(event(&mut launched).await, PageEvent::Loaded);
    }
    launched.page.confirm(&[]).await.expect("it is Roost's own bridge that the library is beneath");
    launched.page.kill().await;
}

/// It was started before anybody knew for whom, and with the node's own.
pub async fn warm() {
    let mut site = Site::serve("127.0.0.2", "tell('the site');").await;
    let stage = Stage::set(&site.url());
    let warm = stage.engine().warm(None, &stage.profile(), &BrowserSetup::default()).await.unwrap();
    let versions = Versions { page: page(&format!("{WHAT} tell(what);")), library: library() };
    let launched = warm.open(Launch { versions, ..stage.plain() }).await.unwrap();
    assert_eq!(site.told().await, told_of("/", "navigate", &["another"]));
    launched.page.kill().await;
}

fn renderer(browser: u32) -> Pid {
    let of_browser = |pid: &u32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let group =
            read("stat").rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2).map(str::to_owned));
        group == Some(browser.to_string()) && read("cmdline").contains("--type=renderer")
    };
    let processes = fs::read_dir("/proc").unwrap();
    let mut pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = pids.find(of_browser).expect("the page has a renderer");
    Pid::from_raw(found.cast_signed()).unwrap()
}
