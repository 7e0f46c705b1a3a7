//! One etcd and one Postgres for the binary; a coordinator, a database and a cluster of its own for each test.

mod answers;
mod calls;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use roost_cluster::{
    registry::{EtcdAccessArgs, EtcdRegistry, Registry},
    timing::Timing,
};
use roost_coordinator::{Config, Coordinator, legacy::LegacyArgs, oidc::OidcArgs, transport::TransportArgs};
use roost_devcluster::{Etcd, Postgres, wait_until};
use roost_proto::v1::GetClusterStatusRequest;
use roost_store::Store;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tonic::transport::{Channel, Endpoint};

pub use answers::{error_of, fields, next, refused, until};
pub use calls::{Authed, business};

/// How long anything may take that is to happen; tests run beside each other on small machines.
pub const SOON: Duration = Duration::from_secs(30);
pub const TOKEN: &str = "a-token-of-the-tests";
/// Of a front end of its own.
pub const PORTAL_KEY: &str = "a-key-of-a-front-end";

struct Servers {
    etcd: Etcd,
    postgres: Postgres,
}

static SERVERS: OnceCell<Servers> = OnceCell::const_new();
static TESTS: AtomicU32 = AtomicU32::new(0);

async fn servers() -> &'static Servers {
    let start = || async {
        let dir = run_dir();
        let (etcd, postgres) = tokio::join!(Etcd::start(&dir), Postgres::start(&dir));
        Servers { etcd: etcd.expect("an etcd"), postgres: postgres.expect("a Postgres") }
    };
    SERVERS.get_or_init(start).await
}

/// A directory for this run. The servers die with this process, and nothing runs after the last test, so what a run
/// left behind is removed by a later one.
fn run_dir() -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api");
    for old in fs::read_dir(&all).into_iter().flatten().flatten() {
        let alive = Path::new("/proc").join(old.file_name()).exists();
        if !alive {
            fs::remove_dir_all(old.path()).expect("removing what an earlier run left");
        }
    }
    let dir = all.join(std::process::id().to_string());
    fs::create_dir_all(&dir).expect("a directory for this run");
    dir
}

async fn new_database(server_url: &str, name: &str) -> String {
    let mut connection = sqlx::PgConnection::connect(server_url).await.expect("a connection to Postgres");
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a new database");
    let (server, _) = server_url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}")
}

/// A coordinator and what it stands on.
pub struct Api {
    pub coordinator: Coordinator,
    pub channel: Channel,
    pub registry: Arc<dyn Registry>,
    pub store: Store,
    pub database_url: String,
    pub cluster_name: String,
    pub token_file: PathBuf,
    pub dir: TempDir,
}

/// One that serves.
pub async fn api() -> Api {
    let [api] = apis(["c1"]).await;
    api
}

/// One that has no key for secrets of people.
pub async fn api_without_secrets_key() -> Api {
    api_that(|config| Config { secrets_key_file: None, ..config }).await
}

/// One that is set otherwise than the others.
pub async fn api_that(change: impl FnOnce(Config) -> Config) -> Api {
    let servers = servers().await;
    let number = TESTS.fetch_add(1, Ordering::Relaxed);
    let database = new_database(servers.postgres.url(), &format!("test_{number}")).await;
    let cluster = format!("test-{number}");
    let api = start_with("c1", &database, servers.etcd.endpoint(), &cluster, change).await;
    api.is_serving("").await;
    api
}

/// Several of one cluster, all of which serve.
pub async fn apis<const N: usize>(ids: [&str; N]) -> [Api; N] {
    let servers = servers().await;
    let number = TESTS.fetch_add(1, Ordering::Relaxed);
    let database = &new_database(servers.postgres.url(), &format!("test_{number}")).await;
    let cluster = &format!("test-{number}");
    let start = |id: &str| {
        let id = id.to_owned();
        async move {
            let api = start(&id, database, servers.etcd.endpoint(), cluster).await;
            api.is_serving("").await;
            api
        }
    };
    let started = futures::future::join_all(ids.map(start)).await;
    started.try_into().unwrap_or_else(|_| panic!("as many as there are ids"))
}

