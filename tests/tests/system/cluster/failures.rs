//! An etcd that restarts, freezes, or is not there.

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use roost_cluster::registry::{EtcdRegistry, Op, Registry, RegistryError};
use roost_devcluster::Etcd;
use roost_model::ids::Revision;
use roost_tests::chaos::stalled_disk;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

use crate::cluster::backend::{Backend, PATIENCE, TTL, delete, next, put};

const TIMEOUT: Duration = Duration::from_secs(1);

async fn connected(endpoints: &[&str]) -> Arc<EtcdRegistry> {
    let endpoints: Vec<String> = endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect();
    Arc::new(EtcdRegistry::connect(&endpoints, "failures", TIMEOUT).await.unwrap())
}

async fn until_ok<T, F: Future<Output = Result<T, RegistryError>>>(call: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn signal(etcd: &Etcd, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(etcd.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn a_client_survives_a_restart_of_etcd_with_its_lease() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path()).await.unwrap();
    let on = Backend::etcd(etcd.endpoint().to_owned(), 0).await;
    let lease = on.registry.grant(Duration::from_secs(30)).await.unwrap();
    let written = on.put_leased("nodes/a", lease).await;
    let mut watch = on.registry.watch("nodes/", written).await.unwrap();

    etcd.kill().await.unwrap();
    assert_eq!(next(&mut watch).await, None, "a watch that was cut off ends");
    let down = on.registry.list("nodes/").await;
    assert!(matches!(down, Err(RegistryError::Unavailable { .. })), "{down:?}");

    etcd.restart().await.unwrap();
    until_ok(|| on.registry.keep_alive(lease, "nodes/a")).await;
    let listing = until_ok(|| on.registry.list("nodes/")).await;
    assert_eq!(listing.entries.len(), 1);
    let mut watch = until_ok(|| on.registry.watch("nodes/", listing.revision)).await;
    on.registry.revoke(lease).await.unwrap();
    assert_eq!(next(&mut watch).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_call_to_a_frozen_etcd_takes_longer_than_its_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path()).await.unwrap();
    let registry = connected(&[etcd.endpoint()]).await;
    let lease = registry.grant(Duration::from_secs(60)).await.unwrap();
    let revision = registry.list("").await.unwrap().revision;
    signal(&etcd, Signal::STOP);
    let begun = Instant::now();
    let answers = tokio::join!(
        registry.keep_alive(lease, "nodes/a"),
        async { registry.list("").await.map(drop) },
        async { registry.grant(TTL).await.map(drop) },
        async { registry.watch("", revision).await.map(drop) },
        async { registry.commit(&[], &[put("a", "")]).await.map(drop) },
        registry.revoke(lease),
    );
    let took = begun.elapsed();
    signal(&etcd, Signal::CONT);
    let (kept, listed, granted, watched, committed, revoked) = answers;
    for answer in [kept, listed, granted, watched, committed, revoked] {
        assert!(matches!(answer, Err(RegistryError::Unavailable { .. })), "{answer:?}");
    }
    assert!(took < TIMEOUT * 3 / 2, "{took:?}");
    until_ok(|| registry.list("")).await;
}

#[tokio::test]
async fn a_watch_on_a_frozen_etcd_ends_when_pings_are_not_answered() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path()).await.unwrap();
    let registry = connected(&[etcd.endpoint()]).await;
    let revision = registry.list("").await.unwrap().revision;
    let mut watch = registry.watch("", revision).await.unwrap();
    signal(&etcd, Signal::STOP);
    let ended = timeout(PATIENCE, watch.recv()).await;
    signal(&etcd, Signal::CONT);
    assert_eq!(ended.expect("the watch hangs"), None);
}

#[tokio::test]
async fn a_client_goes_to_the_next_member_when_one_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path()).await.unwrap();
    let registry = connected(&["http://127.0.0.1:1", etcd.endpoint()]).await;
    // Which of the two is asked first is not said.
    if let Err(first) = registry.list("").await {
        assert!(matches!(first, RegistryError::Unavailable { .. }), "{first:?}");
    }
    for _ in 0..10 {
        registry.list("").await.unwrap();
    }
}

