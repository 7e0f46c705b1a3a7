//! Moves of many workers: what they print, and which are wrong usage.

use crate::{golden, roost, support};

#[tokio::test]
async fn moves_of_many_are_printed_as_golden() {
    golden(
        "fleet",
        &[
            &["worker", "move", "-l", "plan=pro", "--plan"],
            &["worker", "move", "--all", "--to", "node-3", "--plan", "-o", "json"],
            &["worker", "move", "-l", "plan=pro", "--to", "node-3", "--max-unavailable", "20%", "--detach"],
            &["worker", "move", "-l", "plan=pro", "--paused-on-failure", "--detach", "-o", "json"],
            &["worker", "move", "-l", "plan=none"],
            &["worker", "move", "lodge", "--to", "node-3"],
            &["worker", "move", "shop", "--to", "node-3"],
        ],
    )
    .await;
}

#[tokio::test]
async fn a_move_names_a_tenant_and_its_node_or_many() {
    let addr = support::coordinator().await;
    for args in [
        &["worker", "move"][..],
        &["worker", "move", "lodge"],
        &["worker", "move", "--to", "node-3"],
        &["worker", "move", "--all", "--to", ""],
        &["worker", "move", "lodge", "--to", "node-3", "--max-unavailable", "5%"],
    ] {
        assert_eq!(roost(addr, args).await.status.code(), Some(2), "{args:?}");
    }
}
