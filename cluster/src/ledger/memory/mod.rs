//! The ledger in memory, for simulation and tests. [`MemoryLedger::cut_off`] makes every call fail, as a database
//! that is down does. Its clock is the runtime's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use roost_model::ids::{Generation, NodeId, OperationId, Revision, SpecRevision, TenantId, Term};
use tokio::{sync::Notify, time::Instant};

use super::{
    Complaint, DesiredTenant, Event, FailoverFacts, FleetMembers, FleetStep, GENERATIONS_LEFT_OUT, Ledger,
    LedgerError, LedgerRecord, MemberState, NotBack, Orders, RefusalKind, RolloutMember, RolloutStep, Seal,
    SealedStore, StoreClaim,
};

mod fleet;
mod operator;
mod orders;

use fleet::StoredFleet;
use orders::StoredOrders;

pub use orders::OperationEnd;

#[derive(Default)]
pub struct MemoryLedger {
    state: Mutex<Tables>,
    changed: Notify,
}

#[derive(Default)]
struct Tables {
    cut_off: bool,
    term: Term,
    etcd_cluster: String,
    leader_revision: Revision,
    registry_revision: Revision,
    holder: String,
    owner: Option<StoreClaim>,
    /// The last sign of the owner's controller.
    owner_seen_at: Option<Instant>,
    /// What was written last, and how often anything was.
    complaint: Option<Complaint>,
    complaints: usize,
    /// Later generations than this are given.
    generations_above: Generation,
    spec_revisions: i64,
    tenants: BTreeMap<TenantId, Tenant>,
    orders: StoredOrders,
    fleet: StoredFleet,
    records: Vec<LedgerRecord>,
    events: Vec<Event>,
    largest_write: usize,
    cut_off_nodes: BTreeSet<NodeId>,
    /// Rows that another transaction holds.
    held: BTreeSet<TenantId>,
    /// What the database cannot write.
    indigestible: BTreeSet<TenantId>,
}

struct Tenant {
    desired: DesiredTenant,
    last_seen_at: Instant,
    /// The last placement, and whether a worker was seen since.
    placed_at: Instant,
    came_up: bool,
    /// Likewise before it.
    was_up: bool,
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
        let desired = DesiredTenant {
            tenant: tenant.clone(),
            running,
            generation: Generation(0),
            outrun_by: None,
            node: None,
            pin: None,
            memory_request_bytes: None,
            spec_revision,
        };
        let now = Instant::now();
        let row = Tenant {
            desired,
            last_seen_at: now,
            placed_at: now,
            came_up: false,
            was_up: false,
            stale: false,
        };
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
            row.desired.running = running;
            row.desired.spec_revision = spec_revision;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A worker of the tenant was seen alive.
    pub fn seen(&self, tenant: &TenantId) {
        if let Some(row) = self.state.lock().tenants.get_mut(tenant) {
            row.last_seen_at = Instant::now();
            row.came_up = true;
            row.stale = false;
        }
    }

    /// As nodes do that have no lease and reach the ledger.
    pub fn set_cut_off(&self, nodes: &[NodeId]) {
        self.state.lock().cut_off_nodes = nodes.iter().cloned().collect();
    }

    /// As a database does that is restored from a backup: it has given no later generation than this.
    pub fn go_back_to(&self, generation: Generation) {
        let mut state = self.state.lock();
        state.generations_above = Generation(0);
        for row in state.tenants.values_mut() {
            row.desired.generation = row.desired.generation.min(generation);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The tenant's owner has met a session of this generation.
    pub fn report_outrun(&self, tenant: &TenantId, by: Generation) {
        if let Some(row) = self.state.lock().tenants.get_mut(tenant) {
            row.desired.outrun_by = Some(by);
        }
        self.changed.notify_one();
    }

    pub fn desired(&self, tenant: &TenantId) -> Option<DesiredTenant> {
        self.state.lock().tenants.get(tenant).map(|row| row.desired.clone())
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

    /// Another transaction holds the tenant's row, or gives it back.
    pub fn hold(&self, tenant: &TenantId, held: bool) {
        let rows = &mut self.state.lock().held;
        if held {
            rows.insert(tenant.clone())
        } else {
            rows.remove(tenant)
        };
    }

    /// From now on a placement of the tenant is refused, and whatever is in one statement with it.
    pub fn refuse_to_place(&self, tenant: &TenantId) {
        self.state.lock().indigestible.insert(tenant.clone());
    }

    /// Of how many rows the largest of the controller's writes was.
    pub fn largest_write(&self) -> usize {
        self.state.lock().largest_write
    }

    fn reach(&self) -> Result<MutexGuard<'_, Tables>, LedgerError> {
        let state = self.state.lock();
        if state.cut_off { Err(LedgerError::Unavailable { reason: "cut off".to_owned() }) } else { Ok(state) }
    }

    /// For a write of so many rows.
    fn reach_under(&self, term: Term, rows: usize) -> Result<MutexGuard<'_, Tables>, LedgerError> {
        let mut state = self.reach()?;
        if state.term != term {
            return Err(LedgerError::Deposed { term: state.term });
        }
        state.largest_write = state.largest_write.max(rows);
        Ok(state)
    }
}

/// The generation after a tenant's last, and above what is left out. Each tenant counts for itself here.
fn next(last: Generation, above: Generation) -> Generation {
    Generation(last.max(above).0 + 1)
}

impl Tables {
    fn seal(&self) -> Seal {
        let owner = self.owner.as_ref().map(|owner| SealedStore {
            store: owner.store.clone(),
            cluster: owner.cluster.clone(),
            ttl: owner.ttl,
            holder: self.holder.clone(),
            silent_for: self.owner_seen_at.map(|at| at.elapsed()).unwrap_or_default(),
        });
        Seal { database: "memory".to_owned(), owner }
    }

