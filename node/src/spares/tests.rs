//! The keeper over pretended browsers and a clock that is the test's.

use std::{sync::Arc, time::Duration};

use roost_cluster::lease_deadline::Standing;
use roost_engine::{BrowserSetup, null::NullEngine};
use roost_model::BrowserSettings;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::{
    Spares,
    keeper::{LOOK_EVERY, OLD, QUIET},
};
use crate::{env::NodeEnv, resources::Resources, session::SnapshotKeys};

/// Less than anything here takes.
const A_MOMENT: Duration = Duration::from_millis(50);

struct Bench {
    dir: tempfile::TempDir,
    engine: NullEngine,
    env: Arc<NodeEnv>,
    standing: watch::Sender<Standing>,
    keeping: JoinHandle<()>,
}

fn bench(wanted: usize) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let engine = NullEngine::default();
    let key = SnapshotKeys::from_hex(&"07".repeat(32)).unwrap();
    let spares = Spares::new(wanted, Resources::default());
    let env = Arc::new(NodeEnv::without_postgres(dir.path(), Arc::new(engine.clone()), key, spares));
    let (standing, stands) = watch::channel(Standing::Good);
    let keeping = tokio::spawn(env.spares.clone().keep(env.clone(), stands));
    Bench { dir, engine, env, standing, keeping }
}

impl Bench {
    /// After so long.
    async fn ready_after(&self, passed: Duration) -> usize {
        sleep(passed).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let ready = self.env.spares.status().ready;
        assert_eq!(ready, self.engine.spares(), "what is ready is what runs");
        ready
    }

    fn dirs(&self) -> usize {
        let listed = std::fs::read_dir(self.dir.path().join("profiles/.spares"));
        listed.into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()).count()
    }
}

fn of_another_zone() -> BrowserSetup {
    let settings = BrowserSettings { time_zone: Some("Africa/Nairobi".to_owned()), ..Default::default() };
    BrowserSetup { settings, ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn as_many_as_are_wanted_are_started_and_one_that_is_taken_is_replaced() {
    let bench = bench(2);
    assert_eq!(bench.ready_after(QUIET / 2).await, 0);
    assert_eq!(bench.ready_after(QUIET * 3).await, 2);
    let taken = bench.env.spares.take(&BrowserSetup::default()).unwrap();
    assert_eq!(bench.env.spares.status().ready, 1);
    sleep(QUIET * 2).await;
    assert_eq!(bench.engine.spares(), 3, "the one that was taken is not ended");
    taken.kill().await;
    assert_eq!((bench.ready_after(QUIET).await, bench.dirs()), (2, 2));
    let status = bench.env.spares.status();
    assert_eq!((status.wanted, status.adopted, status.missed), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn one_serves_only_tenants_whose_browsers_would_be_started_as_it_was() {
    let bench = bench(1);
    assert_eq!(bench.ready_after(QUIET * 2).await, 1);
    let spares = &bench.env.spares;
    assert!(!spares.has(&of_another_zone()) && spares.take(&of_another_zone()).is_none());
    assert!(spares.has(&BrowserSetup::default()));
    assert_eq!((spares.status().adopted, spares.status().missed), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn none_is_started_while_anything_else_starts_or_on_a_lease_that_may_run_out() {
    let bench = bench(1);
    let permit = bench.env.launches.take();
    assert_eq!(bench.ready_after(QUIET * 50).await, 0);
    drop(permit);
    assert_eq!(bench.ready_after(QUIET - A_MOMENT).await, 0, "it may be that the next one comes");
    bench.standing.send_replace(Standing::SoftStop);
    assert_eq!(bench.ready_after(QUIET * 50).await, 0);
    bench.standing.send_replace(Standing::Good);
    assert_eq!(bench.ready_after(QUIET * 2).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_over_before_anybody_looked_is_waited_after_too() {
    let bench = bench(1);
    sleep(QUIET / 2).await;
    drop(bench.env.launches.take());
    assert_eq!(bench.ready_after(QUIET).await, 0);
    assert_eq!(bench.ready_after(QUIET).await, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_is_replaced_later_each_time() {
    let bench = bench(1);
    assert_eq!(bench.ready_after(QUIET * 2).await, 1);
    for pause in [1, 2, 4] {
        bench.engine.end_spares();
        assert!(
            !bench.env.spares.has(&BrowserSetup::default()),
            "one that has ended is of no use to anybody"
        );
        assert_eq!(bench.ready_after(Duration::from_secs(pause) + QUIET - A_MOMENT).await, 0, "{pause}");
        assert_eq!(bench.ready_after(QUIET).await, 1);
    }
    // It lasts.
    sleep(LOOK_EVERY * 2).await;
    bench.engine.end_spares();
    assert_eq!(bench.ready_after(Duration::from_secs(1) + QUIET * 2).await, 1);
    assert_eq!(bench.dirs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_old_one_is_replaced() {
    let bench = bench(1);
    assert_eq!(bench.ready_after(QUIET * 2).await, 1);
    let before = std::fs::read_dir(bench.dir.path().join("profiles/.spares/0")).is_ok();
    assert_eq!(bench.ready_after(OLD + LOOK_EVERY + QUIET * 2).await, 1);
    assert!(before && !bench.dir.path().join("profiles/.spares/0").exists() && bench.dirs() == 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_them_is_left_where_there_are_to_be_none() {
    let first = bench(1);
    assert_eq!(first.ready_after(QUIET * 2).await, 1);
    first.keeping.abort();
    first.env.spares.end().await;
    assert_eq!((first.engine.spares(), first.dirs()), (0, 0));
    // As a process that was killed leaves it.
    std::fs::create_dir_all(first.dir.path().join("profiles/.spares/7/browser")).unwrap();
    let (_standing, stands) = watch::channel(Standing::Good);
    Spares::none().keep(first.env.clone(), stands).await;
    assert!(!first.dir.path().join("profiles/.spares").exists());
}
