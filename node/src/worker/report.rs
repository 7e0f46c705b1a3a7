//! What the worker tells Postgres about itself. Only the newest counts: while Postgres is away reports are folded into
//! one, which is written when it is back. A task of its own, so that the worker never waits for it.

use std::{mem, sync::Arc, time::Duration};

use parking_lot::Mutex;
use roost_cluster::ledger::EventKind;
use roost_engine::LinkedAccount;
use roost_model::causes;
use roost_store::{Fence, QrCode, StatusReport, Store, StoreError};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, error, info, warn};

use crate::retry::UNAVAILABLE;

/// For the history.
const SCAN_PAUSED: &str = "nobody has scanned its QR codes: no more are shown and its browser is closed, until `roost session resume` or a restart";

/// Writes reports in the background, in order.
pub(super) struct Reporter {
    pending: Arc<Mutex<Pending>>,
    /// Counts what was told and what of it is written.
    told: watch::Sender<u64>,
    written: watch::Receiver<u64>,
    task: AbortOnDropHandle<StoreError>,
}

/// What is still to be written: the report first, then the code, or that there are no more, then whose account is
/// linked and a line for the history.
#[derive(Debug, Default, PartialEq)]
struct Pending {
    report: Option<StatusReport>,
    qr: Option<QrCode>,
    /// That no more codes are shown, as of this order to restart.
    scan_pause: Option<i64>,
    account: Option<LinkedAccount>,
    event: Option<(EventKind, String)>,
}

impl Pending {
    /// Folds a newer report in. It says something of the session, so a code that was to be shown is none any more.
    fn tell(&mut self, newer: StatusReport) {
        if newer.session_status.is_some() {
            self.qr = None;
        }
        self.report = Some(match self.report.take() {
            Some(older) => fold(older, newer),
            None => newer,
        });
    }

    /// A code replaces an older one and what was to be said of session and tenant, for showing it says that.
    fn show(&mut self, qr: QrCode) {
        if let Some(report) = &mut self.report {
            report.session_status = None;
            report.tenant_status = None;
        }
        self.qr = Some(qr);
        (self.scan_pause, self.account) = (None, None);
    }

    fn pause_scan(&mut self, restart_seq: i64) {
        self.qr = None;
        self.scan_pause = Some(restart_seq);
    }

    /// Puts back what could not be written, under what has been told since.
    fn put_back(&mut self, older: Pending) {
        let newer = mem::replace(self, older);
        if let Some(report) = newer.report {
            self.tell(report);
        }
        if let Some(qr) = newer.qr {
            self.show(qr);
        }
        if let Some(restart_seq) = newer.scan_pause {
            self.pause_scan(restart_seq);
        }
        self.account = newer.account.or(self.account.take());
        self.event = newer.event.or(self.event.take());
    }
}

fn fold(older: StatusReport, newer: StatusReport) -> StatusReport {
    StatusReport {
        tenant_status: newer.tenant_status.or(older.tenant_status),
        session_status: newer.session_status.or(older.session_status),
        worker_status: newer.worker_status.or(older.worker_status),
        last_error: newer.last_error.or(older.last_error),
        // It is of the condition.
        evident_for: if newer.condition.is_some() { newer.evident_for } else { older.evident_for },
        condition: newer.condition.or(older.condition),
        restarted: newer.restarted || older.restarted,
    }
}

impl Reporter {
    pub fn spawn(store: Store, fence: Fence) -> Self {
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (told, heard) = watch::channel(0);
        let (done, written) = watch::channel(0);
        let task = tokio::spawn(write_all(store, fence, pending.clone(), heard, done).in_current_span());
        Self { pending, told, written, task: AbortOnDropHandle::new(task) }
    }

    pub fn tell(&self, report: StatusReport) {
        self.pending.lock().tell(report);
        self.told.send_modify(|count| *count += 1);
    }

    pub fn show(&self, qr: QrCode) {
        self.pending.lock().show(qr);
        self.told.send_modify(|count| *count += 1);
    }

    /// After the last code: no more are shown until an order to restart that is later than this one.
    pub fn pause_scan(&self, restart_seq: i64) {
        self.pending.lock().pause_scan(restart_seq);
        self.told.send_modify(|count| *count += 1);
    }

    /// Whose account is linked.
    pub fn account(&self, account: LinkedAccount) {
        self.pending.lock().account = Some(account);
        self.told.send_modify(|count| *count += 1);
    }

    /// For the history. Of two that wait the newer one is written.
    pub fn record(&self, kind: EventKind, text: String) {
        self.pending.lock().event = Some((kind, text));
        self.told.send_modify(|count| *count += 1);
    }

    /// Waits until all that was told is written, at most `within`.
    pub async fn flush(&mut self, within: Duration) {
        let told = *self.told.borrow();
        if timeout(within, self.written.wait_for(|written| *written >= told)).await.is_err() {
            warn!("the last report was not written in time");
        }
    }

    /// Waits until a report was refused because the tenant has another owner. Not to be called again after that.
    pub async fn fenced(&mut self) {
        match (&mut self.task).await {
            Ok(error) => info!(error = %causes(&error), "a report was refused"),
            Err(error) => {
                error!(error = %causes(&error), "the reporter's task ended; a fault of this program: report it")
            }
        }
    }
}

