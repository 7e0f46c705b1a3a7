//! Pages that send more than a node can hold. Their browser is ended and the reason told; the node, which is this test, goes on.

use roost_engine::PageEvent;

use crate::{
    site::Site,
    stage::{Stage, events},
};

pub async fn message() {
    let reason = ending("console.log('x'.repeat(64 * 1024 * 1024));").await;
    assert_eq!(reason, "the browser is ended: it sent a message of more than 33554432 bytes");
}

pub async fn payload() {
    let script = "JSON.stringify = () => 'x'.repeat(600 * 1024); WPP.raise('conn.online', true);";
    let reason = ending(script).await;
    assert_eq!(reason, "the browser is ended: its page told more than 524288 bytes at once");
}

pub async fn flood() {
    let script = "setInterval(async () => {
      for (let i = 0; i < 1000; i += 1) await WPP.raise('conn.online', true);
    });";
    let reason = ending(script).await;
    assert_eq!(reason, "the browser is ended: it sent more events than could be taken");
}

/// Of the browser with this page.
async fn ending(script: &str) -> String {
    let site = Site::serve("127.0.0.2", script).await;
    let stage = Stage::set(&site.url());
    let mut launched = match stage.launch().await {
        Ok(launched) => launched,
        // It was faster than the launch.
        Err(error) => return error.to_string(),
    };
    // Nobody listens until it is over.
    let process = format!("/proc/{}", launched.pid.unwrap());
    let gone = async {
        while std::fs::exists(&process).unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::stage::DEADLINE, gone).await.expect("the browser goes on");
    match events(&mut launched).await.pop() {
        Some(PageEvent::Exited { reason }) => reason,
        last => panic!("the last event is {last:?}"),
    }
}
