//! Texts that are none: half a character, in whatever a page tells or answers.

use roost_engine::{EngineError, PageEvent};

use crate::{
    site::Site,
    stage::{self, DEADLINE, Stage},
};

/// Two messages and a code; what is swept throws once both are asked for a second time.
const SCRIPT: &str = r"
    const message = (name, body) => ({
      id: `false_1${name}@c.us_A`, from: `1${name}@c.us`, type: 'chat', body, t: 7, isNewMsg: true,
    });
    const held = [message('\ud83d', 'half \ude00 a word'), message('', 'whole')];
    let sweeps = 0;
    WPP.whatsapp = { MsgStore: { filter: (wanted) => {
      sweeps += 1;
      if (sweeps > 1) throw new Error('no \ud83d');
      return held.filter(wanted);
    } } };
    WPP.raise('conn.auth_code_change', { fullCode: 'code \ud83d' });
    held.forEach((one) => WPP.raise('chat.new_message', one));";

pub async fn half_characters() {
    let site = Site::serve("127.0.0.2", SCRIPT).await;
    let stage = Stage::set(&site.url());
    let mut launched = stage.launch().await.unwrap();
    let mut told = Vec::new();
    while told.len() < 4 {
        told.extend(tokio::time::timeout(DEADLINE, launched.events.recv()).await.expect("nothing is told"));
    }
    let [
        PageEvent::Loaded,
        PageEvent::Qr { text: Some(code), .. },
        PageEvent::Message(half),
        PageEvent::Message(whole),
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!(code, "code \u{FFFD}");
    assert_eq!(half.whatsapp_id, "false_1\u{FFFD}@c.us_A");
    assert_eq!((half.chat.as_str(), half.body.as_str()), ("1\u{FFFD}@c.us", "half \u{FFFD} a word"));
    launched.page.confirm(std::slice::from_ref(&half.whatsapp_id)).await.unwrap();
    launched.page.sweep().await.unwrap();
    assert_eq!(stage::event(&mut launched).await, PageEvent::SweepBegun);
    let swept = stage::event(&mut launched).await;
    assert_eq!(swept, PageEvent::Message(whole.clone()), "what is confirmed is known by its id");
    let refused = launched.page.sweep().await;
    assert!(
        matches!(&refused, Err(EngineError::Page { exception, .. }) if exception.contains("no \u{FFFD}")),
        "{refused:?}"
    );
    launched.page.kill().await;
}
