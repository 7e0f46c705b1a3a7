//! Of which workers something was logged that is not kept beyond this machine yet, and when that is due: soon when the worker has
//! warned or is gone, else a minute after the first such line. Of a silent worker nothing is here.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_model::ids::TenantId;
use tokio::sync::Notify;
use tracing::Level;

use super::line::LogLine;

/// After a line without an alarm.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// After a warning, so that those that come with it are saved with it.
const WARNED: Duration = Duration::from_secs(2);
/// Between two saves of a worker that warns all the time.
const WARNED_EVERY: Duration = Duration::from_secs(10);

/// A tenant and its owner's generation.
pub(super) type WorkerKey = (TenantId, i64);

#[derive(Debug, Default)]
pub(super) struct Unsaved {
    workers: Mutex<HashMap<WorkerKey, Entry>>,
    /// Something is due earlier than before.
    pub(super) sooner: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    /// Of what is not saved.
    due: Option<Instant>,
    saved_at: Option<Instant>,
}

impl Unsaved {
    pub(super) fn written(&self, tenant: &TenantId, lines: &[Arc<LogLine>]) {
        // What names no generation goes with what does.
        let Some(generation) = lines.iter().map(|line| line.generation).max().filter(|known| *known > 0)
        else {
            return;
        };
        let warned = lines.iter().any(|line| line.level <= Level::WARN);
        self.note((tenant.clone(), generation), warned, Instant::now());
    }

    fn note(&self, worker: WorkerKey, warned: bool, now: Instant) {
        let mut workers = self.workers.lock();
        let entry = workers.entry(worker).or_default();
        let due = match (warned, entry.saved_at) {
            (false, _) => now + SAVE_EVERY,
            (true, None) => now + WARNED,
            (true, Some(saved_at)) => (now + WARNED).max(saved_at + WARNED_EVERY),
        };
        if entry.due.is_none_or(|before| due < before) {
            entry.due = Some(due);
            self.sooner.notify_one();
        }
    }

    pub(super) fn ended(&self, tenant: &TenantId, generation: i64) {
        if let Some(entry) = self.workers.lock().get_mut(&(tenant.clone(), generation)) {
            entry.due = entry.due.map(|_| Instant::now());
            self.sooner.notify_one();
        }
    }

    /// Everything, now.
    pub(super) fn hurry(&self) {
        for entry in self.workers.lock().values_mut() {
            entry.due = entry.due.map(|_| Instant::now());
        }
        self.sooner.notify_one();
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.workers.lock().retain(|(of, _), _| of != tenant);
    }

    /// Those that are due, at most so many, which count as saved from now on.
    pub(super) fn take_due(&self, now: Instant, most: usize) -> Vec<WorkerKey> {
        let mut workers = self.workers.lock();
        // Of a silent one nothing is remembered but that it was just saved.
        workers.retain(|_, entry| {
            entry.due.is_some() || entry.saved_at.is_some_and(|at| now.duration_since(at) < WARNED_EVERY)
        });
        let due = workers.iter_mut().filter(|(_, entry)| entry.due.is_some_and(|due| due <= now));
        let taken = due.take(most).map(|(worker, entry)| {
            *entry = Entry { due: None, saved_at: Some(now) };
            worker.clone()
        });
        taken.collect()
    }

    /// What was taken could not be saved: later.
    pub(super) fn put_back(&self, workers: Vec<WorkerKey>, now: Instant) {
        for worker in workers {
            self.note(worker, false, now);
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.workers.lock().values().filter_map(|entry| entry.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerKey {
        (TenantId::new(name).unwrap(), 3)
    }

    #[test]
    fn a_worker_is_saved_once_a_minute_while_it_logs_sooner_when_it_warns_and_at_once_when_it_ends() {
        let (unsaved, now) = (Unsaved::default(), Instant::now());
        unsaved.note(worker("calm"), false, now);
        unsaved.note(worker("calm"), false, now + SAVE_EVERY / 2);
        unsaved.note(worker("loud"), true, now);
        assert_eq!(unsaved.take_due(now + WARNED, 9), [worker("loud")]);
        assert_eq!(unsaved.take_due(now + SAVE_EVERY, 9), [worker("calm")]);
        assert!(unsaved.take_due(now + 9 * SAVE_EVERY, 9).is_empty() && unsaved.next_due().is_none());
        unsaved.note(worker("over"), false, now);
        unsaved.ended(&worker("over").0, 3);
        assert_eq!(unsaved.take_due(Instant::now(), 9), [worker("over")]);
        unsaved.ended(&worker("silent").0, 3);
        assert!(unsaved.next_due().is_none());
    }

    #[test]
    fn one_that_warns_all_the_time_is_saved_every_ten_seconds_and_a_failed_save_is_tried_again() {
        let (unsaved, now) = (Unsaved::default(), Instant::now());
        let mut saves = 0;
        for tenth in 0..300 {
            let now = now + Duration::from_millis(100 * tenth);
            unsaved.note(worker("loud"), true, now);
            saves += unsaved.take_due(now, 9).len();
        }
        assert_eq!(saves, 3);
        unsaved.put_back(vec![worker("loud")], now);
        assert_eq!(unsaved.take_due(now + SAVE_EVERY, 9), [worker("loud")]);
    }

    #[test]
    fn nothing_is_remembered_of_those_who_are_silent() {
        let (unsaved, now) = (Unsaved::default(), Instant::now());
        for number in 0..100 {
            unsaved.note(worker(&format!("t{number}")), false, now);
        }
        assert_eq!(unsaved.take_due(now + SAVE_EVERY, 60).len(), 60);
        assert_eq!(unsaved.take_due(now + SAVE_EVERY, 60).len(), 40);
        unsaved.take_due(now + 2 * SAVE_EVERY, 60);
        assert!(unsaved.workers.lock().is_empty());
    }
}
