//! What the client prints, word by word, and how it ends. The expected output lies in `golden/`; after an intended
//! change run with ROOST_UPDATE_GOLDEN=1 and read the difference.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod access;
mod connecting;
mod fleet;
mod hostile;
mod pipes;
mod signals;
mod support;
mod terminal;
mod yaml;

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

const SOON: Duration = Duration::from_secs(30);

async fn roost(addr: SocketAddr, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.args(args).env_clear().env("ROOST_ADDR", addr.to_string()).env("ROOST_TOKEN", support::TOKEN);
    command.stdin(Stdio::null()).output().await.unwrap()
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
            &["tenant", "list", "-l", "plan=pro"],
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
            &["tenant", "update", "lodge", "--label", "plan-", "--label", "zone=east"],
            &["tenant", "update", "lodge", "--restart-jitter", "5m"],
            &["tenant", "update", "lodge", "--restart-schedule", ""],
            &["tenant", "update", "shop", "--log-level", "debug"],
            &["tenant", "update", "lodge", "--log-level", "default"],
            &["tenant", "update", "lodge", "--log-level", "loud"],
            &["tenant", "update", "shop", "--qr-rotations", "50"],
            &["tenant", "update", "shop", "--qr-rotations", "default"],
            &["tenant", "update", "shop", "--qr-rotations", "some"],
            &[
                "tenant",
                "update",
                "shop",
                "--restart-schedule",
                "30 3 * * 7",
                "--restart-time-zone",
                "Africa/Kampala",
            ],
            &[
                "tenant",
                "update",
                "lodge",
                "--memory-request",
                "256MiB",
                "--memory-limit",
                "default",
                "--cpu-limit",
                "0.5",
                "--process-limit",
                "none",
            ],
            &["tenant", "update", "lodge", "--memory-limit", "512"],
            &["tenant", "update", "lodge", "--stop-grace", "2s", "--max-crashes", "default"],
            &["tenant", "update", "lodge", "--stale-after", "2"],
            &["tenant", "update", "lodge", "--label", "plan"],
            &["tenant", "update", "lodge"],
            &["tenant", "delete", "lodge"],
            &["tenant", "delete", "lodge", "--yes"],
            &["tenant", "get", "nobody"],
            &["template", "preview", "lodge", "Hello", "1", "--name", "Lodge by the lake"],
            &["template", "preview", "lodge", "Hello", "-o", "json"],
            &["template", "preview", "lodge"],
            &["template", "update", "lodge", "--greeting", "Karibu!"],
            &["template", "update", "lodge"],
        ],
    )
    .await;
}

#[tokio::test]
async fn versions_are_printed_as_golden() {
    golden(
        "version",
        &[
            &["version", "list"],
            &["version", "list", "-o", "json"],
            &["version", "create", "4.6.2", "--library", "tests/versions/wppconnect-wa.js", "--by", "asha"],
            &["version", "create", "2.3000.1", "--wa-version", "tests/versions/wa-version", "--by", "asha"],
            &["version", "create", "2.3000.9", "--wa-version", "tests/versions/wa-version"],
            &["version", "create", "2.3000.1", "--page", "tests/versions/none.html"],
            &["version", "create", "2.3000.1"],
            &["version", "delete", "4.6.1"],
            &["version", "delete", "4.6.1", "--yes"],
            &["version", "delete", "2.3000.1048", "--yes"],
            &["version", "pin", "page", "2.3000.1049", "--yes", "--by", "asha"],
            &["version", "pin", "page", "2.3000.1048", "--yes", "--by", "asha"],
            &["version", "pin", "page"],
            &["version", "rollout", "4.6.1", "--plan"],
            &["version", "rollout", "4.6.1", "--plan", "-o", "json"],
            &["version", "rollout", "4.6.1", "-l", "plan=pro", "--watch", "5m", "--by", "asha", "--detach"],
            &["version", "rollout", "4.6.1", "--by", "asha", "--detach", "-o", "json"],
            &["version", "rollout", "nothing", "--plan"],
            &["version", "rollout", "4.6.1", "--share", "0"],
        ],
    )
    .await;
}

