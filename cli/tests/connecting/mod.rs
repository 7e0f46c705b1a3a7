//! How a coordinator is found, and what proves who asks.

use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Output,
};

use roost_devcluster::{Authority, CertificateUse};
use roost_tls::{CertifiedFiles, ServerTls};
use tokio::process::Command;

use crate::{roost, support};

#[tokio::test]
async fn a_token_file_wins_over_the_token_of_the_environment() {
    let addr = support::coordinator().await;
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    write_token(&token_file);
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.args(["node", "list", "--token-file"]).arg(&token_file).env_clear();
    command.env("ROOST_ADDR", addr.to_string()).env("ROOST_TOKEN", "wrong");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let twice = roost(addr, &["node", "list", "--token", "one", "--token-file", "two"]).await;
    assert_eq!(twice.status.code(), Some(2));
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_is_named_in_one_line() {
    let addr = SocketAddr::from(([127, 0, 0, 1], roost_devcluster::free_port().unwrap()));
    let Output { status, stderr, .. } = roost(addr, &["node", "list"]).await;
    let line = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(
        line.starts_with("error: no answer from the coordinator: ") && line.lines().count() == 1,
        "{line}"
    );
}

#[tokio::test]
async fn a_coordinator_with_tls_is_believed_by_its_authority_and_every_refusal_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let files = authority.issue("server", &["127.0.0.1"], CertificateUse::Server).unwrap();
    authority.issue("asha", &["asha"], CertificateUse::Client).unwrap();
    let own = CertifiedFiles { cert: files.cert, key: files.key, own_name: None };
    let open = support::coordinator_by(ServerTls::open(own.clone(), None).unwrap()).await;
    let mutual = ServerTls::open(own, Some(authority.ca_file())).unwrap();
    let mutual = support::coordinator_by(mutual).await;
    let told = async |addr: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
        command.args(["node", "list", "--addr", addr, "--token", support::TOKEN]).args(args);
        let Output { status, stderr, .. } =
            command.env_clear().current_dir(dir.path()).output().await.unwrap();
        let line = String::from_utf8(stderr).unwrap();
        assert!(line.lines().count() <= 1, "{line}");
        if status.success() { "it answered".to_owned() } else { line }
    };
    let (with_ca, with_own) =
        (["--ca-file", "ca.crt"], ["--cert-file", "asha.crt", "--key-file", "asha.key"]);
    assert_eq!(told(&format!("https://{open}"), &with_ca).await, "it answered");
    assert_eq!(told(&open.to_string(), &with_ca).await, "it answered");
    let mine = [&with_ca[..], &with_own].concat();
    assert_eq!(told(&mutual.to_string(), &mine).await, "it answered");

    let refused = told(&format!("https://{open}"), &[]).await;
    assert!(refused.contains("signed by nobody whom") && refused.contains("with --ca-file"), "{refused}");
    let refused = told(&format!("https://localhost:{}", open.port()), &with_ca).await;
    assert!(refused.contains("for another name than localhost; it has"), "{refused}");
    let refused = told(&mutual.to_string(), &with_ca).await;
    assert!(
        refused.contains("nobody without a client certificate; give yours with --cert-file"),
        "{refused}"
    );
    let refused = told(&open.to_string(), &[]).await;
    assert!(refused.contains("with https:// where it serves TLS"), "{refused}");
    let plain = support::coordinator().await;
    let refused = told(&plain.to_string(), &with_ca).await;
    assert!(refused.contains("does not speak TLS"), "{refused}");
}

#[tokio::test]
async fn the_cluster_of_roost_dev_is_found_by_its_state_directory() {
    let addr = support::coordinator().await;
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    write_token(&token_file);
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

fn write_token(path: &Path) {
    fs::write(path, format!("{}\n", support::TOKEN)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
