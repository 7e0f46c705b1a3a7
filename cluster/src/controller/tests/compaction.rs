//! The history that the leader has the registry forget.

use std::time::Duration;

use super::test_cluster::TestCluster;
use crate::controller::ControllerConfig;

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_history_is_compacted_once_and_tried_again_if_it_could_not_be() {
    let cluster = TestCluster::new();
    let history = Duration::from_secs(60);
    cluster.registry.refuse_compactions(true);
    let config = ControllerConfig { etcd_history: Some(history), ..cluster.config("one") };
    let controller = TestCluster::run(cluster.registry.clone(), cluster.ledger.clone(), config);
    tokio::time::sleep(history * 2).await;
    assert_eq!(cluster.registry.compactions(), []);
    assert_eq!(controller.status.borrow().complaint, None, "a term can do without");
    cluster.registry.refuse_compactions(false);
    tokio::time::sleep(history / 2).await;
    let compacted = cluster.registry.compactions();
    assert_eq!(compacted.len(), 1, "{compacted:?}");
    tokio::time::sleep(history * 4).await;
    assert_eq!(cluster.registry.compactions(), compacted, "nothing was written since");
}
