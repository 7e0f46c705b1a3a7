//! What comes of what is found: when it is looked, what is told, and what follows when it is over. On a clock that stands still
//! but for the pauses.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use roost_cluster::{
    lease_deadline::Standing,
    records::ImpairmentKind::{self, Browser, Database, ObjectStore, StateDirectory},
    registry::MemoryRegistry,
};
use roost_model::ids::{Generation, Incarnation, NodeId, TenantId};
use roost_store::ObjectStoreOwner;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::Instant,
};
use uuid::Uuid;

use super::{
    SelfCheck,
    bench::{Bench, BrowserFault},
};
use crate::{
    health::{self, NodeHealth},
    host::{impairments::Impairments, worker_table::WorkerTable},
    launch_queue::LaunchPriority,
    worker::unserved::Unserved,
};

impl Bench {
    fn node() -> NodeId {
        NodeId::new("a").unwrap()
    }

    /// Of a node whose site answers, if it has one.
    fn checker(&self, site: Option<Vec<String>>) -> SelfCheck {
        SelfCheck {
            env: self.env.clone(),
            node: Self::node(),
            site,
            impairments: Impairments::default(),
            workers: WorkerTable::default(),
        }
    }
}

impl SelfCheck {
    fn lacks(&self, kind: ImpairmentKind) -> bool {
        self.impairments.has(kind)
    }

    /// What it lacks beside the database, which no test has.
    fn lacking(&self) -> Vec<ImpairmentKind> {
        let present = self.impairments.present();
        present.iter().map(|it| it.kind).filter(|kind| *kind != Database).collect()
    }

    /// A worker that it knows of.
    fn with_worker(&self, tenant: &str) -> Unserved {
        let tenant = TenantId::new(tenant).unwrap();
        let (handle, orders) = Unserved::handle(&tenant);
        self.workers.insert(&tenant, Generation(1));
        self.workers.set_worker(&tenant, Some(handle));
        orders
    }
}

fn only(kind: ImpairmentKind) -> BTreeSet<ImpairmentKind> {
    BTreeSet::from([kind])
}

async fn secs(secs: u64) {
    tokio::time::sleep(Duration::from_secs(secs)).await;
}

/// How long it took, in steps of a tenth of a second; at most two minutes.
async fn until(holds: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "it never comes to that");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    began.elapsed()
}

fn is_about(took: Duration, expected: u64) {
    let expected = Duration::from_secs(expected);
    assert!(took >= expected && took < expected + Duration::from_millis(500), "{took:?} is not {expected:?}");
}

/// Runs the checks beside the test.
fn run(bench: &Bench, checker: &SelfCheck) -> JoinHandle<()> {
    let SelfCheck { node, site, impairments, workers, .. } = checker;
    let running = SelfCheck {
        env: bench.env.clone(),
        node: node.clone(),
        site: site.clone(),
        impairments: impairments.clone(),
        workers: workers.clone(),
    };
    tokio::spawn(running.run())
}