/// Two of one cluster: the one that leads, and the one that takes over from it.
pub async fn leader_and_next() -> (Api, Api) {
    let [one, other] = apis(["c1", "c2"]).await;
    let leader = || async {
        let status = one.cluster().get_cluster_status(GetClusterStatusRequest {}).await;
        status.expect("a status").into_inner().leader.map(|leader| leader.holder)
    };
    wait_until("somebody leads", SOON, || async { leader().await.is_some() }).await.expect("a leader");
    let holder = leader().await.expect("a leader");
    if holder.ends_with("c1") { (one, other) } else { (other, one) }
}

/// One on the given servers, which need not be up.
pub async fn api_on(database_url: &str, etcd: &str, cluster: &str) -> Api {
    start("c1", database_url, etcd, cluster).await
}

/// Another one with a database that is there already.
pub async fn api_with(database_url: &str, cluster: &str) -> Api {
    let api = start("c1", database_url, servers().await.etcd.endpoint(), cluster).await;
    api.is_serving("").await;
    api
}

/// As a token file must be.
pub fn write_private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("its mode");
}

async fn start(id: &str, database_url: &str, etcd: &str, cluster: &str) -> Api {
    start_with(id, database_url, etcd, cluster, |config| config).await
}

async fn start_with(
    id: &str,
    database_url: &str,
    etcd: &str,
    cluster: &str,
    change: impl FnOnce(Config) -> Config,
) -> Api {
    let dir = tempfile::tempdir().expect("a directory");
    let token_file = dir.path().join("tokens");
    write_private(&token_file, &format!("{TOKEN}\n"));
    let portal_key_file = dir.path().join("portal-key");
    write_private(&portal_key_file, &format!("{PORTAL_KEY}\n"));
    let secret = dir.path().join("secret");
    write_private(&secret, &"5e".repeat(32));
    let key = dir.path().join("secrets.key");
    write_private(&key, &"7a".repeat(32));
    let transport = TransportArgs { cluster_secret_file: Some(secret), ..TransportArgs::default() };
    let timing = Timing::from_ttl(Duration::from_secs(2)).expect("a TTL that etcd takes");
    let legacy = LegacyArgs {
        portal_key_file: Some(portal_key_file),
        portal_key_from: vec!["127.0.0.1/32".parse().expect("a network")],
    };
    let config = Config {
        id: id.into(),
        cluster: cluster.parse().expect("a cluster's name"),
        etcd: vec![etcd.to_owned()],
        etcd_access: EtcdAccessArgs::default(),
        database_connections: 8,
        database_password_file: None,
        database_url: database_url.into(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        health_listen: Some("127.0.0.1:0".parse().expect("an address")),
        http_listen: Some("127.0.0.1:0".parse().expect("an address")),
        public_url: None,
        announce: Some(dir.path().join("coordinator.json")),
        token_file: token_file.clone(),
        legacy,
        secrets_key_file: Some(key),
        oidc: OidcArgs::default(),
        transport,
        lease_ttl: timing,
        stale_after: Duration::from_secs(120),
        etcd_history: Duration::ZERO,
        adopt_store: false,
    };
    let config = change(config);
    let registry =
        EtcdRegistry::connect(&config.etcd, cluster, timing.request_timeout).await.expect("a registry");
    let store = Store::connect_lazy(database_url, 4).expect("a store");
    let coordinator = Coordinator::start(config).await.expect("a coordinator");
    let endpoint = Endpoint::try_from(format!("http://{}", coordinator.addr())).expect("an endpoint");
    Api {
        channel: endpoint.connect_lazy(),
        coordinator,
        registry: Arc::new(registry),
        store,
        database_url: database_url.to_owned(),
        cluster_name: cluster.to_owned(),
        token_file,
        dir,
    }
}
