//! What a node tries out: each a small piece of what its tenants need, done once and undone.

use std::time::Duration;

use futures::future::select_ok;
use roost_cluster::records::ImpairmentKind;
use roost_engine::{BrowserSetup, EngineError};
use roost_model::{
    causes,
    ids::{NodeId, TenantId},
};
use roost_store::StoreError;
use tokio::{net::TcpStream, time::timeout};
use uuid::Uuid;

use super::super::object_store_mark::{self, WrongObjectStore};
use crate::{blocking::run_blocking, env::NodeEnv, launch_queue::LaunchPriority, session::SessionError};

/// Whoever does not answer in this time is of no use to a tenant either.
const WITHIN: Duration = Duration::from_secs(10);
/// For a browser to come up, on a machine that is busy with others.
const BROWSER_WITHIN: Duration = Duration::from_secs(20);
/// For a turn among the launches of tenants. Whoever gets none has learnt nothing.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// A directory of this name with the digits of no tenant's uid; see [`crate::session::Profiles::of`].
const THROW_AWAY: &str = "self-check";

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Well,
    Unwell {
        reason: String,
    },
    /// It could not be tried.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("no browser can be started: its profile could not be made")]
    Profile(#[from] SessionError),
    #[error("no browser can be started")]
    Browser(#[from] EngineError),
    #[error("Postgres does not answer")]
    Database(#[from] StoreError),
    #[error("the object store takes nothing")]
    ObjectStore(#[source] SessionError),
    #[error(transparent)]
    WrongObjectStore(#[from] WrongObjectStore),
    #[error("the state directory takes no files")]
    StateDirectory(#[source] SessionError),
    #[error("{place} is out of reach")]
    Site { place: String, source: std::io::Error },
    #[error("the site is out of reach: it has no address")]
    NoSite,
    #[error("not done within {limit:?}")]
    TimedOut { limit: Duration },
    #[error("this version does not check it")]
    NoCheck,
}

pub(super) async fn check(kind: ImpairmentKind, env: &NodeEnv, node: &NodeId, site: &[String]) -> Finding {
    let (_turn, limit) = if kind == ImpairmentKind::Browser {
        let turn = env.launches.acquire(LaunchPriority::AHEAD);
        let Ok(turn) = timeout(TURN_WITHIN, turn).await else { return Finding::Unknown };
        (Some(turn), BROWSER_WITHIN)
    } else {
        (None, WITHIN)
    };
    let tried = async {
        match kind {
            ImpairmentKind::Browser => browser(env).await,
            ImpairmentKind::Database => Ok(env.store.ping().await?),
            ImpairmentKind::ObjectStore => object_store(env, node).await,
            ImpairmentKind::StateDirectory => state_directory(env).await,
            ImpairmentKind::Site => reach(site).await,
            ImpairmentKind::Memory | ImpairmentKind::Unknown => Err(CheckError::NoCheck),
        }
    };
    match timeout(limit, tried).await.unwrap_or(Err(CheckError::TimedOut { limit })) {
        Ok(()) => Finding::Well,
        Err(CheckError::NoCheck) => Finding::Unknown,
        Err(error) => Finding::Unwell { reason: causes(&error).to_string() },
    }
}

/// One that opens nothing, on a directory that is nobody's.
async fn browser(env: &NodeEnv) -> Result<(), CheckError> {
    let Ok(nobody) = TenantId::new(THROW_AWAY) else { unreachable!("the name is one of a tenant") };
    let profile = env.profiles.of(&nobody, Uuid::nil()).lock()?;
    let started = async {
        let dir = profile.make_standby_dir()?;
        env.engine.warm(Some(&nobody), &dir, &BrowserSetup::default()).await?.kill().await;
        Ok(())
    };
    let started = started.await;
    let removed = profile.remove().await;
    started.and(removed.map_err(CheckError::Profile))
}

async fn object_store(env: &NodeEnv, node: &NodeId) -> Result<(), CheckError> {
    env.snapshots.prove(node).await.map_err(CheckError::ObjectStore)?;
    object_store_mark::verify(env, false).await?;
    Ok(())
}

async fn state_directory(env: &NodeEnv) -> Result<(), CheckError> {
    let profiles = env.profiles.clone();
    run_blocking(move || profiles.prove()).await.map_err(CheckError::StateDirectory)
}

/// One of the places is enough: the site's own, or a proxy's that may be the way to it. All at once, for where there is a
/// proxy the site's own may be silent.
async fn reach(places: &[String]) -> Result<(), CheckError> {
    let connections: Vec<_> = places.iter().map(|place| Box::pin(connect(place))).collect();
    if connections.is_empty() {
        return Err(CheckError::NoSite);
    }
    select_ok(connections).await.map(|((), _others)| ())
}

async fn connect(place: &str) -> Result<(), CheckError> {
    match TcpStream::connect(place).await {
        Ok(_) => Ok(()),
        Err(source) => Err(CheckError::Site { place: place.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::bench::{Bench, BrowserFault},
        *,
    };

    fn says(finding: &Finding, word: &str) -> bool {
        matches!(finding, Finding::Unwell { reason } if reason.contains(word))
    }

    #[tokio::test]
    async fn what_can_be_written_is_well_again_and_again_and_leaves_nothing() {
        let bench = Bench::new();
        for _ in 0..2 {
            for kind in [ImpairmentKind::ObjectStore, ImpairmentKind::StateDirectory, ImpairmentKind::Browser]
            {
                assert_eq!(bench.finds(kind, &[]).await, Finding::Well, "{kind}");
            }
        }
        assert_eq!(bench.files_in("profiles"), 0);
        assert_eq!(bench.files_in("objects/proofs"), 0);
        assert_eq!(bench.browsers.started(), 2);
    }

    #[tokio::test]
    async fn what_a_crash_has_left_of_a_check_is_in_nobodys_way() {
        let bench = Bench::new();
        for leftover in ["objects/proofs/a", "profiles/.proof"] {
            let leftover = bench.dir.path().join(leftover);
            std::fs::create_dir_all(leftover.parent().unwrap()).unwrap();
            std::fs::write(leftover, "left").unwrap();
        }
        assert_eq!(bench.finds(ImpairmentKind::ObjectStore, &[]).await, Finding::Well);
        assert_eq!(bench.finds(ImpairmentKind::StateDirectory, &[]).await, Finding::Well);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_found_with_its_cause() {
        let bench = Bench::new();
        bench.spoil("objects");
        bench.spoil("profiles");
        let object_store = bench.finds(ImpairmentKind::ObjectStore, &[]).await;
        assert!(says(&object_store, "the object store takes nothing"), "{object_store:?}");
        let state = bench.finds(ImpairmentKind::StateDirectory, &[]).await;
        assert!(says(&state, "ot a directory"), "{state:?}");
        let browser = bench.finds(ImpairmentKind::Browser, &[]).await;
        assert!(says(&browser, "its profile could not be made"), "{browser:?}");
    }

    #[tokio::test]
    async fn a_database_and_a_site_that_nobody_listens_for_are_found() {
        let bench = Bench::new();
        let database = bench.finds(ImpairmentKind::Database, &[]).await;
        assert!(says(&database, "Postgres does not answer"), "{database:?}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (closed, open) = ("127.0.0.1:1".to_owned(), listener.local_addr().unwrap().to_string());
        let site = bench.finds(ImpairmentKind::Site, std::slice::from_ref(&closed)).await;
        assert!(says(&site, "127.0.0.1:1 is out of reach"), "{site:?}");
        assert_eq!(bench.finds(ImpairmentKind::Site, &[closed, open]).await, Finding::Well);
        let nowhere = bench.finds(ImpairmentKind::Site, &[]).await;
        assert!(says(&nowhere, "it has no address"), "{nowhere:?}");
    }

    #[tokio::test]
    async fn a_browser_that_does_not_start_is_found_and_its_profile_goes() {
        let bench = Bench::new();
        bench.browsers.set(BrowserFault::Fails);
        let browser = bench.finds(ImpairmentKind::Browser, &[]).await;
        assert!(says(&browser, "no browser can be started: no memory"), "{browser:?}");
        assert_eq!(bench.files_in("profiles"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_is_waited_for_no_longer_than_its_time() {
        let bench = Bench::new();
        bench.browsers.set(BrowserFault::Hangs);
        let began = tokio::time::Instant::now();
        let browser = bench.finds(ImpairmentKind::Browser, &[]).await;
        assert!(says(&browser, "not done within 20s"), "{browser:?}");
        assert_eq!(began.elapsed(), BROWSER_WITHIN);
        // Whoever comes while the queue of a listener is full hears nothing.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let _queued = TcpStream::connect(&place).await.unwrap();
        let began = tokio::time::Instant::now();
        let site = bench.finds(ImpairmentKind::Site, &[place]).await;
        assert!(says(&site, "not done within 10s"), "{site:?}");
        assert_eq!(began.elapsed(), WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_browser_that_gets_no_turn_says_nothing_of_the_node() {
        let bench = Bench::new();
        let _taken = bench.env.launches.acquire(LaunchPriority::AHEAD).await;
        let began = tokio::time::Instant::now();
        assert_eq!(bench.finds(ImpairmentKind::Browser, &[]).await, Finding::Unknown);
        assert_eq!(began.elapsed(), TURN_WITHIN);
    }
}
