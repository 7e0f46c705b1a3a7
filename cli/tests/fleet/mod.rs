//! Moves of many workers and updates of many tenants' settings: what they print, and which are wrong usage.

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

#[tokio::test]
async fn updates_of_settings_of_many_and_their_undoing_are_printed_as_golden() {
    let update = ["tenant", "update", "-l", "plan=pro", "--reply-limit", "20", "--label", "tier=gold"];
    let with = |more: &[&'static str]| [&update[..], more].concat();
    golden(
        "settings",
        &[
            &with(&["--plan"]),
            &with(&["--plan", "-o", "json"]),
            &with(&["--detach", "--max-concurrent", "5", "--paused-on-failure"]),
            &[
                "tenant",
                "update",
                "--all",
                "--stale-after",
                "2m",
                "--greeting",
                "Karibu",
                "--detach",
                "-o",
                "json",
            ],
            &["tenant", "update", "-l", "plan=pro", "--time-zone", "Africa/Nairobi", "--detach"],
            &["tenant", "update", "-l", "plan=pro"],
            &["operation", "undo", "12", "--plan"],
            &["operation", "undo", "12", "--detach"],
            &["operation", "undo", "7"],
        ],
    )
    .await;
}

#[tokio::test]
async fn an_update_names_a_tenant_or_many() {
    let addr = support::coordinator().await;
    for args in [
        &["tenant", "update", "--reply-limit", "20"][..],
        &["tenant", "update", "lodge", "--all", "--reply-limit", "20"],
        &["tenant", "update", "lodge", "--plan", "--reply-limit", "20"],
        &["operation", "undo", "12", "--plan", "--detach"],
    ] {
        assert_eq!(roost(addr, args).await.status.code(), Some(2), "{args:?}");
    }
}
