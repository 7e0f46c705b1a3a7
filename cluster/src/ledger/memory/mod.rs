//! The ledger in memory, for simulation and tests. [`MemoryLedger::cut_off`] makes every call fail, as a database
//! that is down does. Its clock is the runtime's.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use roost_model::ids::{Generation, NodeId, Revision, SpecRevision, TenantId, Term};
use tokio::{sync::Notify, time::Instant};

use super::{Demand, Event, Ledger, LedgerError, Note, Orders};

mod operator;
mod standing;

use standing::Standing;

pub use standing::End;

#[derive(Default)]
pub struct MemoryLedger {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    cut_off: bool,
    term: Term,
    etcd_cluster: String,
    leader_revision: Revision,
    holder: String,
    spec_revisions: i64,
    tenants: BTreeMap<TenantId, Tenant>,
    standing: Standing,
    notes: Vec<Note>,
    events: Vec<Event>,
    largest_write: usize,
}

struct Tenant {
    demand: Demand,
    last_seen_at: Instant,
    stale: bool,
}

impl MemoryLedger {
    pub fn new() -> Self {
        Self::default()
    }

    /// A new tenant, placed nowhere.
    pub fn add(&self, tenant: &TenantId, running: bool) {
        let mut state = self.state.lock();
        let spec_revision = state.next_spec_revision();
        let demand = Demand {
            tenant: tenant.clone(),
            running,
            generation: Generation(0),
            node: None,
            pin: None,
            spec_revision,
        };
        let row = Tenant { demand, last_seen_at: Instant::now(), stale: false };
        state.tenants.insert(tenant.clone(), row);
        drop(state);
        self.changed.notify_one();
    }

    pub fn remove(&self, tenant: &TenantId) {
        self.state.lock().tenants.remove(tenant);
        self.changed.notify_one();
    }

    /// Starts or stops a tenant. An unknown one is left unknown.
    pub fn set_running(&self, tenant: &TenantId, running: bool) {
        let mut state = self.state.lock();
        let spec_revision = state.next_spec_revision();
        if let Some(row) = state.tenants.get_mut(tenant) {
            row.demand.running = running;
            row.demand.spec_revision = spec_revision;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A worker of the tenant was seen alive.
    pub fn seen(&self, tenant: &TenantId) {
        if let Some(row) = self.state.lock().tenants.get_mut(tenant) {
            row.last_seen_at = Instant::now();
            row.stale = false;
        }
    }

    pub fn demand(&self, tenant: &TenantId) -> Option<Demand> {
        self.state.lock().tenants.get(tenant).map(|row| row.demand.clone())
    }

    pub fn term(&self) -> Term {
        self.state.lock().term
    }

    /// From now on every call fails, until [`MemoryLedger::reconnect`].
    pub fn cut_off(&self) {
        self.state.lock().cut_off = true;
    }

    pub fn reconnect(&self) {
        self.state.lock().cut_off = false;
    }

    /// Of how many rows the largest of the controller's writes was.
    pub fn largest_write(&self) -> usize {
        self.state.lock().largest_write
    }

    fn reach(&self) -> Result<MutexGuard<'_, State>, LedgerError> {
        let state = self.state.lock();
        if state.cut_off { Err(LedgerError::Unavailable { reason: "cut off".to_owned() }) } else { Ok(state) }
    }

    /// For a write of so many rows.
    fn reach_under(&self, term: Term, rows: usize) -> Result<MutexGuard<'_, State>, LedgerError> {
        let mut state = self.reach()?;
        if state.term != term {
            return Err(LedgerError::Deposed { term: state.term });
        }
        state.largest_write = state.largest_write.max(rows);
        Ok(state)
    }
}

impl State {
    fn next_spec_revision(&mut self) -> SpecRevision {
        self.spec_revisions += 1;
        SpecRevision(self.spec_revisions)
    }

    fn note(&mut self, notes: &[Note]) {
        for note in notes {
            let own = self.standing.note(note, Instant::now());
            let told = match note {
                Note::Event(event) => Some(event.clone()),
                _ => None,
            };
            self.events.extend(told.into_iter().chain(own));
            self.notes.push(note.clone());
        }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn begin_term(
        &self,
        etcd_cluster: &str,
        leader_revision: Revision,
        holder: &str,
    ) -> Result<Term, LedgerError> {
        let mut state = self.reach()?;
        if state.etcd_cluster == etcd_cluster {
            if leader_revision == state.leader_revision && holder == state.holder {
                return Ok(state.term);
            }
            if leader_revision <= state.leader_revision {
                return Err(LedgerError::Deposed { term: state.term });
            }
        }
        state.term.0 += 1;
        state.etcd_cluster = etcd_cluster.to_owned();
        state.leader_revision = leader_revision;
        state.holder = holder.to_owned();
        Ok(state.term)
    }

    async fn demands(&self) -> Result<Vec<Demand>, LedgerError> {
        Ok(self.reach()?.tenants.values().map(|row| row.demand.clone()).collect())
    }

    async fn orders(&self) -> Result<Orders, LedgerError> {
        Ok(self.reach()?.standing.orders(Instant::now()))
    }

    async fn note(&self, term: Term, notes: &[Note]) -> Result<(), LedgerError> {
        self.reach_under(term, notes.len())?.note(notes);
        // As a database does that tells of every change, whoever made it.
        self.changed.notify_one();
        Ok(())
    }

    async fn place(
        &self,
        term: Term,
        placements: &[(TenantId, NodeId)],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        let mut state = self.reach_under(term, placements.len())?;
        let mut placed = Vec::with_capacity(placements.len());
        for (tenant, node) in placements {
            if let Some(row) = state.tenants.get_mut(tenant) {
                row.demand.generation.0 += 1;
                row.demand.node = Some(node.clone());
                row.last_seen_at = Instant::now();
                placed.push((tenant.clone(), row.demand.generation));
            }
        }
        Ok(placed)
    }

    async fn unplace(&self, term: Term, tenants: &[TenantId]) -> Result<(), LedgerError> {
        let mut state = self.reach_under(term, tenants.len())?;
        for tenant in tenants {
            if let Some(row) = state.tenants.get_mut(tenant) {
                row.demand.node = None;
            }
        }
        Ok(())
    }

    async fn mark_stale(&self, term: Term, older_than: Duration) -> Result<Vec<TenantId>, LedgerError> {
        let mut state = self.reach_under(term, 0)?;
        let mut marked = Vec::new();
        for (tenant, row) in &mut state.tenants {
            if row.demand.running && !row.stale && row.last_seen_at.elapsed() > older_than {
                row.stale = true;
                marked.push(tenant.clone());
            }
        }
        Ok(marked)
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}