#[tokio::test]
async fn declared_tenants_are_printed_as_golden() {
    golden(
        "apply",
        &[
            &["apply", "-f", "tests/declared/tenants.yaml", "--plan"],
            &["apply", "-f", "tests/declared/tenants.yaml", "--reason", "season"],
            &["apply", "-f", "tests/declared/shop.yaml"],
            &["apply", "-f", "tests/declared/shop.yaml", "-o", "json"],
            &["apply", "-f", "tests/declared/shop.yaml", "--prune", "--all", "--plan", "-o", "json"],
            &["apply", "-f", "tests/declared/shop.yaml", "--prune", "-l", "plan=pro"],
            &["apply", "-f", "tests/declared/shop.yaml", "--prune", "-l", "plan=pro", "--yes"],
            &["apply", "-f", "tests/declared/shop.yaml", "--prune"],
            &["apply", "-f", "tests/declared/shop.yaml", "-l", "plan=pro"],
            &["apply", "-f", "tests/declared/none.yaml", "--prune", "-l", "plan=pro"],
            &["apply", "-f", "tests/declared/none.yaml", "--prune", "-l", "plan=pro", "--all", "--plan"],
            &["apply", "-f", "tests/declared/none.yaml"],
            &["apply", "-f", "tests/declared/shop.yaml", "-f", "tests/declared/tenants.yaml"],
            &["apply", "-f", "tests/declared/typo.yaml"],
            &["apply", "-f", "tests/declared/phone.yaml"],
            &["apply", "-f", "tests/declared/missing.yaml"],
            &["apply", "-f", "tests/declared/ecosystem.config.js"],
            &["apply", "-f", "tests/declared/ecosystem.config.js", "--ignore-unknown"],
            &["export"],
            &["export", "-l", "plan=pro", "-o", "json"],
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
            &["worker", "list", "--selector", "plan=pro"],
            &["worker", "list", "--output", "json"],
            &["worker", "list", "-o", "wide"],
            &["worker", "list", "--node", "node-2", "--sort", "memory", "--limit", "1"],
            &["worker", "list", "--node", "node-2", "--sort", "cpu", "--limit", "1", "-o", "wide"],
            &["worker", "get", "shop"],
            &["worker", "describe", "lodge"],
            &["worker", "describe", "shop"],
            &["worker", "describe", "lodge", "-o", "json"],
            &[
                "worker",
                "log-level",
                "lodge",
                "debug",
                "--for",
                "15m",
                "--by",
                "asha",
                "--reason",
                "ticket 7",
            ],
            &["worker", "log-level", "shop", "warn", "--by", "asha", "--reason", "too much", "-o", "json"],
            &["worker", "log-level", "lodge", "--reset", "--by", "asha"],
            &["worker", "log-level", "ghost", "debug", "--by", "asha"],
            &["worker", "log-level", "lodge"],
            &["worker", "log-level", "lodge", "--reset", "--for", "5m"],
            &["worker", "screenshot", "shop", "--by", "asha"],
            &["worker", "screenshot", "lodge", "--file", "Cargo.toml", "--by", "asha"],
            &["worker", "screenshot", "lodge", "--file", "/nowhere/page.png", "--by", "asha"],
            &["worker", "logs", "lodge"],
            &["worker", "logs", "lodge", "--level", "warn", "-o", "json"],
            &["worker", "logs", "shop", "--previous", "--lines", "5"],
            &["worker", "start", "lodge"],
            &["worker", "stop", "lodge"],
            &["worker", "restart", "lodge"],
            &["worker", "wait", "lodge", "--for", "connected"],
            &["worker", "wait", "lodge", "--for", "stopped", "--timeout", "200ms"],
            &["worker", "wait", "lodge", "--for", "deleted", "--timeout", "200ms"],
            &["worker", "wait", "nobody", "--for", "connected"],
            &["worker", "wait", "nobody", "--for", "deleted"],
            &["worker", "events", "lodge", "--limit", "2"],
            &["worker", "conditions", "lodge"],
            &["worker", "wait", "lodge", "--for", "answering"],
            &["worker", "force-restart", "lodge"],
            &["worker", "force-restart", "lodge", "--wipe-session"],
            &["worker", "force-restart", "lodge", "--wipe-session", "--yes"],
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
            &["session", "get", "lodge"],
            &["session", "get", "lodge", "-o", "json"],
            &["session", "get", "quiet"],
            &["session", "qr", "shop"],
            &["session", "qr", "shop", "-o", "json"],
            &["session", "qr", "lodge"],
            &["session", "qr", "idle"],
            &["session", "qr", "shop", "--watch"],
            &["session", "qr", "shop", "--raw"],
            &["session", "qr", "shop", "--svg", "-"],
            &["session", "qr", "shop", "--png", "/nowhere/code.png"],
            &["session", "qr", "lodge", "--png", "code.png"],
            &["session", "qr", "shop", "--raw", "--svg", "-"],
            &["session", "watch", "shop"],
            &["session", "pair", "shop"],
            &["session", "pair", "shop", "--phone", "+255700000002", "-o", "json"],
            &["session", "pair", "shop", "--watch"],
            &["session", "pair", "lodge"],
            &["session", "resume", "quiet"],
            &["session", "scan-link", "quiet"],
            &["session", "scan-link", "quiet", "-o", "json"],
            &["session", "qr", "quiet", "-o", "json"],
            &["session", "qr", "quiet", "--raw"],
            &["session", "snapshots", "lodge"],
            &["session", "snapshots", "lodge", "-o", "json"],
            &["session", "restore", "lodge", "9-31"],
            &["session", "restore", "lodge", "9-31", "--by", "asha", "--yes"],
            &["session", "restore", "lodge", "12-4", "--yes"],
            &["session", "logout", "idle"],
            &["session", "logout", "idle", "--yes"],
            &["session", "logout", "lodge", "--yes"],
            &["snapshot", "orphans"],
            &["snapshot", "orphans", "-o", "json"],
            &["snapshot", "orphans", "remove", "00000000-0000-0000-0000-000000000001"],
            &[
                "snapshot",
                "orphans",
                "remove",
                "00000000-0000-0000-0000-000000000001",
                "--by",
                "juma",
                "--yes",
            ],
            &["snapshot", "orphans", "remove", "x", "--yes"],
        ],
    )
    .await;
}

