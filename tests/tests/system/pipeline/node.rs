//! What a worker stands on: the null engine, a snapshot store, the standing of its node, and the word on who owns its tenant.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use roost_cluster::lease_deadline::Standing;
use roost_engine::{PageEvent, null::NullEngine, run_as::RunAs};
use roost_model::ids::{Generation, TenantId};
use roost_node::{
    env::NodeEnv,
    host::{impairments::Impairments, named_store::NamedStore},
    launch_queue::LaunchQueue,
    logins::Logins,
    resources::Resources,
    session::{Profiles, SnapshotKeys, SnapshotStore},
    spares::Spares,
    start_times::StartTimes,
    symptoms::Symptoms,
    worker::{
        OwnershipCheck, OwnershipUnknown, RestartTiming, State, WarmStandby, Worker, WorkerContext,
        WorkerHandle, WorkerTiming,
    },
};
use roost_store::{ConditionKind, Fence, SessionStatus, WorkerStatus};
use tokio::{sync::watch, time::timeout};

use crate::pipeline::test_bed::TestBed;

pub const SOON: Duration = Duration::from_secs(60);

/// Starts of its pages.
pub const AT_ONCE: usize = 2;

/// A node with one worker.
pub struct Node {
    pub bed: TestBed,
    pub engine: NullEngine,
    pub snapshots: SnapshotStore,
    pub standing: watch::Sender<Standing>,
    pub owner: Arc<Owner>,
    pub launches: Arc<LaunchQueue>,
    pub resources: Resources,
    pub spares: Spares,
}

pub struct Owner(pub AtomicBool);

#[async_trait]
impl OwnershipCheck for Owner {
    async fn still_owner(&self, _: &TenantId, _: Generation) -> Result<bool, OwnershipUnknown> {
        Ok(self.0.load(Ordering::Relaxed))
    }
}

impl Node {
    pub async fn new() -> Self {
        let bed = TestBed::new(0).await;
        let key = SnapshotKeys::from_hex(&"5a".repeat(32)).unwrap();
        let snapshots = SnapshotStore::open(bed.dir.path().join("objects").to_str().unwrap(), key).unwrap();
        let (standing, _) = watch::channel(Standing::Good);
        Self {
            bed,
            engine: NullEngine::default(),
            snapshots,
            standing,
            owner: Arc::new(Owner(AtomicBool::new(true))),
            launches: LaunchQueue::new(AT_ONCE),
            resources: Resources::default(),
            spares: Spares::none(),
        }
    }

    /// The tenant's next owner, with profiles of its own under `name`.
    async fn spawn(&self, name: &str) -> WorkerHandle {
        let fence = self.bed.place().await;
        self.spawn_as(fence, name).await
    }

    pub async fn spawn_as(&self, fence: Fence, name: &str) -> WorkerHandle {
        self.spawn_with(fence, name, self.engine.clone(), None).await
    }

    pub async fn spawn_with(
        &self,
        fence: Fence,
        name: &str,
        engine: NullEngine,
        warm: Option<WarmStandby>,
    ) -> WorkerHandle {
        let spec = self.bed.store.worker_spec(&self.bed.id).await.unwrap();
        Worker::spawn(WorkerContext {
            fence,
            spec,
            env: self.env(name, engine),
            failures: 0,
            warm,
            standing: self.standing.subscribe(),
            ownership: self.owner.clone(),
            timing: WorkerTiming {
                probe_every: Duration::from_millis(100),
                look_every: Duration::from_millis(200),
                looked_apart: Duration::from_millis(400),
                planned_restart: RestartTiming {
                    young: Duration::ZERO,
                    quiet: Duration::from_millis(200),
                    ..WorkerTiming::default().planned_restart
                },
                ..WorkerTiming::default()
            },
            reported_every: Duration::from_secs(60),
        })
    }

    /// What a worker has on a node called so.
    pub fn env(&self, name: &str, engine: NullEngine) -> Arc<NodeEnv> {
        Arc::new(NodeEnv {
            store: self.bed.store.clone(),
            engine: Arc::new(engine),
            snapshots: self.snapshots.clone(),
            named_store: NamedStore::default(),
            profiles: self.profiles(name),
            launches: self.launches.clone(),
            start_times: StartTimes::default(),
            symptoms: Symptoms::default(),
            impairments: Impairments::default(),
            logins: Logins::default(),
            resources: self.resources.clone(),
            spares: self.spares.clone(),
            versions: Default::default(),
        })
    }

    /// Those of a node called so.
    pub fn profiles(&self, name: &str) -> Profiles {
        Profiles::open(&self.bed.dir.path().join(name), RunAs::Caller).unwrap()
    }

    pub async fn running(&self, name: &str) -> WorkerHandle {
        let worker = self.spawn(name).await;
        self.wait_until_running(&worker).await;
        worker
    }

    pub async fn wait_until_running(&self, worker: &WorkerHandle) {
        wait(worker, |state| matches!(state, State::Running { .. })).await;
        self.until("the session is CONNECTED", async || {
            let worker = self.bed.store.get_worker(&self.bed.id).await.unwrap();
            worker.session_status == SessionStatus::Connected && worker.status == WorkerStatus::Running
        })
        .await;
    }

    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let poll = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, poll).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    /// What operators are told.
    pub async fn until_it_waits_for(&self, kind: ConditionKind) {
        let told = async || self.bed.store.get_worker(&self.bed.id).await.unwrap().condition.kind;
        self.until(&format!("{kind:?}"), async || told().await == kind).await;
    }

    pub fn raise(&self, event: PageEvent) {
        assert!(self.engine.raise(&self.bed.id, event), "there is no page to raise an event on");
    }

    pub async fn session_status(&self) -> SessionStatus {
        self.bed.store.get_session(&self.bed.id).await.unwrap().status
    }
}

pub async fn wait(worker: &WorkerHandle, is_so: impl FnMut(&State) -> bool) {
    let mut state = worker.state();
    let reached = timeout(SOON, state.wait_for(is_so)).await;
    assert!(matches!(reached, Ok(Ok(_))), "it is {}", *worker.state().borrow());
}
