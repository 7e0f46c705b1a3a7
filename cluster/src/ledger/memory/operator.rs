//! What operators do through the API in the product, and what they read there.

use std::time::Duration;

use roost_model::ids::{Incarnation, NodeId, OperationId, TenantId};
use tokio::time::Instant;

use super::{MemoryLedger, OperationEnd};
use crate::ledger::{Complaint, Event, EventKind, FleetLimits, LedgerRecord, OperationKind, Progress};

impl MemoryLedger {
    /// Starts an operation without asking whether it makes sense; a drain cordons its node. `deadline`: from then on
    /// a drain is urgent.
    pub fn start_operation(&self, kind: OperationKind, deadline: Option<Duration>) -> OperationId {
        let id = self.state.lock().orders.start(kind, deadline.map(|span| Instant::now() + span));
        self.changed.notify_one();
        id
    }

    /// A drain that prepares its moves.
    pub fn start_drain(&self, node: &NodeId) -> OperationId {
        self.start_operation(OperationKind::Drain { node: node.clone(), urgent: false }, None)
    }

    pub fn start_rebalance(&self, max_concurrent: u32, max_unavailable_percent: u32) -> OperationId {
        self.start_operation(OperationKind::Rebalance { max_concurrent, max_unavailable_percent }, None)
    }

    pub fn start_move(&self, tenant: &TenantId, to: &NodeId) -> OperationId {
        self.start_operation(OperationKind::Move { tenant: tenant.clone(), to: to.clone() }, None)
    }

    /// Of these, in this order; all of them answer.
    pub fn start_fleet_operation(&self, tenants: &[TenantId], limits: FleetLimits) -> OperationId {
        let mut state = self.state.lock();
        let id = state.orders.start(OperationKind::Fleet(limits), None);
        state.fleet.start(id, tenants);
        drop(state);
        self.changed.notify_one();
        id
    }

    /// Of these, in this order, away from where each one is.
    pub fn start_fleet_move(&self, tenants: &[TenantId], limits: FleetLimits) -> OperationId {
        let mut state = self.state.lock();
        let id = state.orders.start(OperationKind::Fleet(limits), None);
        state.fleet.start_move(id, tenants);
        drop(state);
        self.changed.notify_one();
        id
    }

    /// Settings for these, in this order; the unfit cannot have them.
    pub fn start_settings_update(
        &self,
        tenants: &[TenantId],
        unfit: &[TenantId],
        limits: FleetLimits,
    ) -> OperationId {
        let mut state = self.state.lock();
        let id = state.orders.start(OperationKind::Fleet(limits), None);
        state.fleet.start_update(id, tenants, unfit.iter().cloned().collect());
        drop(state);
        self.changed.notify_one();
        id
    }

    /// How often the tenant was told to restart or to move, or given settings.
    pub fn restarts_of(&self, tenant: &TenantId) -> u32 {
        self.state.lock().fleet.told(tenant)
    }

    /// Whether it was running. The cordon of a drain's node is put back to what it was.
    pub fn cancel_operation(&self, id: OperationId) -> bool {
        let was_running = self.state.lock().orders.cancel(id);
        self.changed.notify_one();
        was_running
    }

    pub fn operation_progress(&self, id: OperationId) -> Option<Progress> {
        self.state.lock().orders.progress(id)
    }

    /// As it was told of last.
    pub fn operation_waits_for(&self, id: OperationId) -> Option<String> {
        self.state.lock().orders.waits_for(id)
    }

    /// `None` while it runs.
    pub fn operation_end(&self, id: OperationId) -> Option<OperationEnd> {
        self.state.lock().orders.end(id)
    }

    pub fn cordon(&self, node: &NodeId, cordoned: bool) {
        self.state.lock().orders.cordon(node, cordoned);
        self.changed.notify_one();
    }

    /// The node, in this life, is about to restart.
    pub fn set_restart_window(&self, node: &NodeId, incarnation: Incarnation, span: Duration) {
        let window = Some((incarnation, Instant::now() + span));
        self.state.lock().orders.set_window(node, window);
        self.changed.notify_one();
    }

    pub fn clear_restart_window(&self, node: &NodeId) {
        self.state.lock().orders.set_window(node, None);
        self.changed.notify_one();
    }

    /// `None` unpins. An unknown tenant is left unknown.
    pub fn pin(&self, tenant: &TenantId, node: Option<&NodeId>) {
        if let Some(row) = self.state.lock().tenants.get_mut(tenant) {
            row.desired.pin = node.cloned();
        }
        self.changed.notify_one();
    }

    pub fn pause_failover(&self, reason: &str) {
        self.state.lock().orders.pause(reason);
        self.changed.notify_one();
    }

    pub fn resume_failover(&self) {
        self.state.lock().orders.resume(Instant::now());
        self.changed.notify_one();
    }

    pub fn set_failover_breaker(&self, on: bool) {
        self.state.lock().orders.set_brake(on);
        self.changed.notify_one();
    }

    pub fn set_auto_rebalance(&self, on: bool) {
        self.state.lock().orders.set_auto_rebalance(on);
        self.changed.notify_one();
    }

    /// What is in the controller's way, and how many writes have said so or the opposite.
    pub fn complaint(&self) -> (Option<Complaint>, usize) {
        let state = self.state.lock();
        (state.complaint.clone(), state.complaints)
    }

    /// Everything that was noted, in order.
    pub fn records(&self) -> Vec<LedgerRecord> {
        self.state.lock().records.clone()
    }

    /// The events among the records, and the ledger's own.
    pub fn events(&self) -> Vec<Event> {
        self.state.lock().events.clone()
    }

    pub fn events_of(&self, kind: EventKind) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.kind == kind).collect()
    }
}