#[tokio::test]
async fn imported_sessions_are_printed_as_golden() {
    let of_lodge = "tests/bots/lodge";
    golden(
        "import",
        &[
            &["session", "import", "lodge", of_lodge, "--plan"],
            &["session", "import", "lodge", of_lodge, "--by", "asha"],
            &["session", "import", "lodge", "tests/bots/lodge/session", "-o", "json"],
            &["session", "import", "idle", of_lodge],
            &["session", "import", "nobody", of_lodge],
            &["session", "import", "shop", "tests/bots"],
            &["session", "import", "lodge", "tests/declared"],
            &["session", "import", "lodge", of_lodge, "--replace"],
            &["session", "import", "lodge", of_lodge, "--replace", "--yes"],
            &["session", "import", "--all", "tests/bots", "--plan", "--max-concurrent", "1"],
            &["session", "import", "--all", "tests/bots", "--max-concurrent", "1"],
            &["session", "import", "--all", "tests/bots", "--max-concurrent", "1", "-o", "json"],
            &["session", "import", "--all", "tests/nowhere"],
        ],
    )
    .await;
}

#[tokio::test]
async fn messages_and_nodes_are_printed_as_golden() {
    golden(
        "message-node",
        &[
            &["message", "list", "--reason", "the owner asked"],
            &["message", "tail", "lodge", "-o", "json"],
            &["message", "tail"],
            &["message", "erase", "lodge", "255711111111@c.us"],
            &["message", "erase", "lodge", "255711111111@c.us", "--yes"],
            &["message", "dead", "list"],
            &["message", "dead", "show", "in-7"],
            &["message", "dead", "show", "out-9", "-o", "json"],
            &["message", "dead", "redrive", "in-7", "out-9"],
            &["message", "dead", "redrive", "--tenant", "lodge", "--limit", "2", "--plan", "-o", "json"],
            &["message", "dead", "redrive"],
            &["node", "list"],
            &["node", "get", "node-2"],
            &["node", "get", "node-3b"],
            &["node", "get", "node-9"],
            &["node", "list", "--all"],
        ],
    )
    .await;
}

#[tokio::test]
async fn orders_on_nodes_and_tenants_are_printed_as_golden() {
    golden(
        "orders",
        &[
            &["node", "cordon", "node-2", "--reason", "its disk is failing", "--by", "asha"],
            &["node", "cordon", "node-9"],
            &["node", "uncordon", "node-2", "-o", "json"],
            &["node", "restart-window", "node-2", "5m"],
            &["node", "restart-window", "node-2", "--clear"],
            &["tenant", "pin", "lodge", "node-2"],
            &["tenant", "unpin", "lodge"],
            &["explain", "lodge"],
            &["explain", "lodge", "-o", "json"],
            &["explain", "nobody"],
        ],
    )
    .await;
}

