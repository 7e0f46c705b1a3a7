//! The connection to Postgres: a pool with limits that hold when Postgres is slow, frozen or gone.

use std::{
    path::PathBuf,
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    raw_sql,
};
use tokio::sync::{OnceCell, broadcast};

use crate::{
    StoreError,
    changes::{Change, ClusterChange, Listener},
    connecting::Connecting,
    durability::{Durability, DurabilityGap, wait_for_the_disk},
    first_contact::first_contact,
    migrations,
    turnover::{Turnover, is_read_only},
};

/// The longest any call takes.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection, new or from the pool, is there within this time or not at all.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that has been idle longer is asked whether it still works, and takes writes, before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The database, as typed calls. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    connecting: Connecting,
    met: OnceCell<()>,
    turnover: Turnover,
    durability: Durability,
    listener: OnceLock<Listener>,
}

impl Store {
    /// Connects, or fails when Postgres cannot be reached now.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let store = Self::connect_lazy(url, max_connections)?;
        store.ping().await?;
        Ok(store)
    }

    /// Connects at the first call; for processes that start and keep running while Postgres is down.
    pub fn connect_lazy(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        Self::connect_lazy_with(url, None, max_connections)
    }

    /// The same with the password that is in a file whenever a connection is made.
    pub fn connect_lazy_with(
        url: &str,
        password_file: Option<PathBuf>,
        max_connections: u32,
    ) -> Result<Self, StoreError> {
        let connecting = Connecting::new(connect_options(url)?, password_file)?;
        let turnover = Turnover::default();
        let made_since = turnover.clone();
        let durability = Durability::default();
        let demanded = durability.clone();
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, usage| {
                let is_outdated = made_since.is_outdated(usage.age);
                Box::pin(async move {
                    let is_trusted = usage.idle_for <= TRUSTED_IDLE;
                    Ok(!is_outdated && (is_trusted || !is_read_only(connection).await?))
                })
            })
            .after_connect(move |connection, _| {
                let durability = demanded.clone();
                Box::pin(async move {
                    set_limits(connection).await?;
                    durability.demand(connection).await
                })
            })
            .connect_lazy_with(connecting.options());
        let (met, listener) = (OnceCell::new(), OnceLock::new());
        Ok(Self { inner: Arc::new(Inner { pool, connecting, met, turnover, durability, listener }) })
    }

    /// Once in the life of a process the database is looked at before it is used.
    pub(crate) async fn met(&self) -> Result<(), StoreError> {
        let Inner { met, connecting, .. } = &*self.inner;
        let meeting = met.get_or_try_init(|| first_contact(connecting));
        match tokio::time::timeout(ACQUIRE_TIMEOUT, meeting).await {
            Ok(met) => met.copied(),
            Err(_elapsed) => {
                Err(StoreError::Unavailable { step: "the first contact", source: sqlx::Error::PoolTimedOut })
            }
        }
    }

    /// Brings the schema up to this program's version. Several processes may do so at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.met().await?;
        // On a connection of its own: a migration may take longer than any call is given.
        let step = "migrate";
        let options = self.inner.connecting.options();
        let connecting = PgConnection::connect_with(&options);
        let mut connection = match tokio::time::timeout(ACQUIRE_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|source| StoreError::from_driver(step, source))?,
            Err(_elapsed) => return Err(StoreError::Unavailable { step, source: sqlx::Error::PoolTimedOut }),
        };
        wait_for_the_disk(&mut connection).await.map_err(|source| StoreError::from_driver(step, source))?;
        check_encoding(&mut connection).await?;
        migrations::run(&mut connection).await.map_err(|source| StoreError::Migration { source })?;
        connection.close().await.map_err(|source| StoreError::from_driver(step, source))
    }

    /// Whether Postgres answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.one("ping", sqlx::query!(r#"select true as "up!""#)).await.map(|_row| ())
    }

    /// Why the server that answered last may forget what it has committed; nothing before the first contact.
    pub fn durability_gaps(&self) -> Vec<DurabilityGap> {
        self.inner.durability.gaps()
    }

    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// That of now, with the password of now.
    pub(crate) fn pool_to_connect(&self) -> &PgPool {
        self.inner.connecting.tell(&self.inner.pool);
        &self.inner.pool
    }

    pub(crate) fn turnover(&self) -> Turnover {
        self.inner.turnover.clone()
    }

    /// The changes of tenants from now on. One connection serves all receivers of a process.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.listener().tenants()
    }

    /// The changes of the cluster from now on, over the same connection.
    pub fn cluster_changes(&self) -> broadcast::Receiver<ClusterChange> {
        self.listener().cluster()
    }

    fn listener(&self) -> &Listener {
        self.inner.listener.get_or_init(|| Listener::spawn(self.inner.connecting.clone(), self.turnover()))
    }
}

/// Nothing that a pooler between would not take, or would take and forget, is asked for as a parameter of the connection.
fn connect_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|source| StoreError::Url { source })?;
    let options = options.application_name("roost").extra_float_digits(None);
    let has_root = options.to_url_lossy().query_pairs().any(|(name, _)| name == "sslrootcert");
    match options.get_ssl_mode() {
        // Of the driver; it would be plain text where the server takes TLS as well.
        PgSslMode::Allow => Err(StoreError::Unusable {
            what: "sslmode=allow is not taken: give disable, prefer, require, verify-ca or verify-full in --database-url"
                .to_owned(),
        }),
        // As libpq does: who names a root wants it to be looked at.
        PgSslMode::Require if has_root => Ok(options.ssl_mode(PgSslMode::VerifyCa)),
        _ => Ok(options),
    }
}

/// Before the first table is made: a database of another encoding works until a customer sends an emoji, and its encoding
/// cannot be changed.
async fn check_encoding(connection: &mut sqlx::PgConnection) -> Result<(), StoreError> {
    let query = sqlx::query!(r#"select current_setting('server_encoding') as "encoding!""#);
    let asked = query.fetch_one(connection).await;
    let encoding = asked.map_err(|source| StoreError::from_driver("read the encoding", source))?.encoding;
    if encoding == "UTF8" { Ok(()) } else { Err(StoreError::Encoding { encoding }) }
}

/// The server's side of the same limits, so that a client that has given up, or is frozen, leaves no statement and no
/// lock behind. They end before the client's [`CALL_TIMEOUT`], whose reason is then the server's.
async fn set_limits(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let statement = CALL_TIMEOUT.mul_f32(0.8).as_millis();
    let lock = CALL_TIMEOUT.mul_f32(0.4).as_millis();
    let idle = CALL_TIMEOUT.as_millis();
    // A plan is made once in the life of a connection, and for a table that is small by then reading all of it looks cheaper
    // than an index, unless a page out of order costs what it does where most of them are in memory.
    //
    // A statement over many tables is taken for a long one by its estimates, and compiling it takes seconds longer than
    // running it.
    let limits = format!(
        "set statement_timeout = {statement}; set lock_timeout = {lock}; \
         set idle_in_transaction_session_timeout = {idle}; set jit = off; \
         set random_page_cost = 1.1"
    );
    raw_sql(AssertSqlSafe(limits)).execute(connection).await.map(drop)
}
