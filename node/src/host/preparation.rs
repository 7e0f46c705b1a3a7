//! Doing ahead what can be done ahead for a tenant that is about to come here from another node: its newest snapshot is
//! fetched and a browser started that opens nothing. Nothing is owned by it (I1); whether the browser will ever be used is
//! the controller's to say.
//!
//! ```text
//!   profile taken --> snapshot fetched --> browser warm --+--> ready --+--> handed over to the tenure
//!        |                 |                   |          |            |
//!        +-----------------+--- fails, 10 s ---+--> ready, but cold    +--> given up: browser dead, profile as before
//! ```

use std::{pin::pin, sync::Arc, time::Duration};

use roost_cluster::{
    fence::Standing,
    ids::{Generation, TenantId},
};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::tenure::Shared;
use crate::{
    engine::EngineError,
    launches::Rank,
    session::{Fetched, Profile, SessionError, SnapshotRef},
    worker::Warmed,
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

/// Runs as a task; when it returns, nothing of it is left but what was handed over.
pub(super) struct Preparation {
    pub(super) shared: Arc<Shared>,
    pub(super) tenant: TenantId,
    /// The owner's.
    pub(super) generation: Generation,
    /// Set once all is done that can be done.
    pub(super) ready: watch::Sender<bool>,
    /// What is to become of it.
    pub(super) fate: oneshot::Receiver<Fate>,
}

/// Dropping the sender gives the preparation up.
pub(super) enum Fate {
    /// The tenant is this node's now. The answer is `None` when there is no browser to hand over.
    HandOver(oneshot::Sender<Option<Warmed>>),
    GiveUp,
}

impl Preparation {
    pub(super) async fn run(self) -> TenantId {
        let Self { shared, tenant, generation, ready, mut fate } = self;
        info!(%tenant, %generation, "preparing to take a tenant over");
        let stop = CancellationToken::new();
        // Never dropped half done: files may be on their way to the disk, or a browser on its way up.
        let mut work = pin!(warm_up(&shared, &tenant, generation, &stop));
        let (early, finished) = tokio::select! {
            early = &mut fate => (Some(early), None),
            () = tokio::time::sleep(WITHIN) => (None, None),
            finished = &mut work => (None, Some(logged(&tenant, finished))),
        };
        let warmed = match (&early, finished) {
            (None, Some(warmed)) => {
                info!(%tenant, %generation, warm = warmed.is_some(), "prepared");
                ready.send_replace(true);
                warmed
            }
            (None, None) => {
                warn!(%tenant, "preparing takes too long; the tenant will start cold");
                ready.send_replace(true);
                stop.cancel();
                give_up(work.await.ok()).await;
                None
            }
            (Some(_), _) => {
                stop.cancel();
                work.await.ok()
            }
        };
        let fate = match early {
            Some(fate) => fate,
            None => fate.await,
        };
        match fate {
            Ok(Fate::HandOver(to)) => {
                if let Err(unwanted) = to.send(warmed) {
                    give_up(unwanted).await;
                }
            }
            Ok(Fate::GiveUp) | Err(_) => give_up(warmed).await,
        }
        tenant.clone()
    }
}

async fn give_up(warmed: Option<Warmed>) {
    if let Some(warmed) = warmed {
        warmed.kill().await;
    }
}

fn logged(tenant: &TenantId, warmed: Result<Warmed, PreparationError>) -> Option<Warmed> {
    warmed
        .inspect_err(|error| {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            warn!(%tenant, %error, reason, "nothing could be prepared; the tenant will start cold");
        })
        .ok()
}

/// A browser on an empty directory, with the newest snapshot beside it. Ends at the next step once `stop` is cancelled.
async fn warm_up(
    shared: &Shared,
    tenant: &TenantId,
    generation: Generation,
    stop: &CancellationToken,
) -> Result<Warmed, PreparationError> {
    let spec = unless(stop, shared.store.worker_spec(tenant)).await??;
    let profile = Profile::new(&shared.profiles, tenant, spec.tenant.uid).lock()?;
    let mut fetched = Fetched::default();
    let browser = async {
        let dir = profile.make_room()?;
        if let Some(pointer) = spec.snapshot {
            let newest = SnapshotRef::from(pointer);
            let files = profile.fetch_ahead(&shared.vault, &newest, &mut fetched).await?;
            debug!(%tenant, files, "the newest snapshot is here");
        }
        // Counts until the browser is there.
        let _turn = unless(stop, shared.launches.turn(Rank::Ahead)).await?;
        let mut standing = shared.standing.clone();
        unless(stop, standing.wait_for(|standing| *standing == Standing::Good))
            .await?
            .map(drop)
            .map_err(|_| PreparationError::Stopped)?;
        Ok(shared.engine.warm(tenant, &dir).await?)
    };
    match browser.await {
        Ok(browser) => Ok(Warmed::new(generation, profile, fetched, browser)),
        Err(error) => {
            profile.cool_down()?;
            Err(error)
        }
    }
}

async fn unless<T>(stop: &CancellationToken, step: impl Future<Output = T>) -> Result<T, PreparationError> {
    stop.run_until_cancelled(step).await.ok_or(PreparationError::Stopped)
}