/// Connections to it are made, and nothing is ever said on them.
async fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

#[tokio::test]
async fn a_silent_member_is_passed_over_while_another_one_is_down() {
    let (_listener, mute) = mute().await;
    let registry = connected(&["http://127.0.0.1:1", &mute]).await;
    let mut timed_out = 0;
    for _ in 0..8 {
        let begun = Instant::now();
        registry.list("").await.unwrap_err();
        timed_out += usize::from(begun.elapsed() >= TIMEOUT);
    }
    assert_eq!(timed_out, 1, "calls that waited for a member known to be silent");
}

/// Far sooner than pings tell of it: the tenants of a node that watches a frozen member must not wait for those.
#[tokio::test]
async fn a_watch_on_a_frozen_member_ends_when_another_one_answers() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path()).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let other = Etcd::start(other.path()).await.unwrap();
    let registry = connected(&[etcd.endpoint(), other.endpoint()]).await;
    // Two stores of one member each, so it shows which of them is asked.
    let used = registry.cluster_id().await.unwrap();
    let is_first = connected(&[etcd.endpoint()]).await.cluster_id().await.unwrap() == used;
    let frozen = if is_first { &etcd } else { &other };
    let mut watch = registry.watch("", Revision(0)).await.unwrap();
    signal(frozen, Signal::STOP);
    let begun = Instant::now();
    let silent = registry.cluster_id().await;
    let answered = registry.cluster_id().await;
    let ended = timeout(PATIENCE, watch.recv()).await;
    let took = begun.elapsed();
    signal(frozen, Signal::CONT);
    assert!(matches!(silent, Err(RegistryError::Unavailable { .. })), "{silent:?}");
    assert!(matches!(answered, Err(RegistryError::Replaced { .. })), "{answered:?}, and {used} before");
    assert_eq!(ended.expect("the watch hangs"), None);
    assert!(took < TIMEOUT * 3, "{took:?}");
}

