//! The last save of a worker that is asked to stop. The tenant's next owner waits for it, so it is waited for as long as it gets on,
//! within what a stop may take ([`WorkerTiming::last_save_within`]), and it uses what a save that was under way has uploaded.
//! What is given up is told: in the log, and in the tenant's history.

use std::time::Duration;

use parking_lot::Mutex;
use roost_engine::LocalStorage;
use roost_model::causes;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tracing::{info, warn};

use super::{
    session_store::{SessionStore, SessionStoreError},
    timing::WorkerTiming,
};

/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(200);

impl SessionStore {
    /// Saves the session of a browser that has closed; `clean` when it did so by itself. What is not saved stays in the profile of
    /// this node, and an older snapshot is the newest. Older snapshots are left to the next owner, who is waiting. `false` when it is not
    /// saved.
    pub async fn save_stopped(
        &self,
        link: u64,
        clean: bool,
        local_storage: Option<LocalStorage>,
        timing: &WorkerTiming,
    ) -> bool {
        let mut end = SaveEnd { is_told: false };
        let (mut progress, trouble) = (self.progress(), Trouble::default());
        let lost = tokio::select! {
            biased;
            saved = self.save_last(link, clean, local_storage, &trouble) => saved.err().map(|error| causes(&error).to_string()),
            reason = given_up(&mut progress, timing) => Some(trouble.beside(reason)),
        };
        end.is_told = true;
        let is_saved = lost.is_none();
        match lost {
            None => info!(clean, "the session is saved"),
            Some(reason) => {
                warn!(reason, "the last state of the session was not saved");
                let left = "another node goes on from the snapshot before";
                let text = format!("the last state of the session was not saved ({reason}): {left}");
                self.tell_unsaved(&text).await;
            }
        }
        is_saved
    }

    async fn save_last(
        &self,
        link: u64,
        clean: bool,
        local_storage: Option<LocalStorage>,
        trouble: &Trouble,
    ) -> Result<(), SessionStoreError> {
        trouble.tried_again(|| self.try_to_take_stopped(link, clean, local_storage.clone())).await?;
        // Not taken again: what is in the object store waits for Postgres alone, and while that is away nothing gets on.
        trouble.tried_again(|| self.try_to_record_stopped()).await
    }
}

/// Why something had to be tried again the last time.
#[derive(Default)]
struct Trouble(Mutex<Option<String>>);

impl Trouble {
    async fn tried_again<F>(&self, mut step: impl FnMut() -> F) -> Result<(), SessionStoreError>
    where
        F: Future<Output = Result<(), SessionStoreError>>,
    {
        loop {
            match step().await {
                Err(error) if error.may_pass() => {
                    let error = causes(&error).to_string();
                    if self.0.lock().replace(error.clone()).is_none() {
                        warn!(error, "the last state of the session is saved again");
                    }
                    sleep(TRY_AGAIN).await;
                }
                done => return done,
            }
        }
    }

    fn beside(self, reason: String) -> String {
        match self.0.into_inner() {
            Some(trouble) => format!("{reason}: {trouble}"),
            None => reason,
        }
    }
}

/// When a save is given up, and why.
async fn given_up(progress: &mut watch::Receiver<u64>, timing: &WorkerTiming) -> String {
    let WorkerTiming { last_save_within, last_save_stalls, .. } = timing;
    let by = Instant::now() + *last_save_within;
    loop {
        let stalled_by = Instant::now() + *last_save_stalls;
        let moved = timeout_at(stalled_by.min(by), progress.changed()).await;
        if Instant::now() >= by {
            return format!("it is not done within {last_save_within:?}");
        }
        if moved.is_err() {
            return format!("nothing got through for {last_save_stalls:?}");
        }
    }
}

/// Whoever kills the browser drops its last save: the tenant may be another node's already, so the log alone says what is lost.
struct SaveEnd {
    is_told: bool,
}

impl Drop for SaveEnd {
    fn drop(&mut self) {
        if !self.is_told {
            warn!("the last state of the session was not saved: the stop was cut short");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_save_is_waited_for_while_it_gets_on_but_not_for_ever() {
        let timing = WorkerTiming::default();
        let (calls, mut progress) = watch::channel(0);
        let since = Instant::now();
        let stalled = given_up(&mut progress, &timing).await;
        assert_eq!(since.elapsed(), timing.last_save_stalls);
        assert!(stalled.contains("nothing got through"), "{stalled}");

        let since = Instant::now();
        let calling = async {
            loop {
                sleep(timing.last_save_stalls - TRY_AGAIN).await;
                calls.send_modify(|calls| *calls += 1);
            }
        };
        let late = tokio::select! {
            late = given_up(&mut progress, &timing) => late,
            () = calling => unreachable!("it goes on for ever"),
        };
        assert_eq!(since.elapsed(), timing.last_save_within);
        assert!(late.contains("not done within 30s"), "{late}");
    }
}
