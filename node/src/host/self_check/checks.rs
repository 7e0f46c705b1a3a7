//! What a node tries out: each a small piece of what its tenants need, done once and undone.

use std::{future::Future, time::Duration};

use futures::future::select_ok;
use roost_cluster::records::ImpairmentKind;
use roost_engine::EngineError;
use roost_model::{
    causes,
    ids::{NodeId, TenantId},
};
use roost_store::StoreError;
use tokio::{net::TcpStream, time::timeout};
use uuid::Uuid;

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
    #[error("the state directory takes no files")]
    StateDirectory(#[source] SessionError),
    #[error("{place} is out of reach")]
    Site { place: String, source: std::io::Error },
    #[error("the site is out of reach: it has no address")]
    NoSite,
    #[error("not done within {limit:?}")]
    TimedOut { limit: Duration },
}

pub(super) async fn check(kind: ImpairmentKind, env: &NodeEnv, node: &NodeId, site: &[String]) -> Finding {
    let tried = match kind {
        ImpairmentKind::Browser => {
            let turn = env.launches.acquire(LaunchPriority::AHEAD);
            let Ok(_permit) = timeout(TURN_WITHIN, turn).await else { return Finding::Unknown };
            within(BROWSER_WITHIN, browser(env)).await
        }
        ImpairmentKind::Database => within(WITHIN, async { Ok(env.store.ping().await?) }).await,
        ImpairmentKind::ObjectStore => {
            let proved = async { env.snapshots.prove(node).await.map_err(CheckError::ObjectStore) };
            within(WITHIN, proved).await
        }
        ImpairmentKind::StateDirectory => within(WITHIN, state_directory(env)).await,
        ImpairmentKind::Site => within(WITHIN, reach(site)).await,
        ImpairmentKind::Unknown => return Finding::Unknown,
    };
    match tried {
        Ok(()) => Finding::Well,
        Err(error) => Finding::Unwell { reason: causes(&error).to_string() },
    }
}

async fn within(
    limit: Duration,
    tried: impl Future<Output = Result<(), CheckError>>,
) -> Result<(), CheckError> {
    timeout(limit, tried).await.unwrap_or(Err(CheckError::TimedOut { limit }))
}

/// One that opens nothing, on a directory that is nobody's.
async fn browser(env: &NodeEnv) -> Result<(), CheckError> {
    let Ok(nobody) = TenantId::new(THROW_AWAY) else { unreachable!("the name is one of a tenant") };
    let profile = env.profiles.of(&nobody, Uuid::nil()).lock()?;
    let started = async {
        let dir = profile.make_standby_dir()?;
        env.engine.warm(&nobody, &dir).await?.kill().await;
        Ok(())
    };
    let started = started.await;
    let removed = profile.remove().await;
    started.and(removed.map_err(CheckError::Profile))
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
    use std::sync::Arc;

    use roost_engine::{null::NullEngine, run_as::RunAs};
    use roost_store::Store;

    use super::*;
    use crate::{
        host::impairments::Impairments,
        launch_queue::LaunchQueue,
        logins::Logins,
        session::{Profiles, SnapshotKey, SnapshotStore},
        start_times::StartTimes,
        symptoms::Symptoms,
    };

    struct Bench {
        dir: tempfile::TempDir,
        env: NodeEnv,
    }

    /// Nothing listens where its Postgres should be.
    fn bench() -> Bench {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("key");
        std::fs::write(&key_file, "ab".repeat(32)).unwrap();
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = SnapshotKey::from_file(&key_file).unwrap();
        let objects = dir.path().join("objects");
        let env = NodeEnv {
            store: Store::connect_lazy("postgres://nobody@127.0.0.1:1/none", 2).unwrap(),
            engine: Arc::new(NullEngine::default()),
            snapshots: SnapshotStore::open(objects.to_str().unwrap(), key).unwrap(),
            profiles: Profiles::open(&dir.path().join("profiles"), RunAs::Caller).unwrap(),
            launches: LaunchQueue::new(1),
            start_times: StartTimes::default(),
            symptoms: Symptoms::default(),
            impairments: Impairments::default(),
            logins: Logins::default(),
        };
        Bench { dir, env }
    }

    impl Bench {
        async fn finds(&self, kind: ImpairmentKind, site: &[String]) -> Finding {
            check(kind, &self.env, &NodeId::new("a").unwrap(), site).await
        }

        /// A file is where the directory was; even root can write nothing below it.
        fn spoil(&self, name: &str) {
            let dir = self.dir.path().join(name);
            std::fs::remove_dir_all(&dir).unwrap();
            std::fs::write(dir, "").unwrap();
        }
    }

    fn says(finding: &Finding, word: &str) -> bool {
        matches!(finding, Finding::Unwell { reason } if reason.contains(word))
    }

    #[tokio::test]
    async fn what_can_be_written_is_well_again_and_again_and_leaves_nothing() {
        let bench = bench();
        for _ in 0..2 {
            for kind in [ImpairmentKind::ObjectStore, ImpairmentKind::StateDirectory, ImpairmentKind::Browser]
            {
                assert_eq!(bench.finds(kind, &[]).await, Finding::Well, "{kind}");
            }
        }
        let left = std::fs::read_dir(bench.dir.path().join("profiles")).unwrap().count();
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_found_with_its_cause() {
        let bench = bench();
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
        let bench = bench();
        let database = bench.finds(ImpairmentKind::Database, &[]).await;
        assert!(says(&database, "Postgres does not answer"), "{database:?}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (closed, open) = ("127.0.0.1:1".to_owned(), listener.local_addr().unwrap().to_string());
        let site = bench.finds(ImpairmentKind::Site, std::slice::from_ref(&closed)).await;
        assert!(says(&site, "127.0.0.1:1 is out of reach"), "{site:?}");
        assert_eq!(bench.finds(ImpairmentKind::Site, &[closed, open]).await, Finding::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn a_browser_that_gets_no_turn_says_nothing_of_the_node() {
        let bench = bench();
        let _taken = bench.env.launches.acquire(LaunchPriority::AHEAD).await;
        assert_eq!(bench.finds(ImpairmentKind::Browser, &[]).await, Finding::Unknown);
    }
}
