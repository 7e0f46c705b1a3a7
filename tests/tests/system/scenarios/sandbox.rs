//! Browsers where the kernel lets nobody make a user namespace, of which their sandbox is made.

use std::ffi::OsString;

use roost_proto::v1::SessionStatus;
use roost_tests::{SOON, Scenario};

/// Becomes the node in a user namespace in which no further one can be made: for an ordinary user as himself, so that it
/// is Chromium that has no sandbox; for root as a root without other users, so that it is the launcher.
fn without_user_namespaces() -> Vec<OsString> {
    const CLOSE: &str = "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --pdeathsig KILL --ambient-caps=-all \
                         --inh-caps=-all -- \"$@\"";
    let root = rustix::process::geteuid().is_root();
    let namespace: &[&str] = if root { &["--map-root-user"] } else { &["--map-current-user", "--keep-caps"] };
    let words = ["unshare", "--user"].iter().chain(namespace).chain(&["sh", "-c", CLOSE, "sh"]);
    words.map(OsString::from).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sandbox_no_browser_starts_and_the_tenant_says_why_and_what_to_do() -> anyhow::Result<()> {
    let mut scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants) = (1, 1);
        options.node_through = without_user_namespaces();
    })
    .await?;
    scenario.expect_error("browsers will not start");
    let tenant = scenario.tenant(0);
    let told = |worker: &roost_proto::v1::Worker| worker.last_error.contains("--allow-no-sandbox");
    let worker = scenario.cluster.worker_until(&tenant.id, "says why", SOON, told).await?;
    let in_its_own_words = if rustix::process::geteuid().is_root() {
        "saying: roost-node: no user namespace could be made in which the browser is not root"
    } else {
        "saying: No usable sandbox!"
    };
    assert!(worker.last_error.contains(in_its_own_words), "{}", worker.last_error);
    assert!(!worker.last_error.contains("dbus"), "{}", worker.last_error);
    assert_ne!(worker.session_status(), SessionStatus::Connected);
    scenario.finish_without_a_connection().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_may_let_browsers_run_without_a_sandbox() -> anyhow::Result<()> {
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 1);
        options.node_through = without_user_namespaces();
        options.node_args = vec!["--allow-no-sandbox".into()];
    })
    .await?;
    scenario.answers(&scenario.tenant(0), "without").await?;
    scenario.finish().await
}
