//! A worker whose profile cannot be made: the node's disk is in the way, and the tenant is told so.

use std::fs;

use roost_node::worker::StopMode;
use roost_store::ConditionKind;

use crate::pipeline::node::Node;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_cannot_be_made_is_the_nodes_fault_told_with_its_place_and_waited_for() {
    let node = Node::new().await;
    let id = node.bed.id.clone();
    let spec = node.bed.store.worker_spec(&id).await.unwrap();
    node.profiles("a");
    let digits = spec.tenant.uid.simple().to_string();
    let place = node.bed.dir.path().join("a").join(format!("{id}-{}", &digits[..8]));
    // Nobody can make a directory there, not even root.
    fs::write(&place, "in the way").unwrap();
    let worker = node.spawn_as(node.bed.place().await, "a").await;
    node.until_it_waits_for(ConditionKind::WaitingForNode).await;
    let told = async || node.bed.store.get_worker(&id).await.unwrap().last_error;
    node.until("what is wrong is told", async || told().await.contains(&place.display().to_string())).await;
    let told = told().await;
    assert!(told.contains("making a directory failed") && told.contains("waiting for the node"), "{told}");
    fs::remove_file(&place).unwrap();
    node.wait_until_running(&worker).await;
    worker.stop(StopMode::Kill).await;
}
