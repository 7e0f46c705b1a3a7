//! A node without workers: registers, takes in its assignments, opens and closes browsers at the judge, acknowledges,
//! and kills what it has at its deadline.

use std::{collections::BTreeMap, sync::Arc};

use roost_model::ids::{Generation, Incarnation, NodeId, TenantId};
use tokio::{sync::watch, task::JoinHandle};

use super::test_cluster::Judge;
use crate::{
    clock::{Clock, RuntimeClock},
    keys,
    lease::{HeldKey, LeaseKeeper},
    records::{
        AckRecord, AssignmentRecord, FailedPreparation, HeldTenant, Impairment, ImpairmentKind, NextToLeave,
        NodeRecord, Phase,
    },
    registry::{Commit, Guard, MemoryRegistry, Op, Registry, RegistryError},
    timing::Timing,
};

pub(super) struct TestNode {
    lives: watch::Receiver<Option<Incarnation>>,
    wishes: watch::Sender<Wishes>,
    task: JoinHandle<()>,
    judge: Arc<Judge>,
    registry: Arc<MemoryRegistry>,
}

#[derive(Clone, PartialEq, Eq)]
struct Wishes {
    leaving: bool,
    /// Browsers close when they are to.
    lets_go: bool,
    /// Preparations come to an end.
    prepares: bool,
    /// They come to nothing.
    fails_to_prepare: bool,
    impairments: Vec<Impairment>,
}

/// What a node says of itself.
#[derive(Clone, Copy)]
pub(super) struct Traits {
    pub(super) capacity: u32,
    pub(super) zone: &'static str,
}

impl Default for Traits {
    fn default() -> Self {
        Self { capacity: 50, zone: "default" }
    }
}

impl TestNode {
    pub(super) fn start(
        registry: Arc<MemoryRegistry>,
        clock: Arc<RuntimeClock>,
        judge: Arc<Judge>,
        id: NodeId,
        traits: Traits,
    ) -> Self {
        let (life, lives) = watch::channel(None);
        let (wishes, heard) = watch::channel(Wishes {
            leaving: false,
            lets_go: true,
            prepares: true,
            fails_to_prepare: false,
            impairments: Vec::new(),
        });
        let body = Body {
            registry: registry.clone(),
            clock,
            judge: judge.clone(),
            id,
            traits,
            life,
            wishes: heard,
            acknowledged: None,
        };
        Self { lives, wishes, task: tokio::spawn(body.live()), judge, registry }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.lives.borrow().unwrap()
    }

    /// Its browsers and its process are gone; the lease runs out.
    pub(super) fn kill(&self) {
        self.task.abort();
        self.judge.closed_all(self.incarnation());
    }

    /// Its guard has seen to the browsers and ends the lease.
    pub(super) async fn crash(&self) {
        self.kill();
        self.registry.revoke(self.incarnation()).await.unwrap();
    }

    pub(super) fn leave(&self) {
        self.wishes.send_modify(|wishes| wishes.leaving = true);
    }

    pub(super) fn keep_browsers(&self, keep: bool) {
        self.wishes.send_modify(|wishes| wishes.lets_go = !keep);
    }

    /// From now on it says that it is impaired by these, or that it is well.
    pub(super) fn impair(&self, kinds: &[ImpairmentKind]) {
        let impairments = kinds.iter().map(|kind| Impairment::new(*kind, "x", 0)).collect();
        self.wishes.send_modify(|wishes| wishes.impairments = impairments);
    }

    /// From now on it says that it is short of memory, and who is to leave it next.
    pub(super) fn want_elsewhere(&self, tenant: &TenantId) {
        let next = NextToLeave { tenant: tenant.clone(), used_bytes: 300 << 20, requested_bytes: 128 << 20 };
        let short =
            Impairment { next_to_leave: Some(next), ..Impairment::new(ImpairmentKind::Memory, "x", 0) };
        self.wishes.send_modify(|wishes| wishes.impairments = vec![short]);
    }

    /// From now on it says of every preparation that it has failed.
    pub(super) fn fail_to_prepare(&self) {
        self.wishes.send_modify(|wishes| (wishes.prepares, wishes.fails_to_prepare) = (false, true));
    }

    /// Preparations that were begun or are begun from now on do not end, or do again.
    pub(super) fn never_prepare(&self, never: bool) {
        self.wishes.send_modify(|wishes| wishes.prepares = !never);
    }
}

/// Some tests build one cluster after the other: the last one's nodes are no part of the next.
impl Drop for TestNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Body {
    registry: Arc<MemoryRegistry>,
    clock: Arc<RuntimeClock>,
    judge: Arc<Judge>,
    id: NodeId,
    traits: Traits,
    life: watch::Sender<Option<Incarnation>>,
    wishes: watch::Receiver<Wishes>,
    acknowledged: Option<AckRecord>,
}

impl Body {
    async fn live(mut self) {
        let timing = Timing::default();
        loop {
            let sent_at = self.clock.now();
            if let Ok(lease) = self.registry.grant(timing.ttl).await {
                let held = HeldKey { lease, key: keys::node(&self.id), sent_at };
                let keeper = LeaseKeeper::spawn(self.registry.clone(), self.clock.clone(), timing, held);
                tokio::select! {
                    () = keeper.ended() => {}
                    Err(_) = self.work(lease) => {}
                }
                self.judge.closed_all(lease);
            }
            tokio::time::sleep(timing.keepalive_retry).await;
        }
    }

