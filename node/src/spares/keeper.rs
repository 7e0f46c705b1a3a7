//! Keeps as many spares ready as are wanted.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::join_all, stream::FuturesUnordered};
use roost_cluster::lease_deadline::Standing;
use roost_engine::{BrowserSetup, EngineError};
use roost_model::causes;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{Spare, Spares};
use crate::{
    blocking::run_blocking,
    env::NodeEnv,
    launch_queue::LaunchQueue,
    session::{Profiles, SessionError, SpareDirs},
};

/// Nothing has started for so long before a spare is: in a failover the processors are the tenants'.
pub(super) const QUIET: Duration = Duration::from_secs(2);
/// Between two looks at whether they answer.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A spare that is older is replaced, so that none is of a program that has been replaced since, or grows unseen.
pub(super) const OLD: Duration = Duration::from_secs(3600);
/// After one that did not start, or did not last until the first look; twice as long after each further one.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_AT_MOST: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
enum SpareError {
    #[error("there is no place for a spare browser")]
    Session(#[from] SessionError),
    #[error("a spare browser could not be started")]
    Engine(#[from] EngineError),
}

impl Spares {
    /// Runs for as long as one life of the node; [`Spares::end`] ends what it leaves.
    pub async fn keep(self, env: Arc<NodeEnv>, mut standing: watch::Receiver<Standing>) {
        if self.shared.wanted == 0 {
            let profiles = env.profiles.clone();
            if let Err(error) = run_blocking(move || profiles.discard_spares()).await {
                tracing::warn!(error = %causes(&error), "what spare browsers have left is not removed");
            }
            return;
        }
        let (mut looked, mut failures) = (Instant::now(), 0);
        loop {
            while self.is_due() {
                until_quiet(&env.launches).await;
                // On a lease that may run out nothing is begun; an error is the end of this life.
                if standing.wait_for(|standing| *standing == Standing::Good).await.is_err() {
                    return;
                }
                self.end_the_old().await;
                match self.start_one(&env).await {
                    Ok(()) => {}
                    Err(error) => {
                        failures += 1;
                        let pause = back_off(failures);
                        tracing::warn!(error = %causes(&error), ?pause, "there is no spare browser");
                        sleep(pause).await;
                    }
                }
            }
            tokio::select! {
                () = self.shared.taken.notified() => {}
                () = self.any_ended() => {
                    failures += 1;
                    let ended = self.drop_the_ended();
                    let pause = back_off(failures);
                    tracing::warn!(ended, ?pause, "a spare browser has ended by itself");
                    sleep(pause).await;
                }
                () = sleep_until(looked + LOOK_EVERY) => {
                    looked = Instant::now();
                    if self.end_the_deaf().await == 0 {
                        failures = 0;
                    }
                }
            }
        }
    }

    /// Whether one is missing, or to be replaced.
    fn is_due(&self) -> bool {
        let state = self.shared.state.lock();
        state.ready.len() < self.shared.wanted || state.ready.iter().any(Spare::is_old)
    }

    /// Gives it up as soon as somebody has to wait for a turn.
    async fn start_one(&self, env: &NodeEnv) -> Result<(), SpareError> {
        if self.shared.state.lock().ready.len() >= self.shared.wanted {
            return Ok(());
        }
        let Some(_permit) = env.launches.take_if_free() else { return Ok(()) };
        let dir = self.dirs(&env.profiles).await?.make()?;
        let setup = BrowserSetup::default();
        let browser_dir = dir.browser_dir();
        let started = tokio::select! {
            biased;
            () = env.launches.until_short() => return Ok(()),
            started = env.engine.warm(None, &browser_dir, &setup) => started?,
        };
        let meter = started.pid().map(|pid| self.shared.resources.meter_spare(pid));
        let mut state = self.shared.state.lock();
        state.started += 1;
        let (id, since) = (state.started, Instant::now());
        state.ready.push(Spare { id, setup, browser: started, dir, since, _meter: meter });
        Ok(())
    }

    async fn dirs(&self, profiles: &Profiles) -> Result<&SpareDirs, SessionError> {
        let profiles = profiles.clone();
        let taken = || async move { run_blocking(move || profiles.spare_dirs()).await };
        self.shared.dirs.get_or_try_init(taken).await
    }

    /// Never resolves while there is none.
    async fn any_ended(&self) {
        let mut ends: FuturesUnordered<_> =
            self.shared.state.lock().ready.iter().map(|spare| spare.browser.ended()).collect();
        if ends.next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    fn drop_the_ended(&self) -> usize {
        let mut state = self.shared.state.lock();
        let before = state.ready.len();
        state.ready.retain(|spare| !spare.has_ended());
        before - state.ready.len()
    }

    async fn end_the_old(&self) {
        let old = self.take_out(Spare::is_old);
        for spare in old {
            spare.kill().await;
        }
    }

    /// How many there were.
    async fn end_the_deaf(&self) -> usize {
        let checks: Vec<_> = {
            let state = self.shared.state.lock();
            let check = |spare: &Spare| {
                let id = spare.id;
                spare.browser.check().map(move |check| check.is_err().then_some(id))
            };
            state.ready.iter().map(check).collect()
        };
        let deaf: Vec<u64> = join_all(checks).await.into_iter().flatten().collect();
        // One that was taken meanwhile is somebody's.
        let deaf = self.take_out(|spare| deaf.contains(&spare.id));
        let count = deaf.len();
        for spare in deaf {
            tracing::warn!("a spare browser does not answer and is replaced");
            spare.kill().await;
        }
        count
    }

    fn take_out(&self, which: impl Fn(&Spare) -> bool) -> Vec<Spare> {
        self.shared.state.lock().ready.extract_if(.., |spare| which(spare)).collect()
    }
}

impl Spare {
    fn is_old(&self) -> bool {
        self.since.elapsed() >= OLD
    }
}

async fn until_quiet(launches: &LaunchQueue) {
    loop {
        let before = launches.starts();
        sleep(QUIET).await;
        if !before.any_until(&launches.starts()) {
            return;
        }
    }
}

fn back_off(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (BACK_OFF * 2_u32.pow(doublings)).min(BACK_OFF_AT_MOST)
}
