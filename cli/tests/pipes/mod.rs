//! Readers that went away, as `head` does.

use std::{
    io::pipe,
    process::{Output, Stdio},
};

use tokio::process::Command;

use crate::support;

/// Every way in which something is printed: tables, one thing, streams, drawings, sentences, JSON, scripts.
const PRINTING: &[&[&str]] = &[
    &["worker", "list"],
    &["worker", "list", "-o", "json"],
    &["worker", "get", "lodge"],
    &["worker", "watch"],
    &["worker", "watch", "-o", "json"],
    &["message", "tail"],
    &["session", "qr", "shop"],
    &["session", "qr", "lodge"],
    &["explain", "lodge"],
    &["node", "drain", "node-1", "--plan"],
    &["operation", "get", "7"],
    &["cluster", "status"],
    &["completions", "bash"],
    &["--help"],
    &["--version"],
];

async fn run(args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let addr = support::coordinator().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.args(args).env_clear().env("ROOST_ADDR", addr.to_string()).env("ROOST_TOKEN", support::TOKEN);
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command.spawn().unwrap().wait_with_output().await.unwrap()
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (_, writer) = pipe().unwrap();
    writer.into()
}

#[tokio::test]
async fn a_reader_that_went_away_ends_every_command_quietly() {
    for args in PRINTING {
        let Output { status, stderr, .. } = run(args, unread(), Stdio::piped()).await;
        assert!(status.success(), "{args:?}: {status}");
        assert_eq!(String::from_utf8_lossy(&stderr), "", "{args:?}");
    }
}

#[tokio::test]
async fn notes_and_errors_that_nobody_reads_end_as_if_they_were_read() {
    for (args, code) in [
        (&["worker", "start", "lodge"][..], 0),
        (&["rebalance", "--plan"], 0),
        (&["worker", "stop", "lodge"], 1),
        (&["worker", "dance"], 2),
    ] {
        let Output { status, .. } = run(args, Stdio::piped(), unread()).await;
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}
