//! Text from outside that would command the terminal of whoever reads it.

use std::process::Output;

use crate::{roost, support};

/// The escaped form of [`support::HOSTILE`].
const SHOWN: &str = r"\u{1b}[2J\u{202e}\u{9b}31m";

#[tokio::test]
async fn hostile_text_is_shown_escaped_wherever_people_read_it() {
    let addr = support::coordinator().await;
    for args in [
        &["worker", "list", "--node", "hostile"][..],
        &["worker", "watch", "hostile"],
        &["worker", "get", "hostile"],
        &["worker", "start", "hostile"],
        &["worker", "stop", "hostile"],
    ] {
        let Output { stdout, stderr, .. } = roost(addr, args).await;
        let told = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert!(told.contains(SHOWN), "{args:?}: {told:?}");
        let commands = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!told.contains(commands), "{args:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_long_cell_is_cut_in_a_table_and_whole_elsewhere() {
    let addr = support::coordinator().await;
    let long = "x".repeat(600);
    for (args, is_whole) in [
        (&["worker", "list", "--node", "hostile"][..], false),
        (&["worker", "watch", "hostile"], false),
        (&["worker", "get", "hostile"], true),
        (&["worker", "list", "--node", "hostile", "-o", "json"], true),
        (&["worker", "watch", "hostile", "-o", "json"], true),
    ] {
        let told = String::from_utf8(roost(addr, args).await.stdout).unwrap();
        assert_eq!(told.contains(&long), is_whole, "{args:?}: {told}");
        assert_eq!(told.contains("xxx…"), !is_whole, "{args:?}: {told}");
    }
}

#[tokio::test]
async fn json_has_hostile_text_as_it_is() {
    let addr = support::coordinator().await;
    let told = roost(addr, &["worker", "get", "hostile", "-o", "json"]).await.stdout;
    let worker: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(worker["name"], format!("worker{}", support::HOSTILE));
}
