//! What the client prints, word by word, and how it ends. The expected output lies in `golden/`; after an intended
//! change run with ROOST_UPDATE_GOLDEN=1 and read the difference.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::{env, fs, net::SocketAddr, path::Path, process::Output};

use tokio::process::Command;

async fn roost(addr: SocketAddr, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.args(args).env_clear().env("ROOST_ADDR", addr.to_string()).env("ROOST_TOKEN", support::TOKEN);
    command.output().await.unwrap()
}

/// The command, its exit code and what it printed.
async fn transcript(addr: SocketAddr, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = roost(addr, args).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let mut told = format!("$ roost {}\n{}", args.join(" "), text(stdout));
    for line in text(stderr).lines() {
        told.push_str(&format!("stderr: {line}\n"));
    }
    told.push_str(&format!("exit code {}\n\n", status.code().unwrap()));
    told
}

async fn golden(name: &str, commands: &[&[&str]]) {
    let addr = support::coordinator().await;
    let mut told = String::new();
    for args in commands {
        told.push_str(&transcript(addr, args).await);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if env::var_os("ROOST_UPDATE_GOLDEN").is_some() {
        fs::write(&path, &told).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert!(told == expected, "{} differs; what was printed:\n{told}", path.display());
}

#[tokio::test]
async fn tenants_are_printed_as_golden() {
    golden(
        "tenant",
        &[
            &["tenant", "list"],
            &["tenant", "list", "--limit", "1", "-o", "json"],
            &["tenant", "get", "lodge"],
            &[
                "tenant",
                "create",
                "fish",
                "--name",
                "Mwanza Fish",
                "--phone",
                "+255700000003",
                "--template",
                "support",
            ],
            &["tenant", "create", "fish", "--phone", "0700"],
            &["tenant", "create", "fish", "--name", "Fish", "--phone", "+255700000001"],
            &["tenant", "update", "lodge", "--name", "Lodge", "--fallback", "Pole!"],
            &["tenant", "update", "lodge"],
            &["tenant", "delete", "lodge", "--yes"],
            &["tenant", "get", "nobody"],
        ],
    )
    .await;
}

#[tokio::test]
async fn workers_are_printed_as_golden() {
    golden(
        "worker",
        &[
            &["worker", "list"],
            &["worker", "list", "--output", "json"],
            &["worker", "get", "shop"],
            &["worker", "start", "lodge"],
            &["worker", "stop", "lodge"],
            &["worker", "restart", "lodge"],
            &["worker", "force-restart", "lodge", "--wipe-session"],
            &["worker", "watch"],
            &["worker", "watch", "-o", "json"],
        ],
    )
    .await;
}

#[tokio::test]
async fn sessions_are_printed_as_golden() {
    golden(
        "session",
        &[
            &["session", "qr", "shop"],
            &["session", "qr", "shop", "-o", "json"],
            &["session", "qr", "lodge"],
            &["session", "qr", "idle"],
            &["session", "qr", "shop", "--watch"],
            &["session", "watch", "shop"],
            &["session", "logout", "idle"],
        ],
    )
    .await;
}

#[tokio::test]
async fn messages_and_nodes_are_printed_as_golden() {
    golden(
        "message-node",
        &[
            &["message", "list"],
            &["message", "tail", "lodge", "-o", "json"],
            &["message", "tail"],
            &["node", "list"],
            &["node", "get", "node-2"],
            &["node", "get", "node-9"],
        ],
    )
    .await;
}

#[tokio::test]
async fn errors_are_one_line_and_wrong_usage_ends_with_2() {
    let addr = support::coordinator().await;
    golden("errors", &[&["tenant", "list", "--token", "wrong"], &["tenant", "list", "--addr", "nowhere"]])
        .await;
    let usage = roost(addr, &["worker", "dance"]).await;
    assert_eq!(usage.status.code(), Some(2));
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_is_named_in_one_line() {
    let addr = SocketAddr::from(([127, 0, 0, 1], roost_cli::dev::free_port().unwrap()));
    let Output { status, stderr, .. } = roost(addr, &["node", "list"]).await;
    let line = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(
        line.starts_with("error: no answer from the coordinator: ") && line.lines().count() == 1,
        "{line}"
    );
}

#[tokio::test]
async fn the_cluster_of_roost_dev_is_found_by_its_state_directory() {
    let addr = support::coordinator().await;
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    fs::write(&token_file, format!("{}\n", support::TOKEN)).unwrap();
    let record = serde_json::json!({
        "etcd": {"endpoint": "http://127.0.0.1:1", "pid": 1},
        "postgres": {"url": "postgres://127.0.0.1:2/postgres", "pid": 2},
        "admin_addr": addr.to_string(),
        "token_file": token_file,
        "simulator_url": null,
        "simulator_tls_addr": null,
        "coordinators": [], "nodes": [], "tenants": [],
    });
    fs::create_dir(dir.path().join(".roost")).unwrap();
    fs::write(dir.path().join(".roost/dev.json"), record.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    let here = command.args(["node", "list"]).env_clear().current_dir(dir.path()).output().await.unwrap();
    assert!(here.status.success(), "{}", String::from_utf8_lossy(&here.stderr));
    assert!(String::from_utf8_lossy(&here.stdout).contains("node-2"));
}

#[tokio::test]
async fn completions_know_the_commands() {
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    for shell in ["bash", "zsh", "fish"] {
        let Output { status, stdout, .. } = roost(addr, &["completions", shell]).await;
        assert!(status.success());
        assert!(String::from_utf8(stdout).unwrap().contains("force-restart"), "{shell}");
    }
}
