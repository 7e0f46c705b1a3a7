//! Doing ahead what can be done ahead for a tenant that is about to come here from another node: its newest snapshot is
//! fetched and a browser started that opens nothing. Nothing is owned by it (I1); whether the browser will ever be used is
//! the controller's to say.
//!
//! ```text
//!   profile taken --> snapshot fetched --> browser warm --+--> ready --+--> handed over to the run
//!        |                 |                   |                       |
//!        +-----------------+--- fails, 10 s ---+------> failed --------+--> given up: browser dead, profile as before
//! ```
//!
//! One that has failed is said to have, with the reason: the tenant stays where it runs, unless it may not.

use std::{pin::pin, sync::Arc, time::Duration};

use roost_cluster::lease_deadline::Standing;
use roost_engine::EngineError;
use roost_model::{
    causes,
    ids::{Generation, TenantId},
};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, info_span, warn};

use super::{
    env::IncarnationEnv,
    tenant_runtime::{Disposition, PrepareRequest, Readiness},
};
use crate::{
    launch_queue::LaunchPriority,
    session::{FetchedFiles, SessionError, SnapshotRef},
    worker::{WarmStandby, browser_setup},
};

/// So many characters of a reason are told.
const REASON_CHARS: usize = 200;

#[derive(Debug, thiserror::Error)]
enum PreparationError {
    #[error("the spec could not be read")]
    Store(#[from] roost_store::StoreError),
    #[error("the profile could not be made ready")]
    Session(#[from] SessionError),
    #[error("the browser could not be started")]
    Engine(#[from] EngineError),
    #[error("it was stopped")]
    Stopped,
}

pub(super) struct Preparation {
    pub(super) env: Arc<IncarnationEnv>,
    pub(super) request: PrepareRequest<WarmStandby>,
}

impl Preparation {
    pub(super) async fn run(self) {
        let Self { env, request: PrepareRequest { tenant, generation, readiness, disposition } } = self;
        let within = env.host.timing.prepare_within;
        info!(%tenant, %generation, "preparing to take a tenant over");
        let stop = CancellationToken::new();
        let work = async { logged(&env, &tenant, warm_up(&env, &tenant, generation, &stop).await) };
        let prepared = work_and_hand_over(work, within, &stop, &readiness, disposition);
        if let Some(unwanted) = prepared.instrument(info_span!("preparation", %tenant)).await {
            unwanted.kill().await;
        }
    }
}

/// Does the work and hands over what comes of it, when that is asked for. What is not wanted is returned, to be ended.
///
/// `within` is for all of it: the tenant goes on running meanwhile, but whoever waits for the move should not wait longer.
async fn work_and_hand_over<W>(
    work: impl Future<Output = Result<Option<W>, String>>,
    within: Duration,
    stop: &CancellationToken,
    readiness: &watch::Sender<Readiness>,
    mut disposition: oneshot::Receiver<Disposition<W>>,
) -> Option<W> {
    // Never dropped half done: files may be on their way to the disk, or a browser on its way up.
    let mut work = pin!(work);
    let mut early = None;
    let warmed = tokio::select! {
        warmed = &mut work => {
            let known = match &warmed {
                Ok(_) => Readiness::Ready,
                Err(reason) => Readiness::Failed { reason: reason.clone() },
            };
            readiness.send_replace(known);
            warmed.ok().flatten()
        }
        known = &mut disposition => {
            early = Some(known);
            stop.cancel();
            work.await.ok().flatten()
        }
        () = tokio::time::sleep(within) => {
            warn!("preparing takes too long; the move does not wait for it");
            readiness.send_replace(Readiness::Failed { reason: format!("not ready within {within:?}") });
            stop.cancel();
            work.await.ok().flatten()
        }
    };
    let disposition = match early {
        Some(disposition) => disposition,
        None => disposition.await,
    };
    match disposition {
        Ok(Disposition::HandOver(to)) => to.send(warmed).err().flatten(),
        Ok(Disposition::GiveUp) | Err(_) => warmed,
    }
}

fn logged(
    env: &IncarnationEnv,
    tenant: &TenantId,
    warmed: Result<Option<WarmStandby>, PreparationError>,
) -> Result<Option<WarmStandby>, String> {
    let error = match warmed {
        Ok(warm) => {
            info!("prepared");
            return Ok(warm);
        }
        Err(error) => error,
    };
    let reason = causes(&error).to_string();
    if let PreparationError::Stopped = error {
        // Whoever stopped it knows why.
        debug!("the preparation was stopped");
    } else {
        env.host.node.symptoms.launch_failed(tenant);
        warn!(reason, "nothing could be prepared; the tenant stays where it is, unless it may not");
    }
    Err(reason.chars().take(REASON_CHARS).collect())
}

/// A browser on an empty directory, a spare one if there is one, with the newest snapshot beside it; none for a tenant whose codes
/// nobody scans, which runs none. Ends at the next step once `stop` is cancelled.
async fn warm_up(
    env: &IncarnationEnv,
    tenant: &TenantId,
    generation: Generation,
    stop: &CancellationToken,
) -> Result<Option<WarmStandby>, PreparationError> {
    let node = &env.host.node;
    let spec = unless_stopped(stop, node.store.worker_spec(tenant)).await??;
    if spec.scan_paused {
        return Ok(None);
    }
    let profile = node.profiles.of(tenant, spec.tenant.uid).lock()?;
    let (mut fetched, setup) = (FetchedFiles::default(), browser_setup(&spec));
    let browser = async {
        unless_stopped(stop, node.engine.check_way(&setup)).await??;
        let spare = node.spares.take(&setup);
        // The directory of a spare comes when the files are there, whose place would go with it.
        let dir = if spare.is_none() { profile.make_standby_dir()? } else { profile.browser_dir() };
        if let Some(pointer) = spec.snapshot {
            let newest = SnapshotRef::from(pointer);
            let files = profile.prefetch(&node.snapshots, &newest, &mut fetched).await?;
            debug!(files, "the newest snapshot is here");
        }
        if let Some(spare) = spare {
            return Ok(spare.become_profile(&profile).await?);
        }
        // Counts until the browser is there.
        let _permit = unless_stopped(stop, node.launches.acquire(LaunchPriority::AHEAD)).await?;
        let mut standing = env.standing.clone();
        unless_stopped(stop, standing.wait_for(|standing| *standing == Standing::Good))
            .await?
            .map(drop)
            .map_err(|_| PreparationError::Stopped)?;
        Ok(node.engine.warm(Some(tenant), &dir, &setup).await?)
    };
    match browser.await {
        Ok(browser) => Ok(Some(WarmStandby::new(generation, profile, fetched, setup, browser))),
        Err(error) => {
            profile.discard_unused()?;
            Err(error)
        }
    }
}

async fn unless_stopped<T>(
    stop: &CancellationToken,
    step: impl Future<Output = T>,
) -> Result<T, PreparationError> {
    stop.run_until_cancelled(step).await.ok_or(PreparationError::Stopped)
}

#[cfg(test)]
mod tests {
    use tokio::{task::JoinHandle, time::Instant};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    struct Bench {
        stop: CancellationToken,
        readiness: watch::Receiver<Readiness>,
        disposition: oneshot::Sender<Disposition<&'static str>>,
        leftover: JoinHandle<Option<&'static str>>,
    }

    /// Work that takes so long and ends at once, with nothing, when it is stopped.
    fn begin(takes: Duration) -> Bench {
        begin_with(takes, Ok("a browser"))
    }

    fn begin_with(takes: Duration, comes_to: Result<&'static str, String>) -> Bench {
        let (stop, (readiness_tx, readiness), (disposition, told)) =
            (CancellationToken::new(), watch::channel(Readiness::Pending), oneshot::channel());
        let stopped = stop.clone();
        let leftover = tokio::spawn(async move {
            let work = async {
                let worked = stopped.run_until_cancelled(tokio::time::sleep(takes)).await;
                worked.map_or(Err("stopped".to_owned()), |()| comes_to.map(Some))
            };
            work_and_hand_over(work, WITHIN, &stopped, &readiness_tx, told).await
        });
        Bench { stop, readiness, disposition, leftover }
    }

    impl Bench {
        /// After how long it is known, and what.
        async fn known(&mut self) -> (Duration, Readiness) {
            let begun = Instant::now();
            let readiness = self.readiness.wait_for(|readiness| *readiness != Readiness::Pending).await;
            let readiness = readiness.unwrap().clone();
            (begun.elapsed(), readiness)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_waits_for_its_hand_over() {
        let mut bench = begin(Duration::from_secs(3));
        assert_eq!(bench.known().await, (Duration::from_secs(3), Readiness::Ready));
        tokio::time::sleep(WITHIN * 10).await;
        let (to, handed) = oneshot::channel();
        bench.disposition.send(Disposition::HandOver(to)).ok().unwrap();
        assert_eq!(handed.await.unwrap(), Some("a browser"));
        assert_eq!(bench.leftover.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_has_failed_and_a_tenant_that_must_come_all_the_same_starts_cold() {
        let mut bench = begin(WITHIN * 100);
        let reason = "not ready within 10s".to_owned();
        assert_eq!(bench.known().await, (WITHIN, Readiness::Failed { reason }));
        let (to, handed) = oneshot::channel();
        bench.disposition.send(Disposition::HandOver(to)).ok().unwrap();
        assert_eq!(handed.await.unwrap(), None);
        assert!(bench.stop.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_failed_says_so_and_is_never_ready() {
        let mut bench = begin_with(Duration::from_secs(1), Err("no browser".to_owned()));
        let failed = Readiness::Failed { reason: "no browser".to_owned() };
        assert_eq!(bench.known().await, (Duration::from_secs(1), failed.clone()));
        tokio::time::sleep(WITHIN * 10).await;
        assert_eq!(*bench.readiness.borrow(), failed);
        bench.disposition.send(Disposition::GiveUp).ok().unwrap();
        assert_eq!(bench.leftover.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_that_comes_early_stops_the_work() {
        let begun = Instant::now();
        let bench = begin(WITHIN);
        let (to, handed) = oneshot::channel();
        bench.disposition.send(Disposition::HandOver(to)).ok().unwrap();
        assert_eq!(handed.await.unwrap(), None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_or_not_fetched_is_left_to_be_ended() {
        let mut given_up = begin(Duration::ZERO);
        given_up.known().await;
        given_up.disposition.send(Disposition::GiveUp).ok().unwrap();
        assert_eq!(given_up.leftover.await.unwrap(), Some("a browser"));

        let mut forgotten = begin(Duration::ZERO);
        forgotten.known().await;
        drop(forgotten.disposition);
        assert_eq!(forgotten.leftover.await.unwrap(), Some("a browser"));

        let mut not_fetched = begin(Duration::ZERO);
        not_fetched.known().await;
        let (to, handed) = oneshot::channel();
        drop(handed);
        not_fetched.disposition.send(Disposition::HandOver(to)).ok().unwrap();
        assert_eq!(not_fetched.leftover.await.unwrap(), Some("a browser"));
    }
}
