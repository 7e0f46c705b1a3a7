//! A tenant's own level: what is written by it, of whom, and until when.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use roost_model::{LogLevel, ids::TenantId};
use serde_json::Value;
use tempfile::TempDir;
use tracing::{
    Level, Subscriber, debug, error, info, info_span, level_filters::LevelFilter, subscriber::with_default,
    trace, warn,
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, registry};

use super::*;

const BOUNDS: LogBounds =
    LogBounds { tenant_bytes: 1 << 20, total_bytes: 1 << 30, age: Duration::from_secs(7 * 86_400) };
const HOUR: Duration = Duration::from_secs(3_600);

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn own(level: LogLevel) -> TenantLevels {
    TenantLevels { own: Some(level), temporary: None }
}

fn until(level: LogLevel, until: SystemTime) -> TenantLevels {
    TenantLevels { own: None, temporary: Some((level, until)) }
}

/// What is logged by a node with this filter, whose tenants' levels the caller sets.
async fn logged(filter: &str, log: impl FnOnce(&LogLevels)) -> (TempDir, WorkerLog) {
    let dir = tempfile::tempdir().unwrap();
    let (layer, inbox) = worker_log();
    let levels = layer.levels.clone();
    with_default(registry().with(layer.beside(EnvFilter::new(filter))), || log(&levels));
    let log = inbox.start(dir.path(), BOUNDS).unwrap();
    log.until_written().await;
    (dir, log)
}

/// The messages of each tenant.
fn told(dir: &Path) -> BTreeMap<String, Vec<String>> {
    let files = fs::read_dir(dir.join("logs")).unwrap().map(|entry| entry.unwrap().path());
    let message =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
    let of = |path: std::path::PathBuf| {
        let lines = fs::read_to_string(&path).unwrap().lines().map(message).collect();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), lines)
    };
    files.map(of).collect()
}

fn say_all() {
    trace!("a trace");
    debug!("a detail");
    info!("a fact");
    warn!("a warning");
    error!("an error");
    debug!(target: "hyper::client", "a library's detail");
    info!(target: "hyper::client", "a library's fact");
}

const ALL: [&str; 5] = ["a trace", "a detail", "a fact", "a warning", "an error"];
const LIBRARY: &str = "a library's fact";

#[tokio::test]
async fn each_tenant_has_what_its_own_level_says_once_and_the_others_what_the_node_logs() {
    let (dir, _log) = logged("info", |levels| {
        levels.set(&tenant("debugged"), until(LogLevel::Debug, SystemTime::now() + HOUR));
        levels.set(&tenant("traced"), own(LogLevel::Trace));
        levels.set(&tenant("hushed"), own(LogLevel::Error));
        for name in ["debugged", "traced", "hushed", "other"] {
            info_span!("worker", tenant = name, generation = 7).in_scope(say_all);
        }
        debug!(tenant = "debugged", "named in the line");
        debug!(tenant = "other", "named in the line");
        say_all();
    })
    .await;
    let told = told(dir.path());
    let expected = |from: usize, library: &[&str], last: &[&str]| -> Vec<String> {
        ALL[from..].iter().chain(library).chain(last).map(|line| (*line).to_owned()).collect()
    };
    assert_eq!(told["debugged"], expected(1, &[LIBRARY], &["named in the line"]));
    assert_eq!(told["traced"], expected(0, &[LIBRARY], &[]));
    assert_eq!(told["hushed"], expected(4, &[], &[]));
    assert_eq!(told["other"], expected(2, &[LIBRARY], &[]));
    assert_eq!(told.len(), 4);
}

#[tokio::test]
async fn a_quiet_node_has_the_lines_of_one_tenant_all_the_same() {
    let (dir, _log) = logged("error", |levels| {
        // The span was there before the level.
        let span = info_span!("worker", tenant = "debugged", generation = 7);
        levels.set(&tenant("debugged"), until(LogLevel::Debug, SystemTime::now() + HOUR));
        span.in_scope(say_all);
    })
    .await;
    assert_eq!(told(dir.path())["debugged"], ALL[1..]);
}

#[tokio::test]
async fn what_is_over_says_nothing_even_before_it_is_forgotten() {
    let (dir, log) = logged("info", |levels| {
        let span = info_span!("worker", tenant = "debugged", generation = 7);
        levels.set(&tenant("debugged"), until(LogLevel::Debug, SystemTime::now() - HOUR));
        span.in_scope(|| debug!("too late"));
        let own_again =
            TenantLevels { own: Some(LogLevel::Warn), ..until(LogLevel::Debug, SystemTime::now() - HOUR) };
        levels.set(&tenant("debugged"), own_again);
        span.in_scope(say_all);
        levels.set(&tenant("debugged"), TenantLevels::default());
    })
    .await;
    assert_eq!(told(dir.path())["debugged"], ALL[3..]);
    assert!(log.levels.is_empty());
}

#[test]
fn a_level_ends_at_its_time_and_what_it_had_watched_is_watched_no_more() {
    // Whoever rebuilds what is of interest has a subscriber, as in the program.
    with_default(registry(), || {
        let (levels, asha, now) = (LogLevels::default(), tenant("asha"), SystemTime::now());
        let (before, after) = (now + HOUR - Duration::from_secs(1), now + HOUR);
        levels.set(&asha, TenantLevels { own: Some(LogLevel::Warn), ..until(LogLevel::Trace, now + HOUR) });
        assert_eq!(levels.takes(&asha, Level::TRACE, before), Some(true));
        assert_eq!(levels.takes(&asha, Level::INFO, after), Some(false));
        assert_eq!(levels.takes(&asha, Level::WARN, after), Some(true));
        assert_eq!(levels.takes(&tenant("brian"), Level::ERROR, before), None);
        levels.end_due(before);
        assert_eq!(levels.of_interest(), LevelFilter::TRACE);
        levels.end_due(after);
        assert_eq!(levels.of_interest(), LevelFilter::INFO);
        assert!(!levels.may_take(Level::INFO) && levels.may_take(Level::WARN));
        levels.set(&asha, TenantLevels::default());
        assert!(levels.is_empty());
    });
}

#[test]
fn what_no_tenant_is_to_have_is_of_no_interest_to_anybody() {
    let (layer, _inbox) = worker_log();
    let levels = layer.levels.clone();
    let subscriber = registry().with(layer.beside(EnvFilter::new("info")));
    // Whoever rebuilds what is of interest has a subscriber, as in the program.
    with_default(registry(), || {
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
        levels.set(&tenant("asha"), own(LogLevel::Trace));
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::TRACE));
        levels.set(&tenant("asha"), own(LogLevel::Error));
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
    });
}
