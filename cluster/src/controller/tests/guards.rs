//! What a controller cannot do: act after it was deposed, publish what it did not place, trust a write without an
//! answer.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use roost_model::ids::{Generation, Incarnation, Revision, Term};
use tokio::sync::{mpsc, watch};

use super::{
    node::TestNode,
    test_cluster::{TestCluster, node_id, tenant},
};
use crate::{
    controller::{
        context::{Context, ControllerStatus, EtcdContact, WriteAuthority},
        error::ControllerError,
        failure_detector::Assessment,
        pass::PassState,
        plan_inputs::{DesiredByTenant, Mirror, PlanInputs},
    },
    election::{self, Leadership},
    keys,
    lease::LeaseKeeper,
    ledger::{Ledger, Orders},
    plan,
    registry::{
        Change, Commit, Guard, Listing, MemoryRegistry, Op, Reading, Registry, RegistryError, SharedRegistry,
    },
};

/// Loses commits on the way: the caller gets no answer, and they may arrive later.
struct LossyRegistry {
    inner: Arc<MemoryRegistry>,
    lossy: Mutex<bool>,
    lost: Mutex<Vec<(Vec<Guard>, Vec<Op>)>>,
}

impl LossyRegistry {
    fn new(inner: Arc<MemoryRegistry>) -> Arc<Self> {
        Arc::new(Self { inner, lossy: Mutex::new(false), lost: Mutex::default() })
    }

    fn lose_commits(&self, lossy: bool) {
        *self.lossy.lock() = lossy;
    }

    /// What was lost arrives after all.
    async fn deliver_late(&self) -> Vec<Commit> {
        let lost = std::mem::take(&mut *self.lost.lock());
        let mut answers = Vec::new();
        for (guards, ops) in lost {
            answers.push(self.inner.commit(&guards, &ops).await.unwrap());
        }
        answers
    }
}

#[async_trait]
impl Registry for LossyRegistry {
    async fn cluster_id(&self) -> Result<String, RegistryError> {
        self.inner.cluster_id().await
    }
    async fn grant(&self, ttl: Duration) -> Result<Incarnation, RegistryError> {
        self.inner.grant(ttl).await
    }
    async fn keep_alive(&self, lease: Incarnation, key: &str) -> Result<(), RegistryError> {
        self.inner.keep_alive(lease, key).await
    }
    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError> {
        self.inner.revoke(lease).await
    }
    async fn read(&self, key: &str) -> Result<Reading, RegistryError> {
        self.inner.read(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        self.inner.list(prefix).await
    }
    async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError> {
        if *self.lossy.lock() {
            self.lost.lock().push((guards.to_vec(), ops.to_vec()));
            return Err(RegistryError::Unavailable {
                step: "a commit",
                reason: "lost on the way".to_owned(),
            });
        }
        self.inner.commit(guards, ops).await
    }
    async fn compact(&self, revision: Revision) -> Result<(), RegistryError> {
        self.inner.compact(revision).await
    }
    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.inner.watch(prefix, after).await
    }
    async fn watch_key(
        &self,
        key: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.inner.watch_key(key, after).await
    }
}

/// One controller, step by step.
struct Stepper {
    context: Context,
    leadership: Leadership,
    term: Term,
    keeper: LeaseKeeper,
}

impl Stepper {
    async fn elected(cluster: &TestCluster, registry: SharedRegistry, name: &str) -> Self {
        let config = cluster.config(name);
        let stand =
            election::stand(registry.as_ref(), cluster.clock.as_ref(), &config.timing, &config.candidate);
        let leadership = stand.await.unwrap().unwrap();
        let term = cluster.ledger.begin_term("store", leadership.revision, name).await.unwrap();
        let keeper =
            LeaseKeeper::spawn(registry.clone(), config.clock.clone(), config.timing, leadership.held());
        let (status, _) = watch::channel(ControllerStatus::default());
        let etcd = Mutex::new(EtcdContact::new(config.timing.ttl));
        let (challenged, challenge_from) = (Mutex::default(), Mutex::default());
        let (ledger, adopt_store) = (cluster.ledger.clone(), AtomicBool::new(false));
        let context =
            Context { registry, ledger, config, status, etcd, challenged, challenge_from, adopt_store };
        Self { context, leadership, term, keeper }
    }

    fn authority(&self) -> WriteAuthority<'_> {
        WriteAuthority { leadership: &self.leadership, term: self.term, keeper: &self.keeper }
    }

    async fn pass(&self) -> Result<bool, ControllerError> {
        let mut state = PassState::new(self.context.config.timing, self.context.config.clock.now());
        self.context.pass(&self.authority(), &mut state).await.map(|passed| passed.again)
    }

    async fn resign(&self) {
        self.context.registry.revoke(self.leadership.lease).await.unwrap();
    }
}

async fn cluster_with_nodes() -> (TestCluster, Vec<TestNode>) {
    let cluster = TestCluster::new();
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        nodes.push(cluster.node(name));
        cluster
            .until(async || cluster.registry.get(&keys::node(&node_id(name))).await.unwrap().is_some())
            .await;
    }
    cluster.ledger.add(&tenant(0), true);
    (cluster, nodes)
}