    async fn work(&mut self, lease: Incarnation) -> Result<(), RegistryError> {
        self.register(lease, Guard::Absent { key: keys::node(&self.id) }).await?;
        self.life.send_replace(Some(lease));
        let key = keys::assignments(&self.id);
        let mut held = BTreeMap::new();
        loop {
            let published = self.registry.list(&key).await?;
            let mut changes = self.registry.watch(&key, published.revision).await?;
            if let Some(entry) = published.entries.first() {
                // One that cannot be read changes nothing.
                if let Ok::<AssignmentRecord, _>(record) = keys::decode(entry)
                    && record.incarnation == lease
                {
                    self.take_in(lease, &record, &mut held);
                    let wishes = self.wishes.borrow().clone();
                    let prepared = preparing(&record, wishes.prepares);
                    let failed = preparing(&record, wishes.fails_to_prepare).into_iter().map(failed);
                    self.acknowledge(lease, entry.mod_revision, &held, prepared, failed.collect()).await?;
                }
            }
            tokio::select! {
                _ = changes.recv() => {}
                _ = self.wishes.changed() => {
                    self.wishes.mark_unchanged();
                    let own = Guard::ModifiedAt { key: keys::node(&self.id), revision: self.own_revision().await? };
                    self.register(lease, own).await?;
                }
                () = tokio::time::sleep(Timing::default().reconcile_every) => {}
            }
        }
    }

    async fn own_revision(&self) -> Result<roost_model::ids::Revision, RegistryError> {
        Ok(self
            .registry
            .get(&keys::node(&self.id))
            .await?
            .map(|entry| entry.mod_revision)
            .unwrap_or_default())
    }

    async fn register(&self, lease: Incarnation, guard: Guard) -> Result<(), RegistryError> {
        let record = NodeRecord {
            node: self.id.clone(),
            incarnation: lease,
            address: String::new(),
            capacity: self.traits.capacity,
            weight: 100,
            zone: self.traits.zone.to_owned(),
            version: String::new(),
            leaving: self.wishes.borrow().leaving,
            rpc_address: String::new(),
            spare_browsers: 0,
            started_at_ms: 0,
            impairments: self.wishes.borrow().impairments.clone(),
            memory: None,
        };
        let put = Op::Put { key: keys::node(&self.id), value: keys::encode(&record), lease: Some(lease) };
        match self.registry.commit(&[guard], &[put]).await? {
            Commit::Done { .. } => Ok(()),
            Commit::Refused => {
                Err(RegistryError::Refused { step: "registration", reason: "taken".to_owned() })
            }
        }
    }

    fn take_in(
        &self,
        lease: Incarnation,
        record: &AssignmentRecord,
        held: &mut BTreeMap<TenantId, Generation>,
    ) {
        let lets_go = self.wishes.borrow().lets_go;
        for entry in &record.entries {
            match entry.phase {
                Phase::Active => {
                    if held.insert(entry.tenant.clone(), entry.generation).is_none() {
                        self.judge.opened(&entry.tenant, lease);
                    }
                }
                Phase::Releasing if lets_go => {
                    held.remove(&entry.tenant);
                    self.judge.closed(&entry.tenant, lease);
                }
                // Nothing is opened, so there is nothing for the judge to know.
                Phase::Releasing | Phase::Preparing => {}
            }
        }
    }

    async fn acknowledge(
        &mut self,
        lease: Incarnation,
        applied: roost_model::ids::Revision,
        held: &BTreeMap<TenantId, Generation>,
        prepared: Vec<HeldTenant>,
        failed: Vec<FailedPreparation>,
    ) -> Result<(), RegistryError> {
        let held = held.iter().map(|(tenant, &generation)| HeldTenant { tenant: tenant.clone(), generation });
        let ack = AckRecord { incarnation: lease, applied, held: held.collect(), prepared, failed };
        if self.acknowledged.as_ref() == Some(&ack) {
            return Ok(());
        }
        let put = Op::Put { key: keys::ack(&self.id), value: keys::encode(&ack), lease: Some(lease) };
        self.registry.commit(&[], &[put]).await?;
        self.acknowledged = Some(ack);
        Ok(())
    }
}

fn preparing(record: &AssignmentRecord, is_asked: bool) -> Vec<HeldTenant> {
    let preparing = record.entries.iter().filter(|entry| is_asked && entry.phase == Phase::Preparing);
    preparing.map(|entry| HeldTenant { tenant: entry.tenant.clone(), generation: entry.generation }).collect()
}

fn failed(HeldTenant { tenant, generation }: HeldTenant) -> FailedPreparation {
    FailedPreparation { tenant, generation, reason: "no browser".to_owned() }
}

/// The record of a node, for tests that need no node.
pub(in crate::controller) fn live_node(name: &str, life: i64, zone: &str) -> NodeRecord {
    NodeRecord {
        node: NodeId::new(name).unwrap(),
        incarnation: Incarnation(life),
        address: String::new(),
        capacity: 10,
        weight: 100,
        zone: zone.to_owned(),
        version: String::new(),
        leaving: false,
        rpc_address: String::new(),
        spare_browsers: 0,
        started_at_ms: 0,
        impairments: Vec::new(),
        memory: None,
    }
}
