//! A private server never outlives the process that started it, not even by a moment that leaks it: the promise that
//! lets tests and `roost dev` start servers freely.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use roost_devcluster::{Etcd, Identity, Postgres, wait_until};

const DIR: &str = "ROOST_TEST_PARENT_DIR";

#[tokio::test]
async fn servers_die_with_a_parent_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env::current_exe().unwrap())
        .args(["--exact", "role_of_the_parent"])
        .env(DIR, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pids_file = dir.path().join("pids");
    wait_until("the servers run", Duration::from_secs(60), || async { pids_file.exists() }).await.unwrap();
    let pids = fs::read_to_string(&pids_file).unwrap();
    let servers: Vec<Identity> =
        pids.lines().map(|pid| Identity::of(pid.parse().unwrap()).unwrap()).collect();
    assert_eq!(servers.len(), 2);
    parent.kill().unwrap();
    parent.wait().unwrap();
    let gone = || async { !servers.iter().any(Identity::is_alive) };
    wait_until("the servers are dead", Duration::from_secs(5), gone).await.unwrap();
    // And another one starts on what they left.
    Postgres::start(dir.path()).await.unwrap();
    Etcd::start(dir.path()).await.unwrap();
}

/// Not a test by itself: what the process that is killed above does.
#[tokio::test]
async fn role_of_the_parent() {
    let Some(dir) = env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    let (etcd, postgres) = tokio::try_join!(Etcd::start(dir), Postgres::start(dir)).unwrap();
    fs::write(dir.join("pids.new"), format!("{}\n{}\n", etcd.pid(), postgres.pid())).unwrap();
    fs::rename(dir.join("pids.new"), dir.join("pids")).unwrap();
    std::future::pending::<()>().await;
}