#[tokio::test(start_paused = true)]
async fn what_fails_once_is_looked_at_again_and_told_only_if_it_lasts() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    bench.spoil("objects");
    let mended = async {
        secs(2).await;
        bench.mend("objects");
    };
    let kinds = only(ObjectStore);
    tokio::join!(checker.look_twice(&kinds), mended);
    assert_eq!(checker.lacking(), []);

    bench.spoil("objects");
    let began = Instant::now();
    checker.look_twice(&only(ObjectStore)).await;
    is_about(began.elapsed(), 3);
    assert_eq!(checker.lacking(), [ObjectStore]);
    assert!(checker.impairments.present()[0].reason.contains("the object store takes nothing"));
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_taken_back_by_the_first_good_look() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    for (kind, place) in [(ObjectStore, "objects"), (StateDirectory, "profiles")] {
        bench.spoil(place);
        checker.look_twice(&only(kind)).await;
        let began = Instant::now();
        checker.look_twice(&only(kind)).await;
        assert!(checker.lacks(kind), "{kind}: it lasts");
        bench.mend(place);
        checker.look_twice(&only(kind)).await;
        assert!(!checker.lacks(kind), "{kind}");
        assert_eq!(began.elapsed(), Duration::ZERO, "there is nothing to confirm");
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_node_registers_one_look_counts() {
    let bench = Bench::new();
    let site = Some(vec!["127.0.0.1:1".to_owned()]);
    let checker = bench.checker(site);
    bench.spoil("objects");
    bench.browsers.set(BrowserFault::Fails);
    checker.before_registering().await;
    assert_eq!(checker.lacking(), [Browser, ObjectStore, ImpairmentKind::Site]);
    assert!(checker.lacks(Database));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_browsers_needs_neither_a_browser_nor_a_site() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    bench.browsers.set(BrowserFault::Fails);
    checker.before_registering().await;
    assert_eq!((checker.lacking(), bench.browsers.started()), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn it_looks_once_in_a_minute_and_each_quarter_of_one_while_the_node_is_impaired() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    bench.spoil("objects");
    let _running = run(&bench, &checker);
    is_about(until(|| checker.lacks(ObjectStore)).await, 63);
    bench.mend("objects");
    // Five seconds of rest come first.
    is_about(until(|| !checker.lacks(ObjectStore)).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_symptom_makes_it_look_at_once_but_not_again_and_again() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    let _running = run(&bench, &checker);
    secs(1).await;
    // The database is found wanting by this look, and the next may begin five seconds later.
    bench.env.symptoms.snapshot_failed();
    is_about(until(|| checker.lacks(Database)).await, 3);
    bench.spoil("objects");
    bench.env.symptoms.snapshot_failed();
    is_about(until(|| checker.lacks(ObjectStore)).await, 5 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_browser_is_started_only_when_launches_fail_or_none_came_up_the_last_time() {
    let bench = Bench::new();
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let checker = bench.checker(Some(vec![site.local_addr().unwrap().to_string()]));
    let _running = run(&bench, &checker);
    secs(200).await;
    assert_eq!(bench.browsers.started(), 0, "it looks at all else");
    bench.browsers.set(BrowserFault::Fails);
    for tenant in ["asha", "duka"] {
        bench.env.symptoms.launch_failed(&TenantId::new(tenant).unwrap());
    }
    until(|| checker.lacks(Browser)).await;
    bench.browsers.set(BrowserFault::None);
    until(|| !checker.lacks(Browser)).await;
    let started = bench.browsers.started();
    secs(200).await;
    assert_eq!(bench.browsers.started(), started);
}

#[tokio::test(start_paused = true)]
async fn where_no_file_can_be_written_no_browser_is_tried() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    bench.spoil("profiles");
    checker.look_twice(&BTreeSet::from([StateDirectory, Browser])).await;
    assert_eq!(checker.lacking(), [StateDirectory]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_tried_is_neither_told_nor_taken_back() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    let taken = bench.env.launches.acquire(LaunchPriority::AHEAD).await;
    checker.look_twice(&only(Browser)).await;
    assert_eq!(checker.lacking(), []);
    drop(taken);
    bench.browsers.set(BrowserFault::Fails);
    checker.look_twice(&only(Browser)).await;
    let _taken = bench.env.launches.acquire(LaunchPriority::AHEAD).await;
    checker.look_twice(&only(Browser)).await;
    assert_eq!(checker.lacking(), [Browser]);
}

#[tokio::test(start_paused = true)]
async fn when_files_can_be_written_again_every_page_is_loaded_anew_one_after_the_other() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    let mut workers: Vec<Unserved> = ["a", "b", "c"].map(|tenant| checker.with_worker(tenant)).into();
    let mut reloads = || workers.iter_mut().map(Unserved::reloads).sum::<usize>();
    bench.spoil("profiles");
    checker.look_twice(&only(StateDirectory)).await;
    assert_eq!(reloads(), 0, "what cannot be written would fail again");
    bench.mend("profiles");
    let began = Instant::now();
    checker.look_twice(&only(StateDirectory)).await;
    assert_eq!(reloads(), 3);
    assert!(began.elapsed() >= Duration::from_secs(1), "not all at once: {:?}", began.elapsed());
    checker.look_twice(&only(StateDirectory)).await;
    assert_eq!(reloads(), 0, "once");
    bench.spoil("objects");
    checker.look_twice(&only(ObjectStore)).await;
    bench.mend("objects");
    checker.look_twice(&only(ObjectStore)).await;
    assert_eq!(reloads(), 0, "no page writes there");
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_is_lost_or_another_one_while_the_node_runs_is_found_and_is_over_when_it_is_back() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    // The database named the store, and is away since.
    let database = Uuid::from_u128(1);
    let made = bench.env.snapshots.make_marker(database).await.unwrap();
    let owner = ObjectStoreOwner { database, object_store: Some(made.id) };
    bench.env.named_store.recall(Ok(owner)).unwrap();
    let at = bench.dir.path().join("objects/marker");
    let ours = fs::read(&at).unwrap();
    let running = run(&bench, &checker);
    for (is_another, says) in [(false, "has no marker"), (true, "names the store")] {
        secs(65).await;
        assert_eq!(checker.lacking(), [], "it is the right one");
        fs::remove_file(&at).unwrap();
        if is_another {
            bench.env.snapshots.make_marker(database).await.unwrap();
        }
        until(|| checker.lacks(ObjectStore)).await;
        let present = checker.impairments.present();
        let found = present.iter().find(|it| it.kind == ObjectStore).unwrap();
        assert!(found.reason.contains(says) && found.reason.contains(&made.id.to_string()), "{found:?}");
        fs::write(&at, &ours).unwrap();
        until(|| !checker.lacks(ObjectStore)).await;
    }
    running.abort();
}

async fn readiness(health: &NodeHealth) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(health::serve(listener, health.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serving.abort();
    answer
}

#[tokio::test]
async fn a_node_whose_disks_take_nothing_is_not_ready_and_says_which_and_why() {
    let bench = Bench::new();
    let checker = bench.checker(None);
    let health = NodeHealth::new(
        Bench::node(),
        checker.workers.clone(),
        checker.impairments.clone(),
        bench.env.store.clone(),
        Arc::new(MemoryRegistry::new("m")),
        bench.env.spares.clone(),
    );
    health.begin(Incarnation(1), watch::channel(Standing::Good).1);
    let places = [
        ("objects", "impaired: object_store: the object store takes nothing"),
        ("profiles", "impaired: state_directory: the state directory takes no files"),
    ];
    for (place, told) in places {
        bench.spoil(place);
        checker.before_registering().await;
        let answer = readiness(&health).await;
        assert!(answer.starts_with("HTTP/1.0 503") && answer.contains(told), "{answer}");
        bench.mend(place);
        checker.before_registering().await;
        let answer = readiness(&health).await;
        assert!(!answer.contains(told), "{answer}");
    }
}
