//! What operators order meanwhile.

use futures::FutureExt;
use roost_cluster::{keys, ledger::OperationKind, records::NodeRecord, registry::Registry};
use roost_model::ids::{NodeId, OperationId};

use super::{faults::Order, world::World};

impl World {
    pub fn give(&mut self, order: Order) {
        let ttl = self.shared.timing.ttl;
        match order {
            Order::Drain { machine, has_deadline, .. } => {
                // One at a time: the coordinator refuses to drain what has nowhere to go.
                if !self.drains() {
                    let node = self.machines[machine].id.clone();
                    let kind = OperationKind::Drain { node, urgent: false };
                    self.start(order, kind, has_deadline);
                }
            }
            Order::Move { tenant, to, .. } => {
                let (tenant, to) = (self.tenants[tenant].clone(), self.machines[to].id.clone());
                self.start(order, OperationKind::Move { tenant, to }, false);
            }
            Order::Rebalance { .. } => {
                let kind = OperationKind::Rebalance { max_concurrent: 2, max_unavailable_percent: 50 };
                self.start(order, kind, false);
            }
            Order::Cordon(machine) => self.shared.postgres.ledger.cordon(&self.machines[machine].id, true),
            Order::Pin { tenant, to } => {
                self.shared.postgres.ledger.pin(&self.tenants[tenant], Some(&self.machines[to].id));
            }
            Order::RestartWindow(machine) => {
                let node = self.machines[machine].id.clone();
                if let Some(record) = self.registered(&node) {
                    self.shared.postgres.ledger.set_restart_window(&node, record.incarnation, ttl);
                    self.machines[machine].ask_to_stop();
                }
            }
            Order::PauseFailover => self.shared.postgres.ledger.pause_failover("an operator's reason"),
        }
        self.shared.postgres.changed();
    }

    /// An operation that is not cancelled goes on to its end.
    pub fn take_back(&mut self, order: Order) {
        match order {
            Order::Drain { is_cancelled, .. }
            | Order::Move { is_cancelled, .. }
            | Order::Rebalance { is_cancelled } => {
                for (_, id) in self.operations.iter().filter(|(given, _)| *given == order && is_cancelled) {
                    self.shared.postgres.ledger.cancel_operation(*id);
                }
            }
            Order::Cordon(machine) => self.shared.postgres.ledger.cordon(&self.machines[machine].id, false),
            Order::Pin { tenant, .. } => self.shared.postgres.ledger.pin(&self.tenants[tenant], None),
            Order::RestartWindow(machine) => self.start_machine(machine),
            Order::PauseFailover => self.shared.postgres.ledger.resume_failover(),
        }
        self.shared.postgres.changed();
    }

    /// Nothing is ordered any more but what has an end of its own.
    pub fn lift_orders(&mut self) {
        for machine in &self.machines {
            if !self.is_drained(&machine.id) {
                self.shared.postgres.ledger.cordon(&machine.id, false);
            }
            self.shared.postgres.ledger.clear_restart_window(&machine.id);
        }
        for tenant in &self.tenants {
            self.shared.postgres.ledger.pin(tenant, None);
        }
        self.shared.postgres.ledger.resume_failover();
        self.shared.postgres.changed();
    }

    pub fn running_operations(&self) -> Vec<Order> {
        let running = |id: &OperationId| self.shared.postgres.ledger.operation_end(*id).is_none();
        self.operations.iter().filter(|(_, id)| running(id)).map(|(order, _)| *order).collect()
    }

    fn start(&mut self, order: Order, kind: OperationKind, has_deadline: bool) {
        let deadline = has_deadline.then_some(self.shared.timing.ttl * 2);
        let id = self.shared.postgres.ledger.start_operation(kind, deadline);
        self.operations.push((order, id));
    }

    fn drains(&self) -> bool {
        self.running_operations().iter().any(|order| matches!(order, Order::Drain { .. }))
    }

    fn is_drained(&self, node: &NodeId) -> bool {
        let running = self.running_operations();
        running
            .iter()
            .any(|order| matches!(order, Order::Drain { machine, .. } if self.machines[*machine].id == *node))
    }

    fn registered(&self, node: &NodeId) -> Option<NodeRecord> {
        let entry = self.shared.registry.get(&keys::node(node)).now_or_never()?.ok()??;
        keys::decode(&entry).ok()
    }
}
