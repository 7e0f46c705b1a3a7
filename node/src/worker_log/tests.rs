//! From an event to the file, and to those who follow.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use roost_model::ids::{Generation, TenantId};
use serde_json::Value;
use tempfile::TempDir;
use tracing::{Level, info, info_span, subscriber::with_default, trace, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::{
    handle::{WAITING, WAITING_FOLLOWED},
    layer::Lines,
    *,
};

const BOUNDS: LogBounds =
    LogBounds { tenant_bytes: 1 << 20, total_bytes: 1 << 30, age: Duration::from_secs(7 * 86_400) };
const SOON: Duration = Duration::from_secs(30);

fn tenant() -> TenantId {
    TenantId::new("asha").unwrap()
}

/// Logs, and then has it written.
fn logged(log: impl FnOnce()) -> (TempDir, WorkerLog) {
    let dir = tempfile::tempdir().unwrap();
    let (layer, inbox) = worker_log();
    with_default(tracing_subscriber::registry().with(layer), log);
    let worker_log = inbox.start(dir.path(), BOUNDS).unwrap();
    (dir, worker_log)
}

fn as_the_node(log: &WorkerLog) -> WorkerLogLayer {
    let (to, levels) = (log.to.clone(), log.levels.clone());
    WorkerLogLayer { to, levels, dropped: Arc::default(), lines: Lines::AsTheNode }
}

async fn lines(log: &WorkerLog, filter: LineFilter) -> Vec<Value> {
    let open = log.open(&tenant()).await.unwrap();
    let lines = open.last(&filter, usize::MAX, usize::MAX).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_names_a_tenant_is_in_its_log_alone_with_its_generation_and_no_number_of_a_phone() {
    let (dir, log) = logged(|| {
        let span = info_span!("worker", tenant = %"asha", generation = %7);
        span.in_scope(|| {
            info!(
                chat = "255711000001@c.us",
                attempts = 3,
                phone = 255711000002_u64,
                "linked by +255 711 000 003"
            );
            let inner = info_span!("page", number = 1);
            inner.in_scope(|| warn!(body = "what a customer wrote", reason = %"gone", "the page failed"));
            trace!(body = "at trace level", "a message");
        });
        info!(tenant = %"brian", generation = 8, "another's");
        info!("the node's own");
        info!(tenant = "../../etc/passwd", "no tenant");
    });
    let told = lines(&log, LineFilter::default()).await;
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0]["message"], "linked by +*** *** *** 003");
    assert_eq!((&told[0]["level"], &told[0]["generation"]), (&"INFO".into(), &7.into()));
    assert_eq!(told[0]["fields"]["chat"], "*********001@c.us");
    assert_eq!(
        (&told[0]["fields"]["phone"], &told[0]["fields"]["attempts"]),
        (&"*********002".into(), &3.into())
    );
    assert!(told[0]["time"].is_string() && told[0]["target"].is_string());
    assert_eq!((&told[1]["fields"]["reason"], &told[1]["fields"]["body"]), (&"gone".into(), &Value::Null));
    assert_eq!(told[2]["fields"]["body"], "at trace level");
    let logs = dir.path().join("logs");
    let names: Vec<_> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&logs), mode(&logs.join("asha.log"))), (0o700, 0o600));
}

#[tokio::test]
async fn lines_are_chosen_by_generation_level_and_time() {
    let (_dir, log) = logged(|| {
        info!(tenant = "asha", generation = 7, "a");
        warn!(tenant = "asha", generation = 8, "b");
        info!(tenant = "asha", generation = 8, "c");
        info!(tenant = "asha", "d");
    });
    let messages = async |filter| {
        let told = lines(&log, filter).await;
        told.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(messages(LineFilter { generation: Some(8), ..LineFilter::default() }).await, "bcd");
    assert_eq!(messages(LineFilter { level: Some(Level::WARN), ..LineFilter::default() }).await, "b");
    let later = time::OffsetDateTime::now_utc() + time::Duration::HOUR;
    assert_eq!(messages(LineFilter { since: Some(later), ..LineFilter::default() }).await, "");
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted_where_it_is_missing_and_nobody_waits() {
    let (_dir, log) = logged(|| {
        for number in 0..WAITING + 30 {
            info!(tenant = "asha", generation = 7, number, "a line");
        }
    });
    let told = lines(&log, LineFilter::default()).await;
    // What it may keep is cut before: the last ones that fitted, and the count.
    let dropped =
        told.iter().find(|line| line["fields"]["lines"] == 30).expect("the count of what was dropped");
    assert!(dropped["message"].as_str().unwrap().contains("were dropped"));
    assert!(told.iter().any(|line| line["fields"]["number"] == WAITING - 1));
    assert!(!told.iter().any(|line| line["fields"]["number"] == WAITING));
}

#[tokio::test]
async fn a_line_that_is_too_long_is_cut() {
    let (_dir, log) = logged(|| {
        info!(tenant = "asha", reason = "ä".repeat(5_000), "one");
        let long = "x".repeat(2_000);
        info!(tenant = "asha", a = long, b = long, c = long, d = long, e = long, "many");
    });
    let told = lines(&log, LineFilter::default()).await;
    assert!(told[0]["fields"]["reason"].as_str().unwrap().len() < 3_000);
    assert!(told[1]["fields"]["left_out"].is_string(), "{:?}", told[1]);
}

#[tokio::test]
async fn a_follower_is_told_what_comes_until_the_worker_is_gone_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (layer, inbox) = worker_log();
    let subscriber = tracing_subscriber::registry().with(layer);
    let log = inbox.start(dir.path(), BOUNDS).unwrap();
    with_default(subscriber, || info!(tenant = "asha", generation = 7, "before"));
    let filter = LineFilter { generation: Some(7), ..LineFilter::default() };
    let (open, mut followed) = log.follow(&tenant(), filter).await.unwrap();
    assert_eq!(open.last(&filter, 10, 10_000).unwrap().len(), 1);
    let layer = as_the_node(&log);
    with_default(tracing_subscriber::registry().with(layer), || {
        info!(tenant = "asha", generation = 6, "an earlier owner's");
        for number in 0..WAITING_FOLLOWED + 20 {
            info!(tenant = "asha", generation = 7, number, "after");
        }
    });
    log.until_written().await;
    // Nothing was read yet; the first that find room again say what is missing.
    let mut told = 0;
    while told < WAITING_FOLLOWED {
        match tokio::time::timeout(SOON, followed.recv()).await.unwrap().unwrap() {
            Followed::Line(line) => {
                assert!(line.json.contains("after"), "{}", line.json);
                told += 1;
            }
            Followed::Missed(lines) => panic!("{lines} too early"),
        }
    }
    let layer = as_the_node(&log);
    with_default(tracing_subscriber::registry().with(layer), || {
        info!(tenant = "asha", generation = 7, "last")
    });
    assert!(matches!(tokio::time::timeout(SOON, followed.recv()).await.unwrap(), Some(Followed::Missed(20))));
    let last = tokio::time::timeout(SOON, followed.recv()).await.unwrap();
    assert!(matches!(last, Some(Followed::Line(line)) if line.json.contains("last")));
    log.ended(&tenant(), Generation(7)).await;
    assert!(tokio::time::timeout(SOON, followed.recv()).await.unwrap().is_none());
    log.remove(&tenant()).await;
    assert!(lines(&log, LineFilter::default()).await.is_empty());
}
