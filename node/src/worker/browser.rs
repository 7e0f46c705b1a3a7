//! What is done to a browser, each a future that ends with the event that tells the state machine. One at a time: the
//! actor holds a single slot for them, and a kill takes the place of whatever is in it.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use roost_cluster::lease_deadline::Standing;
use roost_engine::{BrowserSetup, Launch, Launched, LocalStorage, Page, Versions};
use roost_model::{causes, ids::TenantId};
use roost_store::{ChosenVersions, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::{debug, info, warn};

use super::{
    launch_check::{CallOff, LaunchError, may_launch},
    session_store::{SessionStore, SessionStoreError},
    timing::WorkerTiming,
    warm_standby::WarmStandby,
};
use crate::{
    env::NodeEnv,
    launch_queue::{LaunchPermit, LaunchPriority},
    pipeline::{Drain, SendTally},
    session::PreparedProfile,
};

/// A page answers it out of its memory, or hangs.
const LOCAL_STORAGE_WITHIN: Duration = Duration::from_secs(1);

/// What came of a task.
pub(super) enum BrowserTaskOutcome {
    /// It holds the turn until its page is there.
    Launched(Launched, LaunchPermit),
    LaunchFailed(LaunchError),
    Gone,
    /// The browser is gone; `failure` says why the device may still be linked.
    LoggedOut {
        failure: Option<String>,
    },
    Forgotten(Result<(), SessionStoreError>),
}

pub(super) type BrowserTask = BoxFuture<'static, BrowserTaskOutcome>;

/// What a launch takes.
pub(super) struct LaunchParams {
    pub session: Arc<SessionStore>,
    pub env: Arc<NodeEnv>,
    pub standing: watch::Receiver<Standing>,
    pub tenant: TenantId,
    pub setup: BrowserSetup,
    /// What it was to be given when that was last heard.
    pub versions: ChosenVersions,
    /// Told of the browser that comes of it.
    pub sends: SendTally,
    /// Its place in the queue.
    pub priority: LaunchPriority,
    pub warm: Option<WarmStandby>,
    pub call_off: CallOff,
}

/// Opens the session in the warm browser if there is one, or in a spare one, else restores it if need be and launches a browser on it.
pub(super) fn launch(mut start: LaunchParams) -> BrowserTask {
    Box::pin(async move {
        let sends = start.sends.clone();
        let versions = match versions(&mut start).await {
            Ok(versions) => versions,
            Err(error) => return BrowserTaskOutcome::LaunchFailed(error),
        };
        match open(start, &versions).await {
            Ok((launched, permit)) => {
                sends.begin(&versions);
                BrowserTaskOutcome::Launched(launched, permit)
            }
            Err(error) => BrowserTaskOutcome::LaunchFailed(error),
        }
    })
}

/// What it is to be given now; while the database is away what it was to be given when that was last heard.
async fn versions(start: &mut LaunchParams) -> Result<Versions, LaunchError> {
    let LaunchParams { env, tenant, call_off, versions: chosen, .. } = start;
    match call_off.or(env.store.chosen_versions(tenant)).await? {
        Ok(now) => *chosen = now,
        Err(StoreError::Unavailable { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(call_off.or(env.versions.of(&env.store, chosen)).await??)
}

async fn open(mut start: LaunchParams, versions: &Versions) -> Result<(Launched, LaunchPermit), LaunchError> {
    let (fitting, outdated) = match start.warm.take() {
        Some(warm) if warm.is_set_up_as(&start.setup) => (Some(warm), None),
        warm => (None, warm),
    };
    if let Some(warm) = outdated {
        info!("the warm browser was started with other settings; another one is launched");
        warm.kill().await;
    }
    if let Some(warm) = fitting {
        // Its tenant is on the move and runs nowhere: it waits for nobody.
        let permit = start.env.launches.take();
        match start.session.open(warm, versions.clone(), &mut start.standing, &start.call_off).await {
            Ok(launched) => return Ok((launched, permit)),
            Err(error) => {
                warn!(error = %causes(&error), "the warm browser was of no use; another one is launched")
            }
        }
    }
    match adopt_spare(&mut start, versions).await {
        Ok(Some(launched)) => Ok(launched),
        Ok(None) => launch_cold(start, versions).await,
        Err(error) if error.is_called_off() => Err(error),
        Err(error) => {
            warn!(error = %causes(&error), "the spare browser was of no use; another one is launched");
            launch_cold(start, versions).await
        }
    }
}

/// Opens the session in a spare browser of the node; `None` when there is none for this tenant, or the session can only be had by
/// a browser that starts with it. The spare is this tenant's while it waits for its turn: what takes the turn is the page.
async fn adopt_spare(
    start: &mut LaunchParams,
    versions: &Versions,
) -> Result<Option<(Launched, LaunchPermit)>, LaunchError> {
    let (spares, setup, call_off) = (&start.env.spares, &start.setup, &start.call_off);
    if !spares.has(setup) {
        return Ok(None);
    }
    let Some(fetched) = call_off.or(start.session.fetch_ahead()).await?? else { return Ok(None) };
    let Some(spare) = spares.take(setup) else { return Ok(None) };
    let permit = match call_off.or(start.env.launches.acquire(start.priority)).await {
        Ok(permit) => permit,
        Err(error) => {
            spare.kill().await;
            return Err(error);
        }
    };
    let launched = start
        .session
        .adopt(spare, setup.clone(), versions.clone(), fetched, &mut start.standing, call_off)
        .await?;
    info!("a spare browser is the tenant's");
    Ok(Some((launched, permit)))
}

/// Until it is the browser's turn a launch may be called off at any point. Restoring is not bounded by `launches`, so that
/// one tenant's snapshot is fetched while another's browser starts. The last thing before the launch is a look at the node's
/// standing: a browser is not begun on a lease that may run out while it starts.
async fn launch_cold(
    mut start: LaunchParams,
    versions: &Versions,
) -> Result<(Launched, LaunchPermit), LaunchError> {
    let call_off = start.call_off;
    // It holds up no other's turn: a proxy may take its time to answer nothing.
    call_off.or(start.env.engine.check_way(&start.setup)).await?.map_err(LaunchError::Way)?;
    let PreparedProfile { browser_dir: profile, local_storage, .. } =
        call_off.or(start.session.prepare()).await??;
    let permit = call_off.or(start.env.launches.acquire(start.priority)).await?;
    if !call_off.or(may_launch(&mut start.standing)).await? {
        return Err(LaunchError::NoStanding);
    }
    let cancel = call_off.browser;
    let versions = versions.clone();
    let launch =
        Launch { tenant: start.tenant, profile, setup: start.setup, versions, local_storage, cancel };
    Ok((start.env.engine.launch(launch).await?, permit))
}

/// Finishes the messages in flight, closes the browser, and saves the session from it if there is one: that of this link.
pub(super) fn wind_down(
    page: Arc<dyn Page>,
    drain: Option<Drain>,
    session: Arc<SessionStore>,
    save: Option<u64>,
    timing: WorkerTiming,
    env: Arc<NodeEnv>,
) -> BrowserTask {
    Box::pin(async move {
        let since = Instant::now();
        if let Some(drain) = drain
            && !drain.finish(timing.drain_within).await
        {
            warn!("messages were still in flight; they are pending in the database");
        }
        // As late as can be: the snapshot's files and this are to fit together.
        let drained = since.elapsed();
        let local_storage = if save.is_some() { read_local_storage(&page).await } else { None };
        let clean = page.close().await;
        let closed = since.elapsed();
        if let Some(link) = save {
            if !session.save_stopped(link, clean, local_storage, &timing).await {
                // The disk or the object store may be the node's own trouble.
                env.symptoms.snapshot_failed();
            }
        }
        info!(
            drained_ms = ms(drained),
            closed_ms = ms(closed),
            saved_ms = ms(since.elapsed()),
            clean,
            "the worker has let go"
        );
        BrowserTaskOutcome::Gone
    })
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// For the next owner's browser, which may run by the time that it gets the session. Without it that one starts anew.
async fn read_local_storage(page: &Arc<dyn Page>) -> Option<LocalStorage> {
    match timeout(LOCAL_STORAGE_WITHIN, page.local_storage()).await {
        Ok(Ok(values)) => Some(values),
        Ok(Err(error)) => {
            debug!(error = %causes(&error), "the localStorage of a stopping page was not read");
            None
        }
        Err(_elapsed) => None,
    }
}

pub(super) fn close(page: Arc<dyn Page>, session: Arc<SessionStore>) -> BrowserTask {
    Box::pin(async move {
        let clean = page.close().await;
        if clean {
            session.closed_in_order().await;
        }
        debug!(clean, "the browser is closed");
        BrowserTaskOutcome::Gone
    })
}

pub(super) fn kill(page: Arc<dyn Page>) -> BrowserTask {
    Box::pin(async move {
        page.kill().await;
        BrowserTaskOutcome::Gone
    })
}

/// Unlinks the device, then kills the browser: its profile is about to be wiped. That WhatsApp did not unlink it is noted;
/// nobody can make up for it without the session but the phone's owner.
pub(super) fn log_out(page: Arc<dyn Page>, session: Arc<SessionStore>) -> BrowserTask {
    Box::pin(async move {
        let failure = page.logout().await.err().map(|error| causes(&error).to_string());
        page.kill().await;
        if let Some(reason) = &failure {
            warn!(reason, "the device may still be linked at whatsapp");
            session.note_failed_logout(reason).await;
        }
        BrowserTaskOutcome::LoggedOut { failure }
    })
}

pub(super) fn forget(session: Arc<SessionStore>, warm: Option<WarmStandby>) -> BrowserTask {
    Box::pin(async move {
        if let Some(warm) = warm {
            warm.kill().await;
        }
        BrowserTaskOutcome::Forgotten(session.forget().await)
    })
}
