//! One etcd and one Postgres for the binary; a coordinator, a database and a cluster of its own for each test.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use roost_cli::dev::{Etcd, Postgres, wait_until};
use roost_cluster::{
    ids::{Generation, NodeId, TenantId},
    keys,
    records::NodeRecord,
    registry::{Commit, EtcdRegistry, Op, Registry},
    timing::Timing,
};
use roost_coordinator::{Config, Coordinator};
use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{
        self, cluster_service_client::ClusterServiceClient, message_service_client::MessageServiceClient,
        node_service_client::NodeServiceClient, operation_service_client::OperationServiceClient,
        session_service_client::SessionServiceClient, tenant_service_client::TenantServiceClient,
        worker_service_client::WorkerServiceClient,
    },
};
use roost_store::{Fence, Store};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tonic::{
    Request, Response, Status, Streaming,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// How long anything may take that is to happen; tests run beside each other on small machines.
pub const SOON: Duration = Duration::from_secs(30);
pub const TOKEN: &str = "a-token-of-the-tests";

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
    pub token_file: PathBuf,
    pub dir: TempDir,
}

/// One that serves.
pub async fn api() -> Api {
    let [api] = apis(["c1"]).await;
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

/// One on the given servers, which need not be up.
pub async fn api_on(database_url: &str, etcd: &str, cluster: &str) -> Api {
    start("c1", database_url, etcd, cluster).await
}

async fn start(id: &str, database_url: &str, etcd: &str, cluster: &str) -> Api {
    let dir = tempfile::tempdir().expect("a directory");
    let token_file = dir.path().join("tokens");
    fs::write(&token_file, format!("{TOKEN}\n")).expect("the token file");
    let timing = Timing::from_ttl(Duration::from_secs(2)).expect("a TTL that etcd takes");
    let config = Config {
        id: id.into(),
        cluster: cluster.parse().expect("a cluster's name"),
        etcd: vec![etcd.to_owned()],
        database_url: database_url.to_owned(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        announce: Some(dir.path().join("coordinator.json")),
        token_file: token_file.clone(),
        lease_ttl: timing,
        stale_after: Duration::from_secs(120),
    };
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
        token_file,
        dir,
    }
}

impl Api {
    pub fn tenants(&self) -> TenantServiceClient<Authed> {
        TenantServiceClient::new(self.authed(TOKEN))
    }

    pub fn workers(&self) -> WorkerServiceClient<Authed> {
        WorkerServiceClient::new(self.authed(TOKEN))
    }

    pub fn sessions(&self) -> SessionServiceClient<Authed> {
        SessionServiceClient::new(self.authed(TOKEN))
    }

    pub fn messages(&self) -> MessageServiceClient<Authed> {
        MessageServiceClient::new(self.authed(TOKEN))
    }

    pub fn nodes(&self) -> NodeServiceClient<Authed> {
        NodeServiceClient::new(self.authed(TOKEN))
    }

    pub fn operations(&self) -> OperationServiceClient<Authed> {
        OperationServiceClient::new(self.authed(TOKEN))
    }

    pub fn cluster(&self) -> ClusterServiceClient<Authed> {
        ClusterServiceClient::new(self.authed(TOKEN))
    }

    pub fn authed(&self, token: &str) -> Authed {
        InterceptedService::new(self.channel.clone(), Bearer(token.to_owned()))
    }

    /// Waits until health says that the service serves.
    pub async fn is_serving(&self, service: &str) {
        self.has_health(service, true).await;
    }

    /// Waits until health says that the service does not serve.
    pub async fn is_not_serving(&self, service: &str) {
        self.has_health(service, false).await;
    }

    async fn has_health(&self, service: &str, serving: bool) {
        use tonic_health::pb::{
            HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
        };
        let asked = || async {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = HealthClient::new(self.channel.clone()).check(request).await;
            answer.is_ok_and(|answer| (answer.get_ref().status() == ServingStatus::Serving) == serving)
        };
        wait_until(&format!("{service:?} has serving = {serving}"), SOON, asked).await.expect("the health");
    }

    /// A tenant of this name with a phone made of `digits`.
    pub async fn tenant(&self, id: &str, digits: u32) -> v1::Tenant {
        let request = v1::CreateTenantRequest { tenant: Some(business(digits)), tenant_id: id.into() };
        self.tenants().create_tenant(request).await.expect("a tenant").into_inner()
    }

    /// Registers a node under a lease that outlives the test.
    pub async fn node(&self, id: &str) -> NodeRecord {
        self.node_that(id, |_| {}).await
    }

    /// Registers a node whose record is changed before.
    pub async fn node_that(&self, id: &str, change: impl FnOnce(&mut NodeRecord)) -> NodeRecord {
        let incarnation = self.registry.grant(Duration::from_secs(600)).await.expect("a lease");
        let mut record = NodeRecord {
            node: NodeId::new(id).expect("an id"),
            incarnation,
            address: "127.0.0.1:9".into(),
            capacity: 50,
            weight: 100,
            zone: "default".into(),
            version: "0.0.0-test".into(),
            leaving: false,
            started_at_ms: 1_700_000_000_123,
        };
        change(&mut record);
        let put =
            Op::Put { key: keys::node(&record.node), value: keys::encode(&record), lease: Some(incarnation) };
        let written = self.registry.commit(&[], &[put]).await.expect("the node's record");
        assert!(matches!(written, Commit::Done { .. }));
        record
    }

    /// Starts the tenant's worker, waits until the controller has placed it, and answers with what its node writes by.
    pub async fn placed(&self, tenant: &str) -> Fence {
        let request = v1::StartWorkerRequest { tenant_id: tenant.into() };
        self.workers().start_worker(request).await.expect("a start");
        let is_placed = || async { !self.worker(tenant).await.node_id.is_empty() };
        wait_until("the worker is placed", SOON, is_placed).await.expect("a placement");
        let generation = Generation(self.worker(tenant).await.generation);
        Fence { tenant: TenantId::new(tenant).expect("an id"), generation }
    }

    pub async fn worker(&self, tenant: &str) -> v1::Worker {
        let request = v1::GetWorkerRequest { tenant_id: tenant.into() };
        self.workers().get_worker(request).await.expect("a worker").into_inner()
    }

    pub async fn tenant_status(&self, id: &str) -> v1::TenantStatus {
        let request = v1::GetTenantRequest { id: id.into() };
        self.tenants().get_tenant(request).await.expect("a tenant").into_inner().status()
    }

    pub async fn delete(&self, id: &str) {
        self.tenants().delete_tenant(v1::DeleteTenantRequest { id: id.into() }).await.expect("a deletion");
    }
}

/// A valid tenant.
pub fn business(digits: u32) -> v1::Tenant {
    v1::Tenant {
        display_name: format!("Duka {digits}"),
        phone: format!("+2557{digits:08}"),
        ..Default::default()
    }
}

/// The error of a call that must fail.
pub fn refused<T>(answer: Result<Response<T>, Status>) -> ApiError {
    match answer {
        Ok(_) => panic!("the call succeeded"),
        Err(status) => error_of(&status),
    }
}

/// The error that a status carries.
pub fn error_of(status: &Status) -> ApiError {
    ApiError::from_status(status).unwrap_or_else(|| panic!("not an error of this API: {status:?}"))
}

/// Asserts the code and gives the fields that are named.
pub fn fields(error: &ApiError, code: ErrorCode) -> Vec<&str> {
    assert_eq!(error.code, code, "{error:?}");
    assert!(!error.message.contains('\n'), "{:?} is more than a line", error.message);
    error.violations.iter().map(|violation| violation.field.as_str()).collect()
}

/// The next answer of a stream, which must come.
pub async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let answer = tokio::time::timeout(SOON, stream.next()).await.expect("an answer in time");
    answer.expect("the stream goes on")
}

/// Reads on until an answer fits.
pub async fn until<T>(stream: &mut Streaming<T>, mut fits: impl FnMut(&T) -> bool) -> T {
    loop {
        let answer = next(stream).await.expect("an answer");
        if fits(&answer) {
            return answer;
        }
    }
}

/// A channel that sends the token.
pub type Authed = InterceptedService<Channel, Bearer>;

#[derive(Clone)]
pub struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = MetadataValue::try_from(format!("Bearer {}", self.0)).expect("a token of ASCII");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}