async fn write_all(
    store: Store,
    fence: Fence,
    pending: Arc<Mutex<Pending>>,
    mut heard: watch::Receiver<u64>,
    done: watch::Sender<u64>,
) -> StoreError {
    let mut failures = 0;
    loop {
        if failures == 0 && heard.changed().await.is_err() {
            // The worker is gone and drops this task.
            std::future::pending::<()>().await;
        }
        let upto = *heard.borrow_and_update();
        let mut job = mem::take(&mut *pending.lock());
        match write(&store, &fence, &mut job).await {
            Ok(()) => {
                failures = 0;
                done.send_replace(upto);
            }
            Err(error @ StoreError::Fenced { .. }) => return error,
            Err(error @ StoreError::Unavailable { .. }) => {
                if failures == 0 {
                    warn!(error = %causes(&error), "a report waits for postgres");
                }
                failures += 1;
                pending.lock().put_back(job);
                sleep(UNAVAILABLE.exact(failures)).await;
            }
            Err(error) => {
                error!(error = %causes(&error), "a report cannot be written and is dropped: see to what postgres says");
                failures = 0;
                done.send_replace(upto);
            }
        }
    }
}

/// Writes what `job` holds and takes out what is written.
async fn write(store: &Store, fence: &Fence, job: &mut Pending) -> Result<(), StoreError> {
    if let Some(report) = &job.report {
        store.report(fence, report).await?;
        job.report = None;
    }
    if let Some(qr) = &job.qr {
        store.set_qr(fence, Some(qr.clone())).await?;
        job.qr = None;
    }
    if let Some(restart_seq) = job.scan_pause {
        if !store.pause_scan(fence, restart_seq, SCAN_PAUSED).await? {
            info!("codes are to be shown again before it was noted that they are not");
        }
        job.scan_pause = None;
    }
    if let Some(account) = &job.account {
        let LinkedAccount { number, push_name, platform } = account;
        store.record_account(fence, number, push_name, platform).await?;
        job.account = None;
    }
    if let Some((kind, text)) = &job.event {
        store.record_event(fence, *kind, text).await?;
        job.event = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use roost_store::{ConditionKind, SessionStatus, TenantStatus, WorkerStatus};
    use time::OffsetDateTime;

    use super::*;

    fn code(text: &str) -> QrCode {
        QrCode { text: text.into(), data_uri: String::new(), expires_at: OffsetDateTime::UNIX_EPOCH }
    }

    fn connected() -> StatusReport {
        StatusReport {
            tenant_status: Some(TenantStatus::Active),
            session_status: Some(SessionStatus::Connected),
            ..StatusReport::default()
        }
    }

    #[test]
    fn the_newest_of_each_fact_counts() {
        let mut pending = Pending::default();
        let restarted =
            StatusReport { restarted: true, last_error: Some("deaf".into()), ..StatusReport::default() };
        pending.tell(StatusReport { worker_status: Some(WorkerStatus::Running), ..restarted });
        pending.tell(StatusReport { last_error: Some(String::new()), ..connected() });
        let report = pending.report.unwrap();
        assert!(report.restarted);
        assert_eq!(report.last_error.as_deref(), Some(""));
        assert_eq!(report.worker_status, Some(WorkerStatus::Running));
        assert_eq!(report.session_status, Some(SessionStatus::Connected));
    }

    #[test]
    fn what_is_waited_for_stays_until_something_newer_is_told_of_it() {
        let waits = |kind| StatusReport { condition: Some((kind, String::new())), ..StatusReport::default() };
        let told = |pending: &Pending| pending.report.clone().unwrap().condition.unwrap().0;
        let mut pending = Pending::default();
        pending.tell(waits(ConditionKind::Healing));
        pending.tell(connected());
        assert_eq!(told(&pending), ConditionKind::Healing, "a report of something else");
        pending.tell(waits(ConditionKind::None));
        assert_eq!(told(&pending), ConditionKind::None);
    }

    #[test]
    fn a_proof_that_waits_to_be_told_is_none_any_more_when_the_page_has_failed_since() {
        let proved = StatusReport {
            condition: Some((ConditionKind::Answering, String::new())),
            evident_for: Some(Duration::from_secs(21)),
            ..StatusReport::default()
        };
        let mut pending = Pending::default();
        pending.tell(proved.clone());
        pending.tell(connected());
        assert_eq!(pending.report.as_ref().unwrap().evident_for, proved.evident_for, "of something else");
        let condition = Some((ConditionKind::Healing, "deaf".to_owned()));
        pending.tell(StatusReport { condition, ..StatusReport::default() });
        assert_eq!(pending.report.unwrap().evident_for, None);
    }

    #[test]
    fn a_code_and_a_connection_never_wait_together() {
        let mut pending = Pending::default();
        pending.show(code("a"));
        pending.tell(connected());
        assert_eq!(pending.qr, None);
        pending.show(code("b"));
        assert_eq!(pending.report.as_ref().unwrap().session_status, None);
        assert_eq!(pending.report.as_ref().unwrap().tenant_status, None);
    }

    #[test]
    fn a_code_and_that_there_are_no_more_never_wait_together() {
        let mut pending = Pending::default();
        pending.show(code("a"));
        pending.pause_scan(3);
        assert_eq!((&pending.qr, pending.scan_pause), (&None, Some(3)));
        let mut older = Pending::default();
        older.show(code("b"));
        pending.put_back(older);
        assert_eq!((&pending.qr, pending.scan_pause), (&None, Some(3)), "the pause is the newer one");
        pending.show(code("c"));
        assert_eq!(pending.scan_pause, None);
    }

    #[test]
    fn what_could_not_be_written_lies_under_what_was_told_since() {
        let mut pending = Pending::default();
        pending.tell(connected());
        let mut older = Pending::default();
        older.show(code("a"));
        older.tell(StatusReport { restarted: true, ..StatusReport::default() });
        older.event = Some((EventKind::RestartedOnSchedule, "at four".into()));
        pending.put_back(older);
        assert!(pending.event.is_some());
        assert_eq!(pending.qr, None);
        assert!(pending.report.as_ref().unwrap().restarted);
        assert_eq!(pending.report.unwrap().session_status, Some(SessionStatus::Connected));
    }
}
