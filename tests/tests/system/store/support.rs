//! A database of its own for each test, and short words for what tests do.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use roost_cluster::ledger::Ledger;
use roost_devcluster::Postgres;
use roost_model::ids::{NodeId, Revision, TenantId, Term};
use roost_store::{
    Admitted, Completion, DeletionBatch, Fence, Inbound, NewInbound, NewOutbound, NewTenant, PostgresLedger,
    Requester, Store, StoreError,
};
use sqlx::{Connection, Executor, PgConnection};
use time::OffsetDateTime;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

/// A migrated database, and a controller that leads it.
pub struct Db {
    pub store: Store,
    pub ledger: PostgresLedger,
    pub term: Term,
    pub url: String,
}

impl Db {
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = server().await;
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(server.url()).await.unwrap();
        let create = format!("create database {name} template migrated");
        admin.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
        let url = with_database(server.url(), &name);
        let store = Store::connect(&url, 10).await.unwrap();
        let ledger = PostgresLedger::new(store.clone());
        let term = ledger.begin_term("etcd", Revision(10), "coordinator/a").await.unwrap();
        Self { store, ledger, term, url }
    }

    /// A tenant whose worker runs on node `a`, and its owner's fence.
    pub async fn owned(&self, id: &str) -> Fence {
        self.store.create_tenant(new_tenant(id)).await.unwrap();
        self.store.start_worker(&tenant(id)).await.unwrap();
        self.place(&tenant(id), "a").await
    }

    /// Gives the tenant to a node; any earlier fence is old from here on.
    pub async fn place(&self, tenant: &TenantId, node: &str) -> Fence {
        let placement = [(tenant.clone(), NodeId::new(node).unwrap())];
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            // A tenant whose row is held for a moment is left out.
            let placed = self.ledger.place(self.term, &placement).await.unwrap();
            if let Some((tenant, generation)) = placed.into_iter().next() {
                return Fence { tenant, generation };
            }
            assert!(Instant::now() < deadline, "the tenant is there");
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Removes what deleted tenants have left, and answers with those of which all is gone.
    pub async fn finish_deletions(&self) -> Vec<TenantId> {
        let mut finished = vec![];
        loop {
            match self.store.delete_next_batch().await.unwrap() {
                DeletionBatch::Finished { tenant } => finished.push(tenant),
                DeletionBatch::Removed { .. } => {}
                DeletionBatch::Elsewhere => sleep(Duration::from_millis(1)).await,
                DeletionBatch::Nothing => return finished,
            }
        }
    }

    /// Messages and replies that wait and are not told by a row of `bm_pending`, and such rows of others.
    pub async fn astray(&self) -> i64 {
        self.number(
            "select count(*) from (
                select tenant_id, 'IN'::message_direction as direction, id from bm_in where state = 'PENDING'
                union all select tenant_id, 'OUT', id from bm_out where state = 'PENDING'
            ) waits full join bm_pending told using (tenant_id, direction, id)
            where waits.id is null or told.id is null",
        )
        .await
    }

    /// One number, by plain SQL.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.unwrap()
    }

    /// One text, by plain SQL.
    pub async fn text(&self, sql: &'static str) -> String {
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.unwrap()
    }

    pub async fn execute(&self, sql: &'static str) {
        self.store.pool().execute(sql).await.unwrap();
    }

    /// Makes many rows: without the time limits of the store's connections, and telling nobody.
    pub async fn fill(&self, statements: &[&'static str]) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        connection.execute("set session_replication_role = replica").await.unwrap();
        for sql in statements {
            connection.execute(*sql).await.unwrap();
        }
        connection.execute("vacuum analyze").await.unwrap();
    }
}

/// The server of this binary. It dies with the process; its data is removed at the next start.
async fn server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store");
            std::fs::remove_dir_all(&dir).ok();
            std::fs::create_dir_all(&dir).unwrap();
            let postgres = Postgres::start(&dir).await.unwrap();
            let mut admin = PgConnection::connect(postgres.url()).await.unwrap();
            // Processes die here, never the machine, and what the kernel has outlives them.
            admin.execute("alter system set fsync = off").await.unwrap();
            admin.execute("select pg_reload_conf()").await.unwrap();
            admin.execute("create database migrated").await.unwrap();
            let template = Store::connect(&with_database(postgres.url(), "migrated"), 1).await.unwrap();
            template.migrate().await.unwrap();
            template.pool().close().await;
            postgres
        })
        .await
}

pub fn with_database(url: &str, name: &str) -> String {
    format!("{}/{name}", url.rsplit_once('/').expect("a URL with a path").0)
}

/// From now on every change of a tenant's row is refused with this SQLSTATE.
pub async fn refuse_changes_of_tenants(store: &Store, code: &str) {
    let sql = format!(
        "create or replace function refuse() returns trigger language plpgsql
            as $$ begin raise exception 'refused by the test' using errcode = '{code}'; end $$;
        create or replace trigger refuse before update on tenants for each row execute function refuse()"
    );
    store.pool().execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
}

pub fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

pub fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

pub fn by(name: &str, reason: &str) -> Requester {
    Requester { name: name.into(), reason: reason.into() }
}

/// The phone number follows from the id, so that different tenants have different ones.
pub fn new_tenant(id: &str) -> NewTenant {
    let digits: String = id.bytes().map(|byte| (byte % 10).to_string()).collect();
    let new = roost_tests::new_tenant(tenant(id), format!("+2557{digits}"));
    NewTenant { reply_limit_per_minute: 10, ..new }
}

pub fn message(whatsapp_id: &str, chat: &str) -> NewInbound {
    NewInbound {
        whatsapp_id: whatsapp_id.into(),
        chat: chat.into(),
        sender: chat.into(),
        body: format!("body of {whatsapp_id}"),
        received_at: OffsetDateTime::now_utc(),
        undecoded: None,
    }
}

/// One that was written so many seconds ago.
pub fn written(seconds_ago: i64, whatsapp_id: &str, chat: &str) -> NewInbound {
    let received_at = OffsetDateTime::now_utc() - time::Duration::seconds(seconds_ago);
    NewInbound { received_at, ..message(whatsapp_id, chat) }
}

pub fn reply(to: &Inbound) -> NewOutbound {
    NewOutbound {
        seq: 0,
        whatsapp_id: format!("reply-{}", to.whatsapp_id),
        chat: to.chat.clone(),
        body: format!("echo: {}", to.body),
        counted: true,
        claimed: false,
    }
}

pub fn answer(to: &Inbound) -> Completion {
    Completion { inbound_id: to.id, replies: vec![reply(to)], suppressed: None }
}

pub fn ids(admitted: &[Admitted]) -> Vec<i64> {
    admitted.iter().map(|admitted| admitted.id).collect()
}

#[track_caller]
pub fn assert_fenced<T: std::fmt::Debug>(outcome: Result<T, StoreError>, fence: &Fence) {
    match outcome {
        Err(StoreError::Fenced { tenant, generation }) => {
            assert_eq!((&tenant, generation), (&fence.tenant, fence.generation));
        }
        other => panic!("an old generation was not refused: {other:?}"),
    }
}