#[tokio::test]
async fn operations_are_printed_as_golden() {
    golden(
        "operation",
        &[
            &["node", "drain", "node-1", "--plan"],
            &["node", "drain", "node-1", "--plan", "-o", "json"],
            &["node", "drain", "node-1", "--deadline", "10m", "--reason", "upgrade", "--by", "asha"],
            &["node", "drain", "node-1", "-o", "json"],
            &["node", "drain", "node-1", "--detach", "--force"],
            &["node", "drain", "node-1", "--detach", "--force", "--yes"],
            &["node", "drain", "node-2"],
            &["node", "drain", "node-1", "--cancel"],
            &["node", "drain", "node-2", "--cancel"],
            &["rebalance", "--plan"],
            &["rebalance", "--detach", "--max-concurrent", "2", "--max-unavailable", "5%"],
            &["worker", "restart", "-l", "plan=pro", "--plan"],
            &["worker", "restart", "--all", "--plan"],
            &["worker", "restart", "-l", "plan=pro", "--plan", "-o", "json"],
            &["worker", "restart", "--selector", "plan=pro", "--max-concurrent", "2", "--detach"],
            &["worker", "restart", "--all", "--max-unavailable", "20%", "--detach", "-o", "json"],
            &["worker", "restart", "--selector", "plan=none"],
            &["worker", "stop", "-l", "plan=pro", "--plan"],
            &["worker", "stop", "-l", "plan=pro", "--detach"],
            &["worker", "start", "--all", "--paused-on-failure", "--detach"],
            &["worker", "force-restart", "-l", "plan=pro", "--detach", "-o", "json"],
            &["worker", "force-restart", "-l", "plan=pro", "--wipe-session"],
            &["worker", "force-restart", "--all", "--wipe-session", "--yes", "--detach"],
            &["operation", "resume", "10"],
            &["operation", "resume", "9"],
            &["operation", "watch", "10"],
            &["operation", "get", "10"],
            &["operation", "get", "10", "-o", "json"],
            &["tenant", "move", "lodge", "node-3"],
            &["tenant", "move", "shop", "node-3"],
            &["operation", "list"],
            &["operation", "list", "--state", "running", "-o", "json"],
            &["operation", "get", "7"],
            &["operation", "get", "99"],
            &["operation", "watch", "7"],
            &["operation", "cancel", "6"],
        ],
    )
    .await;
}

#[tokio::test]
async fn the_cluster_is_printed_as_golden() {
    golden(
        "cluster",
        &[
            &["cluster", "status"],
            &["cluster", "status", "-o", "json"],
            &["cluster", "pause-failover", "--reason", "the switch is replaced", "--by", "asha"],
            &["cluster", "resume-failover"],
            &["cluster", "policy"],
            &["cluster", "policy", "--auto-rebalance", "on"],
            &["cluster", "events", "--limit", "2"],
            &["cluster", "events", "--follow", "-o", "json"],
        ],
    )
    .await;
}

#[tokio::test]
async fn orders_that_contradict_themselves_are_wrong_usage() {
    let addr = support::coordinator().await;
    for args in [
        &["node", "drain", "node-1", "--plan", "--cancel"][..],
        &["node", "drain", "node-1", "--deadline", "soon"],
        &["node", "restart-window", "node-1"],
        &["node", "restart-window", "node-1", "5m", "--clear"],
        &["worker", "restart"],
        &["worker", "restart", "lodge", "--selector", "plan=pro"],
        &["worker", "restart", "--all", "--selector", "plan=pro"],
        &["worker", "restart", "--selector", ""],
        &["worker", "restart", "lodge", "--plan"],
        &["worker", "restart", "--all", "--max-concurrent", "0"],
        &["worker", "stop", "--all", "--max-unavailable", "5%"],
        &["worker", "start"],
        &["worker", "wait", "lodge"],
        &["worker", "wait", "lodge", "--for", "happy"],
        &["rebalance", "--max-unavailable", "0%"],
        &["rebalance", "--max-concurrent", "0"],
        &["cluster", "policy", "--auto-rebalance", "maybe"],
        &["operation", "get", "seven"],
    ] {
        assert_eq!(roost(addr, args).await.status.code(), Some(2), "{args:?}");
    }
}

#[tokio::test]
async fn errors_are_one_line_and_wrong_usage_ends_with_2() {
    let addr = support::coordinator().await;
    golden(
        "errors",
        &[&["tenant", "list", "--token", "wrong"], &["tenant", "list", "--addr", "nowhere"], &["top"]],
    )
    .await;
    let usage = roost(addr, &["worker", "dance"]).await;
    assert_eq!(usage.status.code(), Some(2));
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
