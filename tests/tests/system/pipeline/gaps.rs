//! What a page tells while there is no pipeline to take it.

use roost_engine::{LinkedAccount, PageEvent};
use roost_node::worker::StopMode;
use roost_store::SessionStatus;

use crate::pipeline::node::Node;

/// The sweep that a new pipeline asks for takes a moment, in which the page may be told of newer ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_overtakes_what_was_told_while_nobody_could_take_it() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.raise(PageEvent::Qr { text: Some("2@code".into()), expires_in: None });
    node.until("the code", async || node.session_status().await == SessionStatus::QrReady).await;
    node.engine.hold_sweeps(true);
    let deliver = |id: &str| {
        assert!(node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", id, id)));
    };
    deliver("1 first");
    node.raise(PageEvent::Ready { phone: "255700000001@c.us".into() });
    node.wait_until_running(&worker).await;
    deliver("2 second");
    // Events are taken in their order: the worker has heard of the second when it has heard of this.
    let number = "255700000001".to_owned();
    let account = LinkedAccount { number, push_name: String::new(), platform: String::new() };
    node.raise(PageEvent::Account(account));
    let account = async || node.bed.store.get_session(&node.bed.id).await.unwrap().account;
    node.until("the account", async || account().await.is_some()).await;
    node.engine.hold_sweeps(false);
    node.until("both answers", async || node.engine.sent(&node.bed.id).len() == 2).await;
    let sent = node.engine.sent(&node.bed.id);
    assert_eq!([&sent[0].body, &sent[1].body], ["echo: 1 first", "echo: 2 second"]);
    worker.stop(StopMode::Kill).await;
}
