//! Doing ahead what can be done ahead for a tenant that is about to come here from another node: its newest snapshot is
//! fetched and a browser started that opens nothing. Nothing is owned by it (I1); whether the browser will ever be used is
//! the controller's to say.
//!
//! ```text
//!   profile taken --> snapshot fetched --> browser warm --+--> ready --+--> handed over to the run
//!        |                 |                   |          |            |
//!        +-----------------+--- fails, 10 s ---+--> ready, but cold    +--> given up: browser dead, profile as before
//! ```

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
    tenant_runtime::{Disposition, PrepareRequest},
};
use crate::{
    launch_queue::LaunchPriority,
    session::{FetchedFiles, SessionError, SnapshotRef},
    worker::WarmStandby,
};

/// For all of it: the tenant goes on running meanwhile, but whoever waits for the move should not wait longer.
const WITHIN: Duration = Duration::from_secs(10);

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
        let Self { env, request: PrepareRequest { tenant, generation, ready, disposition } } = self;
        info!(%tenant, %generation, "preparing to take a tenant over");
        let stop = CancellationToken::new();
        let work = async { logged(&env, &tenant, warm_up(&env, &tenant, generation, &stop).await) };
        let prepared = work_and_hand_over(work, &stop, &ready, disposition);
        if let Some(unwanted) = prepared.instrument(info_span!("preparation", %tenant)).await {
            unwanted.kill().await;
        }
    }
}

/// Does the work and hands over what comes of it, when that is asked for. What is not wanted is returned, to be ended.
async fn work_and_hand_over<W>(
    work: impl Future<Output = Option<W>>,
    stop: &CancellationToken,
    ready: &watch::Sender<bool>,
    mut disposition: oneshot::Receiver<Disposition<W>>,
) -> Option<W> {
    // Never dropped half done: files may be on their way to the disk, or a browser on its way up.
    let mut work = pin!(work);
    let mut early = None;
    let warmed = tokio::select! {
        warmed = &mut work => warmed,
        known = &mut disposition => {
            early = Some(known);
            stop.cancel();
            work.await
        }
        () = tokio::time::sleep(WITHIN) => {
            warn!("preparing takes too long; the move does not wait for it");
            ready.send_replace(true);
            stop.cancel();
            work.await
        }
    };
    ready.send_replace(true);
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
    warmed: Result<WarmStandby, PreparationError>,
) -> Option<WarmStandby> {
    match &warmed {
        Ok(_) => info!("prepared"),
        // Whoever stopped it knows why.
        Err(PreparationError::Stopped) => debug!("the preparation was stopped"),
        Err(error) => {
            env.host.node.symptoms.launch_failed(tenant);
            warn!(error = %causes(error), "nothing could be prepared; the tenant will start cold");
        }
    }
    warmed.ok()
}

/// A browser on an empty directory, with the newest snapshot beside it. Ends at the next step once `stop` is cancelled.
async fn warm_up(
    env: &IncarnationEnv,
    tenant: &TenantId,
    generation: Generation,
    stop: &CancellationToken,
) -> Result<WarmStandby, PreparationError> {
    let node = &env.host.node;
    let spec = unless_stopped(stop, node.store.worker_spec(tenant)).await??;
    let profile = node.profiles.of(tenant, spec.tenant.uid).lock()?;
    let mut fetched = FetchedFiles::default();
    let browser = async {
        let dir = profile.make_standby_dir()?;
        if let Some(pointer) = spec.snapshot {
            let newest = SnapshotRef::from(pointer);
            let files = profile.prefetch(&node.snapshots, &newest, &mut fetched).await?;
            debug!(files, "the newest snapshot is here");
        }
        // Counts until the browser is there.
        let _permit = unless_stopped(stop, node.launches.acquire(LaunchPriority::AHEAD)).await?;
        let mut standing = env.standing.clone();
        unless_stopped(stop, standing.wait_for(|standing| *standing == Standing::Good))
            .await?
            .map(drop)
            .map_err(|_| PreparationError::Stopped)?;
        Ok(node.engine.warm(tenant, &dir).await?)
    };
    match browser.await {
        Ok(browser) => Ok(WarmStandby::new(generation, profile, fetched, browser)),
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

    struct Bench {
        stop: CancellationToken,
        ready: watch::Receiver<bool>,
        disposition: oneshot::Sender<Disposition<&'static str>>,
        leftover: JoinHandle<Option<&'static str>>,
    }

    /// Work that takes so long and ends at once, with nothing, when it is stopped.
    fn begin(takes: Duration) -> Bench {
        let (stop, (ready_tx, ready), (disposition, told)) =
            (CancellationToken::new(), watch::channel(false), oneshot::channel());
        let stopped = stop.clone();
        let leftover = tokio::spawn(async move {
            let work =
                async { stopped.run_until_cancelled(tokio::time::sleep(takes)).await.map(|()| "a browser") };
            work_and_hand_over(work, &stopped, &ready_tx, told).await
        });
        Bench { stop, ready, disposition, leftover }
    }

    impl Bench {
        /// After so long.
        async fn ready(&mut self) -> Duration {
            let begun = Instant::now();
            drop(self.ready.wait_for(|ready| *ready).await.unwrap());
            begun.elapsed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_waits_for_its_hand_over() {
        let mut bench = begin(Duration::from_secs(3));
        assert_eq!(bench.ready().await, Duration::from_secs(3));
        tokio::time::sleep(WITHIN * 10).await;
        let (to, handed) = oneshot::channel();
        bench.disposition.send(Disposition::HandOver(to)).ok().unwrap();
        assert_eq!(handed.await.unwrap(), Some("a browser"));
        assert_eq!(bench.leftover.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_move_does_not_wait_longer_than_the_limit_and_starts_cold() {
        let mut bench = begin(WITHIN * 100);
        assert_eq!(bench.ready().await, WITHIN);
        let (to, handed) = oneshot::channel();
        bench.disposition.send(Disposition::HandOver(to)).ok().unwrap();
        assert_eq!(handed.await.unwrap(), None);
        assert!(bench.stop.is_cancelled());
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
        given_up.ready().await;
        given_up.disposition.send(Disposition::GiveUp).ok().unwrap();
        assert_eq!(given_up.leftover.await.unwrap(), Some("a browser"));

        let mut forgotten = begin(Duration::ZERO);
        forgotten.ready().await;
        drop(forgotten.disposition);
        assert_eq!(forgotten.leftover.await.unwrap(), Some("a browser"));

        let mut not_fetched = begin(Duration::ZERO);
        not_fetched.ready().await;
        let (to, handed) = oneshot::channel();
        drop(handed);
        not_fetched.disposition.send(Disposition::HandOver(to)).ok().unwrap();
        assert_eq!(not_fetched.leftover.await.unwrap(), Some("a browser"));
    }
}
