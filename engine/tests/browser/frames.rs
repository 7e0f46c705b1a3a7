//! Frames of a page, which anybody may have written.

use roost_engine::PageEvent;
use serde_json::json;

use crate::{
    site::Site,
    stage::{Stage, events},
};

/// In a frame of each kind: what it finds of the binding, with which it would speak as the page.
const FORGE: &str = r#"
    const forge = (frame) => {
      const binding = frame.__roostEvents;
      if (binding) binding('{"event":"loaded"}\n{"event":"logged_out","reason":"forged"}');
      return typeof binding;
    };
    const frame = (attributes) => {
      const made = Object.assign(document.createElement('iframe'), attributes);
      document.body.append(made);
      return made;
    };
    const loaded = (made) => new Promise((resolve) => { made.onload = () => resolve(forge(made.contentWindow)); });
    (async () => {
      const own = forge(window);
      const blank = frame({});
      const atOnce = forge(blank.contentWindow);
      const written = frame({ srcdoc: '<script>parent.written = parent.forge(window)<\/script>' });
      window.forge = forge;
      await loaded(written);
      const framed = await loaded(frame({ src: '/frame' }));
      blank.remove();
      tell({ own, atOnce, written: window.written, framed });
    })();"#;

pub async fn forgery() {
    let mut site = Site::serve("127.0.0.2", FORGE).await;
    let stage = Stage::set(&site.url());
    let mut launched = stage.launch().await.unwrap();
    let none = "undefined";
    assert_eq!(site.told().await, json!({ "own": none, "atOnce": none, "written": none, "framed": none }));
    launched.page.confirm(&[]).await.expect("the page is still the page");
    launched.page.kill().await;
    let told = events(&mut launched).await;
    assert!(matches!(told.as_slice(), [PageEvent::Loaded, PageEvent::Exited { .. }]), "{told:?}");
}
