//! What is done to a browser, each a future that ends with the event that tells the state machine. One at a time: the
//! actor holds a single slot for them, and a kill takes the place of whatever is in it.

use std::sync::Arc;

use futures::future::BoxFuture;
use roost_cluster::{fence::Standing, ids::TenantId};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::{
    home::{Home, HomeError},
    pace::Pace,
};
use crate::{
    engine::{Engine, EngineError, Launch, Launched, Page},
    pipeline::Drain,
    session::{Prepared, SessionError},
};

/// What came of an operation.
pub(super) enum Outcome {
    Launched(Launched),
    LaunchFailed(LaunchError),
    Gone,
    Forgotten(Result<(), HomeError>),
}

pub(super) type Operation = BoxFuture<'static, Outcome>;

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("the session could not be made ready: {0}")]
    Session(#[from] SessionError),
    #[error("the node's lease ran out before the browser was launched")]
    NoStanding,
    #[error("the browser could not be launched: {0}")]
    Engine(#[from] EngineError),
}

/// Restores the session if need be and launches a browser on it. Restoring is not bounded by `launches`, so that one
/// tenant's snapshot is fetched while another's browser starts. The last thing before the launch is a look at the
/// node's standing: a browser is not begun on a lease that may run out while it starts.
pub(super) fn launch(
    home: Arc<Home>,
    engine: Arc<dyn Engine>,
    launches: Arc<Semaphore>,
    mut standing: watch::Receiver<Standing>,
    tenant: TenantId,
) -> Operation {
    Box::pin(async move {
        let launched = async {
            let prepared = home.prepare().await?;
            // Both are closed only when the node ends, and then there is nobody left to launch for.
            let _turn = launches.acquire().await.map_err(|_closed| LaunchError::NoStanding)?;
            if !is_good(&mut standing).await {
                return Err(LaunchError::NoStanding);
            }
            let Prepared { browser_dir: profile, local_storage, .. } = prepared;
            Ok(engine.launch(Launch { tenant, profile, local_storage }).await?)
        };
        launched.await.map_or_else(Outcome::LaunchFailed, Outcome::Launched)
    })
}

/// Whether the node may begin something; waits while that is open.
async fn is_good(standing: &mut watch::Receiver<Standing>) -> bool {
    let decided = standing.wait_for(|standing| *standing != Standing::SoftStop).await;
    decided.is_ok_and(|standing| *standing == Standing::Good)
}

/// Finishes the messages in flight, closes the browser, and saves the session from it if there is one.
pub(super) fn wind_down(
    page: Arc<dyn Page>,
    drain: Option<Drain>,
    home: Arc<Home>,
    save: bool,
    pace: Pace,
) -> Operation {
    Box::pin(async move {
        if let Some(drain) = drain
            && !drain.finish(pace.drain_within).await
        {
            warn!("messages were still in flight; they are pending in the database");
        }
        let clean = page.close().await;
        if save {
            home.save_stopped(clean).await;
        }
        Outcome::Gone
    })
}

pub(super) fn close(page: Arc<dyn Page>) -> Operation {
    Box::pin(async move {
        let clean = page.close().await;
        debug!(clean, "the browser is closed");
        Outcome::Gone
    })
}

pub(super) fn kill(page: Arc<dyn Page>) -> Operation {
    Box::pin(async move {
        page.kill().await;
        Outcome::Gone
    })
}

/// Unlinks the device, then kills the browser: its profile is about to be wiped.
pub(super) fn log_out(page: Arc<dyn Page>) -> Operation {
    Box::pin(async move {
        if let Err(error) = page.logout().await {
            warn!(%error, "the device may still be linked at whatsapp");
        }
        page.kill().await;
        Outcome::Gone
    })
}

pub(super) fn forget(home: Arc<Home>) -> Operation {
    Box::pin(async move { Outcome::Forgotten(home.forget().await) })
}
