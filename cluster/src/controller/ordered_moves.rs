//! Which tenants operators move, and where to: one to a node, or many to a node or away from where they are.

use std::collections::HashMap;

use roost_model::ids::{NodeId, TenantId};

use crate::ledger::{FleetMove, OperationKind, Orders};

pub(super) struct OrderedMoves {
    to: HashMap<TenantId, NodeId>,
    away_from: HashMap<TenantId, NodeId>,
}

impl OrderedMoves {
    pub(super) fn new(orders: &Orders) -> Self {
        let mut moves = Self { to: HashMap::new(), away_from: HashMap::new() };
        for FleetMove { tenant, from, to, .. } in &orders.fleet_moves {
            match (to, from) {
                (Some(to), _) => drop(moves.to.insert(tenant.clone(), to.clone())),
                (None, Some(from)) => drop(moves.away_from.insert(tenant.clone(), from.clone())),
                // It was nowhere when its turn came, so any place is another.
                (None, None) => {}
            }
        }
        // What is ordered of a tenant alone goes before what is ordered of many.
        for operation in &orders.operations {
            if let OperationKind::Move { tenant, to } = &operation.kind {
                moves.to.insert(tenant.clone(), to.clone());
                moves.away_from.remove(tenant);
            }
        }
        moves
    }

    pub(super) fn to(&self, tenant: &TenantId) -> Option<NodeId> {
        self.to.get(tenant).cloned()
    }

    pub(super) fn away_from(&self, tenant: &TenantId) -> Option<NodeId> {
        self.away_from.get(tenant).cloned()
    }
}

#[cfg(test)]
mod tests {
    use roost_model::ids::OperationId;

    use super::*;
    use crate::ledger::{Operation, Progress};

    fn tenant(id: &str) -> TenantId {
        TenantId::new(id).unwrap()
    }

    fn node(id: &str) -> NodeId {
        NodeId::new(id).unwrap()
    }

    #[test]
    fn an_order_for_one_goes_before_one_for_many() {
        let many = |id: &str, to: Option<&str>| FleetMove {
            operation: OperationId(1),
            tenant: tenant(id),
            from: Some(node("a")),
            to: to.map(node),
        };
        let one = |id: &str| Operation {
            id: OperationId(2),
            kind: OperationKind::Move { tenant: tenant(id), to: node("c") },
            progress: Progress::default(),
            waits_for: String::new(),
        };
        let fleet_moves =
            vec![many("duka", Some("b")), many("soko", None), many("asha", Some("b")), many("juma", None)];
        let operations = vec![one("asha"), one("juma")];
        let moves = OrderedMoves::new(&Orders { fleet_moves, operations, ..Orders::default() });
        let of = |id: &str| (moves.to(&tenant(id)), moves.away_from(&tenant(id)));
        assert_eq!(of("duka"), (Some(node("b")), None));
        assert_eq!(of("soko"), (None, Some(node("a"))));
        assert_eq!(of("asha"), (Some(node("c")), None));
        assert_eq!(of("juma"), (Some(node("c")), None));
        assert_eq!(of("neema"), (None, None));
    }
}