#[tokio::test(start_paused = true)]
async fn a_deposed_controller_changes_nothing() {
    let (cluster, _nodes) = cluster_with_nodes().await;
    let old = Stepper::elected(&cluster, cluster.registry.clone(), "old").await;
    // It has read and planned, and then it is frozen; another is elected.
    let mut mirror = Mirror::default();
    mirror.refresh(cluster.registry.as_ref(), &old.leadership).await.unwrap();
    let desired_tenants = cluster.ledger.desired_tenants().await.unwrap();
    let by_tenant: DesiredByTenant<'_> =
        desired_tenants.iter().map(|desired| (&desired.tenant, desired)).collect();
    let inputs = PlanInputs::new(&Orders::default(), &Assessment::default(), &desired_tenants);
    let view = mirror.view();
    let plan = plan::plan(&view.snapshot(&desired_tenants, &by_tenant, &inputs));
    assert_eq!(plan.placements().count(), 1);
    old.resign().await;
    let _new = Stepper::elected(&cluster, cluster.registry.clone(), "new").await;

    let placed = old.context.place(&old.authority(), &plan, &by_tenant, &mut HashMap::new()).await;
    assert!(matches!(placed, Err(ControllerError::Deposed { term: Term(2) })), "{placed:?}");
    let generations = [(tenant(0), Generation(1))].into();
    old.context.publish(&old.authority(), view, &plan, &generations, &by_tenant).await.unwrap();
    let passed = old.pass().await;
    assert!(matches!(passed, Err(ControllerError::Superseded)), "{passed:?}");

    assert_eq!(cluster.published().await, [].into());
    let untouched = cluster.ledger.desired(&tenant(0)).unwrap();
    assert_eq!((untouched.generation, untouched.node), (Generation(0), None));
}

#[tokio::test(start_paused = true)]
async fn what_was_placed_and_not_published_is_placed_again_under_the_next_generation() {
    let (cluster, _nodes) = cluster_with_nodes().await;
    let registry = LossyRegistry::new(cluster.registry.clone());
    let first = Stepper::elected(&cluster, registry.clone(), "first").await;
    registry.lose_commits(true);
    let passed = first.pass().await;
    assert!(passed.as_ref().is_err_and(ControllerError::ends_the_term), "{passed:?}");
    assert_eq!(cluster.ledger.desired(&tenant(0)).unwrap().generation, Generation(1));
    assert_eq!(cluster.published().await, [].into());

    registry.lose_commits(false);
    first.resign().await;
    let second = Stepper::elected(&cluster, registry.clone(), "second").await;
    assert!(second.pass().await.unwrap());
    assert_eq!(cluster.generation(&tenant(0)).await, Some(Generation(2)));
    assert!(!second.pass().await.unwrap(), "there is nothing left to do");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_arrives_after_the_term_it_was_made_in_is_refused() {
    let (cluster, _nodes) = cluster_with_nodes().await;
    let registry = LossyRegistry::new(cluster.registry.clone());
    let first = Stepper::elected(&cluster, registry.clone(), "first").await;
    registry.lose_commits(true);
    assert!(first.pass().await.is_err());
    registry.lose_commits(false);
    first.resign().await;
    let second = Stepper::elected(&cluster, registry.clone(), "second").await;
    assert_eq!(registry.deliver_late().await, [Commit::Refused]);
    second.pass().await.unwrap();
    assert_eq!(registry.deliver_late().await, []);
    assert_eq!(cluster.published().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_controller_goes_on_after_a_lost_commit_in_a_new_term() {
    let (cluster, _nodes) = cluster_with_nodes().await;
    let registry = LossyRegistry::new(cluster.registry.clone());
    let stepper = Stepper::elected(&cluster, registry.clone(), "stepper").await;
    stepper.resign().await;
    let controller =
        crate::controller::Controller::new(registry.clone(), cluster.ledger.clone(), cluster.config("one"));
    let status = controller.status();
    tokio::spawn(controller.run(Default::default()));
    cluster.until(async || cluster.judge.browsers() == 1).await;
    let term = status.borrow().term;
    registry.lose_commits(true);
    cluster.ledger.add(&tenant(1), true);
    cluster.until(async || !registry.lost.lock().is_empty()).await;
    registry.lose_commits(false);
    cluster.until(async || cluster.judge.browsers() == 2).await;
    assert!(status.borrow().term > term);
    assert!(registry.deliver_late().await.iter().all(|answer| *answer == Commit::Refused));
}

#[tokio::test(start_paused = true)]
async fn one_of_many_candidates_is_elected() {
    let cluster = TestCluster::new();
    let config = cluster.config("candidate");
    let mut elected = 0;
    for _ in 0..5 {
        let stand = election::stand(
            cluster.registry.as_ref(),
            cluster.clock.as_ref(),
            &config.timing,
            &config.candidate,
        );
        elected += usize::from(stand.await.unwrap().is_some());
    }
    assert_eq!(elected, 1);
}
