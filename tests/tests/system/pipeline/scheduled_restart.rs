//! A worker on the null engine whose tenant's schedule comes due.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roost_cluster::ledger::EventKind;
use roost_model::RestartSchedule;
use roost_node::worker::StopMode;
use roost_store::{EventFilter, TenantPatch};
use time::OffsetDateTime;

use crate::pipeline::node::Node;

/// Many times what a restart that does not wait takes to be begun.
const SETTLED: Duration = Duration::from_millis(1_500);

/// One that comes some three seconds from now, once a year: it is of a minute that has begun, and the jitter is such that the
/// tenant's own shift makes up for the rest.
fn soon(uid: u128) -> (RestartSchedule, SystemTime) {
    let now = SystemTime::now();
    let minute = now.duration_since(UNIX_EPOCH).unwrap().as_secs() / 60 * 60;
    let minute = UNIX_EPOCH + Duration::from_secs(minute);
    let at = OffsetDateTime::from(minute);
    let cron = format!("{} {} {} {} *", at.minute(), at.hour(), at.day(), u8::from(at.month()));
    let with = |jitter_s| RestartSchedule {
        cron: cron.clone(),
        time_zone: "UTC".into(),
        jitter: Duration::from_secs(jitter_s),
    };
    let comes = |schedule: &RestartSchedule| {
        schedule.timetable(uid).unwrap().next_after(minute - Duration::from_secs(1)).unwrap()
    };
    let (mut less, mut enough) = (0, 1_000_000);
    while enough - less > 1 {
        let middle = (less + enough) / 2;
        if comes(&with(middle)) < now + Duration::from_secs(3) { less = middle } else { enough = middle }
    }
    let schedule = with(enough);
    let time = comes(&schedule);
    assert!(time < now + Duration::from_secs(5), "the jitter of {uid:x} is out of reach");
    (schedule, time)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_restarted_once_at_its_time_and_goes_on_with_its_session() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let spec = node.bed.store.worker_spec(&node.bed.id).await.unwrap();
    let (schedule, comes) = soon(spec.tenant.uid.as_u128());
    let patch = TenantPatch { restart_schedule: Some(Some(schedule)), ..TenantPatch::default() };
    node.bed.store.update_tenant(&node.bed.id, patch).await.unwrap();
    // Both turns are taken until it has served for a while after its time.
    let turns = [node.launches.take(), node.launches.take()];
    worker.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
    let after = std::time::Instant::now() + comes.duration_since(SystemTime::now()).unwrap() + SETTLED;
    node.until("proof after its time", async || worker.seen().is_some_and(|proof| proof.at > after)).await;
    assert_eq!(node.bed.store.get_worker(&node.bed.id).await.unwrap().restarts, 0, "it waits for its turn");
    drop(turns);

    let told = async || {
        let events = node.bed.store.list_events(&EventFilter::default(), None, 100).await.unwrap();
        events.into_iter().filter(|event| event.kind == EventKind::RestartedOnSchedule).collect::<Vec<_>>()
    };
    node.until("the restart is in the history", async || !told().await.is_empty()).await;
    node.wait_until_running(&worker).await;
    node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", "M", "hello"));
    node.until("the answer", async || node.engine.sent(&node.bed.id).len() == 1).await;

    let events = told().await;
    assert_eq!((events.len(), events[0].tenant.as_ref()), (1, Some(&node.bed.id)), "once");
    assert!(events[0].text.contains("on its schedule"), "{}", events[0].text);
    let shown = node.bed.store.get_worker(&node.bed.id).await.unwrap();
    assert_eq!((shown.restarts, shown.last_error.as_str()), (1, ""));
    worker.stop(StopMode::Kill).await;
}
