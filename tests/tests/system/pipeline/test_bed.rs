//! A migrated database with one tenant, its phone, and its owners one after the other.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use roost_cluster::ledger::Ledger;
use roost_devcluster::Postgres;
use roost_engine::InboundMessage;
use roost_model::{
    Texts,
    ids::{NodeId, Revision, TenantId, Term},
};
use roost_node::pipeline::{Pipeline, PipelineContext};
use roost_responder::TemplateResponder;
use roost_store::{Fence, NewTenant, PostgresLedger, Store, Tenant};
use roost_tests::new_tenant;
use tempfile::TempDir;

use crate::pipeline::phone::{FakePage, Phone};

pub struct TestBed {
    pub postgres: Postgres,
    pub store: Store,
    pub phone: Arc<Phone>,
    ledger: PostgresLedger,
    term: Term,
    pub id: TenantId,
    /// Removed when the bed is dropped, after Postgres.
    pub dir: TempDir,
}

/// One owner of the tenant: a pipeline on a page.
pub struct Life {
    pub pipeline: Pipeline,
    pub page: Arc<FakePage>,
}

impl Life {
    /// The page tells of a message.
    pub fn give(&self, message: InboundMessage) {
        assert!(self.pipeline.intake().offer(message), "the page tells more than its window");
    }

    /// The process is killed: nothing of it runs on.
    pub fn crash(self) {
        self.page.die();
        drop(self.pipeline);
    }
}

impl TestBed {
    /// A tenant that answers `echo: <message>`, at most `limit` times in 60 s.
    pub async fn new(limit: u32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipeline");
        std::fs::create_dir_all(&root).unwrap();
        let prefix = format!("{}-", NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(root).unwrap();
        let postgres = Postgres::start(dir.path()).await.unwrap();
        let store = Store::connect(postgres.url(), 10).await.unwrap();
        store.migrate().await.unwrap();
        let id = TenantId::new("duka").unwrap();
        let texts = Texts { fallback: "echo: {message}".into(), ..Texts::default() };
        let tenant = NewTenant {
            display_name: "Duka".into(),
            texts,
            reply_limit_per_minute: limit,
            ..new_tenant(id.clone(), "+255700000001")
        };
        store.create_tenant(tenant).await.unwrap();
        store.start_worker(&id).await.unwrap();
        let ledger = PostgresLedger::new(store.clone());
        let term = ledger.begin_term("etcd", Revision(1), "coordinator/a").await.unwrap();
        Self { postgres, store, phone: Arc::default(), ledger, term, id, dir }
    }

    pub async fn tenant(&self) -> Tenant {
        self.store.get_tenant(&self.id).await.unwrap()
    }

    /// A new generation: every earlier owner is fenced off from here on.
    pub async fn place(&self) -> Fence {
        let placement = [(self.id.clone(), NodeId::new("a").unwrap())];
        loop {
            // A tenant whose row is held for a moment is left out.
            let placed = self.ledger.place(self.term, &placement).await.unwrap();
            if let Some((tenant, generation)) = placed.into_iter().next() {
                return Fence { tenant, generation };
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The next owner, whose page is connected and has been given what the phone still has to deliver.
    pub async fn next_life(&self) -> Life {
        let fence = self.place().await;
        self.life_of(fence).await
    }

    pub async fn life_of(&self, fence: Fence) -> Life {
        self.life_on(fence, FakePage::new(self.phone.clone())).await
    }

    pub async fn life_on(&self, fence: Fence, page: Arc<FakePage>) -> Life {
        let pipeline = Pipeline::spawn(PipelineContext {
            fence,
            store: self.store.clone(),
            tenant: Arc::new(self.tenant().await),
            responder: Arc::new(TemplateResponder),
            traffic: Default::default(),
            sends: Default::default(),
        });
        pipeline.set_gate(Some(page.clone()), true, true);
        for message in self.phone.unacknowledged() {
            assert!(pipeline.intake().offer(message));
        }
        Life { pipeline, page }
    }

    /// One number, by plain SQL.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.unwrap()
    }

    /// Waits until nothing is pending in either queue and nothing waits to be acknowledged.
    pub async fn settle(&self) {
        let pending = "select (select count(*) from bm_in where state = 'PENDING')
            + (select count(*) from bm_out where state = 'PENDING')";
        for _ in 0..3_000 {
            if self.phone.unacknowledged().is_empty() && self.number(pending).await == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!(
            "{} rows are still pending, {} messages unacknowledged",
            self.number(pending).await,
            self.phone.unacknowledged().len()
        );
    }
}
