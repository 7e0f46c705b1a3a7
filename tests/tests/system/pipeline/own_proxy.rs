//! A worker whose tenant has a proxy of its own: nothing is launched while that takes nobody to the site.

use roost_engine::ProxyProblem;
use roost_node::worker::{State, StopMode};
use roost_store::{ConditionKind, TenantPatch};

use crate::pipeline::node::{Node, wait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_takes_nobody_there_is_waited_for_with_what_to_do_and_costs_no_attempt() {
    let node = Node::new().await;
    let proxy = "http://asha:sesame@proxy.example:3128".parse().unwrap();
    let patch = TenantPatch { proxy: Some(Some(proxy)), ..TenantPatch::default() };
    node.bed.store.update_tenant(&node.bed.id, patch).await.unwrap();
    node.engine.set_proxy_problem(Some(ProxyProblem::Credentials));
    let worker = node.spawn_as(node.bed.place().await, "a").await;
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    node.until_it_waits_for(ConditionKind::WaitingForWhatsapp).await;
    let shown = node.bed.store.get_worker(&node.bed.id).await.unwrap();
    let condition = &shown.condition.reason;
    assert!(
        condition.starts_with("PROXY_UNREACHABLE: the proxy http://proxy.example:3128 does not"),
        "{condition}"
    );
    assert!(shown.last_error.contains("waiting for its proxy"), "{}", shown.last_error);
    assert!(!shown.last_error.contains("attempt"), "{}", shown.last_error);
    assert!(!format!("{shown:?}").contains("sesame"), "{shown:?}");
    assert!(!node.engine.is_open(&node.bed.id), "no browser has gone another way");

    node.engine.set_proxy_problem(None);
    node.wait_until_running(&worker).await;
    let setup = node.engine.setup(&node.bed.id).unwrap();
    assert_eq!(setup.proxy.unwrap().login.unwrap().password, "sesame");
    node.until_it_waits_for(ConditionKind::Answering).await;
    let shown = node.bed.store.get_worker(&node.bed.id).await.unwrap();
    assert_eq!(shown.last_error, "");
    worker.stop(StopMode::Kill).await;
}