/// What it answers from memory proves nothing: the others have elected another leader, and that one lets the lease end.
#[tokio::test]
async fn a_leader_whose_disk_stalls_renews_no_lease() {
    let dir = tempfile::tempdir().unwrap();
    let through = stalled_disk::build(dir.path()).unwrap();
    let members = Etcd::start_several(dir.path(), 3, Some(&through)).await.unwrap();
    let leader = leader(&members).await;
    let stalled = connected(&[members[leader].endpoint()]).await;
    let sound = connected(&[members[(leader + 1) % 3].endpoint()]).await;
    let lease = sound.grant(TTL).await.unwrap();
    let leased = Op::Put { key: "nodes/a".to_owned(), value: Vec::new(), lease: Some(lease) };
    sound.commit(&[], &[leased]).await.unwrap();
    // etcd commits what was written a tenth of a second later, under a lock that reads take too. A stall in the middle of that
    // would be noticed by everybody; this one is to be met by the leader's log alone.
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(400) {
        stalled.keep_alive(lease, "nodes/a").await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }

    members[leader].stall().unwrap();
    let writer = sound.clone();
    tokio::spawn(async move { writer.commit(&[], &[put("other", "")]).await });
    // The last one that counts was sent before this moment, and what counts keeps the key alive for a TTL.
    let mut counted_at = Instant::now();
    let begun = Instant::now();
    loop {
        let sent_at = Instant::now();
        if stalled.keep_alive(lease, "nodes/a").await.is_ok() {
            counted_at = sent_at;
        }
        match sound.get("nodes/a").await {
            Ok(None) => break,
            Ok(Some(_)) => assert!(counted_at.elapsed() < TTL + PATIENCE, "it never ends"),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(
        counted_at.elapsed() >= TTL,
        "the key is gone {:?} after a renewal that counted",
        counted_at.elapsed()
    );
    for _ in 0..3 {
        stalled.keep_alive(lease, "nodes/a").await.unwrap_err();
    }
    members[leader].let_go().unwrap();
}

async fn leader(members: &[Etcd]) -> usize {
    let begun = Instant::now();
    loop {
        for (index, member) in members.iter().enumerate() {
            if member.leads().await == Some(true) {
                return index;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "nobody leads");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The backup knows the lease and the key, and says so; what was written after it is gone.
#[tokio::test]
async fn an_etcd_that_was_put_back_from_a_backup_ends_every_lease_of_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path()).await.unwrap();
    let on = Backend::etcd(etcd.endpoint().to_owned(), 0).await;
    let lease = on.registry.grant(Duration::from_secs(300)).await.unwrap();
    on.put_leased("nodes/a", lease).await;
    etcd.kill().await.unwrap();
    let (data, backup) = (dir.path().join("etcd"), dir.path().join("backup"));
    copy(&data, &backup);
    etcd.restart().await.unwrap();
    until_ok(|| on.registry.keep_alive(lease, "nodes/a")).await;
    on.put("assignments/a", "later").await;
    etcd.kill().await.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&backup, &data).unwrap();
    etcd.restart().await.unwrap();

    let begun = Instant::now();
    let answer = loop {
        match on.registry.keep_alive(lease, "nodes/a").await {
            Err(RegistryError::Unavailable { .. }) => assert!(begun.elapsed() < PATIENCE),
            answer => break answer,
        }
    };
    assert!(matches!(answer, Err(RegistryError::Replaced { .. })), "{answer:?}");
    let again = on.registry.grant(Duration::from_secs(300)).await.unwrap();
    on.put_leased("nodes/a", again).await;
    on.registry.keep_alive(again, "nodes/a").await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// It counts for its holder as a lost one does: the controller takes the node for gone.
#[tokio::test]
async fn a_lease_whose_key_was_deleted_by_hand_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path()).await.unwrap();
    let on = Backend::etcd(etcd.endpoint().to_owned(), 0).await;
    let lease = on.registry.grant(Duration::from_secs(300)).await.unwrap();
    on.put_leased("nodes/a", lease).await;
    on.registry.keep_alive(lease, "nodes/a").await.unwrap();
    on.commit(&[], &[delete("nodes/a")]).await;
    let answer = on.registry.keep_alive(lease, "nodes/a").await;
    assert!(matches!(answer, Err(RegistryError::LeaseLost { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_client_connects_to_an_etcd_that_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path()).await.unwrap();
    etcd.kill().await.unwrap();
    let registry = connected(&[etcd.endpoint()]).await;
    assert!(matches!(registry.cluster_id().await, Err(RegistryError::Unavailable { .. })));
    etcd.restart().await.unwrap();
    assert_ne!(until_ok(|| registry.cluster_id()).await, "");
}

#[tokio::test]
async fn clusters_that_share_an_etcd_do_not_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path()).await.unwrap();
    let one = Backend::etcd(etcd.endpoint().to_owned(), 1).await;
    let other = Backend::etcd(etcd.endpoint().to_owned(), 11).await;
    one.put("nodes/a", "one").await;
    assert_eq!(other.registry.list("").await.unwrap().entries, []);
    other.put("nodes/a", "other").await;
    assert_eq!(one.value("nodes/a").await.unwrap(), "one");
}

#[tokio::test]
async fn what_is_no_cluster_and_no_endpoint_is_refused() {
    for (endpoints, cluster) in
        [(vec!["http://127.0.0.1:1"], "no/name"), (vec![], "name"), (vec!["http://["], "name")]
    {
        let endpoints: Vec<String> = endpoints.into_iter().map(str::to_owned).collect();
        let refused = EtcdRegistry::connect(&endpoints, cluster, TIMEOUT).await.err();
        assert!(matches!(refused, Some(RegistryError::Refused { .. })), "{refused:?}");
    }
}