    fn next_spec_revision(&mut self) -> SpecRevision {
        self.spec_revisions += 1;
        SpecRevision(self.spec_revisions)
    }

    fn record(&mut self, records: &[LedgerRecord]) {
        for record in records {
            let own = self.orders.record(record, Instant::now());
            let told = match record {
                LedgerRecord::Event(event) => Some(event.clone()),
                _ => None,
            };
            self.events.extend(told.into_iter().chain(own));
            self.records.push(record.clone());
        }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn seal(&self) -> Result<Seal, LedgerError> {
        Ok(self.reach()?.seal())
    }

    async fn take_store(&self, claim: &StoreClaim) -> Result<bool, LedgerError> {
        let mut state = self.reach()?;
        if !claim.wait(state.seal().owner.as_ref()).is_zero() {
            return Ok(false);
        }
        state.owner = Some(claim.clone());
        state.owner_seen_at = Some(Instant::now());
        Ok(true)
    }

    async fn begin_term(
        &self,
        etcd_cluster: &str,
        leader_revision: Revision,
        holder: &str,
    ) -> Result<Term, LedgerError> {
        let mut state = self.reach()?;
        if state.owner.as_ref().is_some_and(|owner| owner.store != etcd_cluster) {
            return Err(LedgerError::Deposed { term: state.term });
        }
        state.owner_seen_at = Some(Instant::now());
        if state.etcd_cluster == etcd_cluster {
            if leader_revision == state.leader_revision && holder == state.holder {
                return Ok(state.term);
            }
            if leader_revision <= state.leader_revision.max(state.registry_revision) {
                return Err(LedgerError::Deposed { term: state.term });
            }
        }
        state.term.0 += 1;
        state.etcd_cluster = etcd_cluster.to_owned();
        state.leader_revision = leader_revision;
        state.registry_revision = leader_revision;
        state.holder = holder.to_owned();
        Ok(state.term)
    }

    async fn registry_was_at(&self, term: Term, revision: Revision) -> Result<(), LedgerError> {
        let mut state = self.reach_under(term, 0)?;
        state.registry_revision = state.registry_revision.max(revision);
        state.owner_seen_at = Some(Instant::now());
        Ok(())
    }

    async fn complain(&self, term: Term, complaint: Option<&Complaint>) -> Result<(), LedgerError> {
        let mut state = self.reach_under(term, 0)?;
        state.complaint = complaint.cloned();
        state.complaints += 1;
        Ok(())
    }

    async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, LedgerError> {
        Ok(self.reach()?.tenants.values().map(|row| row.desired.clone()).collect())
    }

    async fn orders(&self) -> Result<Orders, LedgerError> {
        let state = self.reach()?;
        let mut orders = state.orders.orders(Instant::now());
        orders.fleet_moves =
            orders.operations.iter().flat_map(|running| state.fleet.moves(running.id)).collect();
        Ok(orders)
    }

    async fn record(&self, term: Term, records: &[LedgerRecord]) -> Result<(), LedgerError> {
        self.reach_under(term, records.len())?.record(records);
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
        if let Some((tenant, _)) = placements.iter().find(|(tenant, _)| state.indigestible.contains(tenant)) {
            let reason = format!("{tenant} is indigestible");
            return Err(LedgerError::Refused { kind: RefusalKind::Value, reason });
        }
        let mut placed = Vec::with_capacity(placements.len());
        let Tables { tenants, held, generations_above, .. } = &mut *state;
        for (tenant, node) in placements.iter().filter(|(tenant, _)| !held.contains(tenant)) {
            if let Some(row) = tenants.get_mut(tenant) {
                row.desired.generation = next(row.desired.generation, *generations_above);
                row.desired.node = Some(node.clone());
                row.last_seen_at = Instant::now();
                row.placed_at = Instant::now();
                row.was_up = std::mem::take(&mut row.came_up);
                placed.push((tenant.clone(), row.desired.generation));
            }
        }
        Ok(placed)
    }

    async fn outrun(
        &self,
        term: Term,
        found: Generation,
        tenants: &[TenantId],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        let mut state = self.reach_under(term, tenants.len())?;
        let given = state.tenants.values().map(|row| row.desired.generation).max().unwrap_or_default();
        if given.max(state.generations_above) < found {
            state.generations_above = Generation(found.0 + GENERATIONS_LEFT_OUT);
        }
        let Tables { tenants: rows, held, generations_above, .. } = &mut *state;
        let mut outran = Vec::new();
        for tenant in tenants.iter().filter(|tenant| !held.contains(*tenant)) {
            if let Some(row) = rows.get_mut(tenant) {
                row.desired.generation = next(row.desired.generation.max(found), *generations_above);
                row.desired.outrun_by = None;
                outran.push((tenant.clone(), row.desired.generation));
            }
        }
        Ok(outran)
    }

    async fn failover_facts(
        &self,
        placed_within: Duration,
        _cut_off_within: Duration,
    ) -> Result<FailoverFacts, LedgerError> {
        let state = self.reach()?;
        let is_starting = |row: &&Tenant| {
            let has_node = row.desired.running && row.desired.node.is_some();
            has_node && !row.came_up && row.placed_at.elapsed() < placed_within
        };
        let starting = state.tenants.values().filter(is_starting).count();
        Ok(FailoverFacts {
            starting: u32::try_from(starting).unwrap_or(u32::MAX),
            cut_off: state.cut_off_nodes.clone(),
        })
    }

    async fn not_back(&self, operation: OperationId) -> Result<Vec<NotBack>, LedgerError> {
        let state = self.reach()?;
        let moved = state.records.iter().filter_map(|record| match record {
            LedgerRecord::Placed { tenant, node, operation: Some(by), .. } if *by == operation => {
                Some((tenant, node))
            }
            _ => None,
        });
        let not_back = moved.filter_map(|(tenant, node)| {
            let row = state.tenants.get(tenant)?;
            let is_there = row.desired.running && row.desired.node.as_ref() == Some(node);
            (is_there && row.was_up && !row.came_up).then(|| NotBack {
                tenant: tenant.clone(),
                node: node.clone(),
                placed_ago: row.placed_at.elapsed(),
            })
        });
        Ok(not_back.collect())
    }

    async fn fleet_members(&self, operation: OperationId, most: u32) -> Result<FleetMembers, LedgerError> {
        let state = self.reach()?;
        let is_move = state.fleet.is_move(operation);
        let state_of = |tenant: &TenantId, told_at: Instant, from: Option<&NodeId>| {
            let Some(row) = state.tenants.get(tenant).filter(|row| row.desired.running) else {
                return MemberState::Gone;
            };
            let is_elsewhere = row.desired.node.is_some() && row.desired.node.as_ref() != from && row.came_up;
            let is_done = if is_move { is_elsewhere } else { row.last_seen_at > told_at };
            if is_done { MemberState::Done } else { MemberState::UnderWay { condition: String::new() } }
        };
        Ok(state.fleet.members(operation, most, state_of))
    }

    async fn step_fleet(
        &self,
        term: Term,
        operation: OperationId,
        step: &FleetStep,
    ) -> Result<(), LedgerError> {
        let mut state = self.reach_under(term, step.begin.len())?;
        if state.orders.end(operation).is_none() {
            let Tables { tenants, fleet, spec_revisions, .. } = &mut *state;
            let (is_move, is_update) = (fleet.is_move(operation), fleet.is_update(operation));
            fleet.step(operation, step, |tenant| {
                let row = tenants.get_mut(tenant).filter(|row| is_update || row.desired.running)?;
                if !is_move {
                    *spec_revisions += 1;
                    row.desired.spec_revision = SpecRevision(*spec_revisions);
                }
                Some(row.desired.node.clone())
            });
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    // Nobody starts a rollout here: there are no versions.
    async fn rollout_members(&self, _operation: OperationId) -> Result<Vec<RolloutMember>, LedgerError> {
        Ok(Vec::new())
    }

    async fn step_rollout(
        &self,
        _term: Term,
        _operation: OperationId,
        _step: &RolloutStep,
    ) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn unplace(&self, term: Term, tenants: &[TenantId]) -> Result<usize, LedgerError> {
        let mut state = self.reach_under(term, tenants.len())?;
        let Tables { tenants: rows, held, .. } = &mut *state;
        let mut unplaced = 0;
        for tenant in tenants.iter().filter(|tenant| !held.contains(*tenant)) {
            if let Some(row) = rows.get_mut(tenant) {
                row.desired.node = None;
                unplaced += 1;
            }
        }
        Ok(unplaced)
    }

    async fn mark_stale(&self, term: Term, older_than: Duration) -> Result<Vec<TenantId>, LedgerError> {
        let mut state = self.reach_under(term, 0)?;
        let mut marked = Vec::new();
        for (tenant, row) in &mut state.tenants {
            if row.desired.running && !row.stale && row.last_seen_at.elapsed() > older_than {
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
