//! What operators have ordered, as the controller reads it in every pass. Spans of time and not points in time: the
//! ledger's clock is the only one that they are measured on.

use std::{collections::BTreeSet, time::Duration};

use roost_model::ids::{Incarnation, NodeId, OperationId, TenantId};

use super::{FleetLimits, FleetMove};
use crate::records::ImpairmentKind;

/// All of it, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Orders {
    pub policy: Policy,
    /// Of nodes alive or not, ordered by node; those about which nothing was ordered are not here.
    pub nodes: Vec<NodeOrder>,
    /// Those that run, oldest first.
    pub operations: Vec<Operation>,
    /// The members under way of those that are moves of many.
    pub fleet_moves: Vec<FleetMove>,
    /// How the failover breaker stands; none when it is closed. The controller's own note, and no order.
    pub breaker: Option<BreakerRecord>,
}

impl Orders {
    /// The operation for whose sake `from`, a live node, has let go of the tenant, if it was for one.
    pub fn cause_of(&self, tenant: &TenantId, from: &NodeId) -> Option<OperationId> {
        let find = |is_it: &dyn Fn(&OperationKind) -> bool| {
            self.operations.iter().find(|operation| is_it(&operation.kind)).map(|operation| operation.id)
        };
        let of_fleet = || self.fleet_moves.iter().find(|one| one.tenant == *tenant).map(|one| one.operation);
        find(&|kind| matches!(kind, OperationKind::Move { tenant: moved, .. } if moved == tenant))
            .or_else(of_fleet)
            .or_else(|| find(&|kind| matches!(kind, OperationKind::Drain { node, .. } if node == from)))
            .or_else(|| find(&|kind| matches!(kind, OperationKind::Rebalance { .. })))
    }
}

/// The failover breaker, open or half open: what a controller has to know to go on where the last one was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerRecord {
    /// The nodes that are gone.
    pub lost: BTreeSet<NodeId>,
    /// How long ago it opened.
    pub age: Duration,
    /// Failover is held for so long yet.
    pub held_for: Duration,
    /// How many tenants may be starting at once; 0 while failover is held.
    pub ramp: u32,
    /// Nodes lost since failover went on.
    pub survivors_lost: u32,
}

/// What has become of a failover, as far as the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailoverFacts {
    /// Tenants that have a node and have not come up there yet, the last ones of the given span.
    pub starting: u32,
    /// Nodes that have lately written that they have no lease.
    pub cut_off: BTreeSet<NodeId>,
}

/// A tenant that an operation has moved and that is not again what it was before: it had a session and has none, or a
/// worker that was seen and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBack {
    pub tenant: TenantId,
    /// Where it is now.
    pub node: NodeId,
    pub placed_ago: Duration,
}

/// The cluster's standing orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// A lost node's tenants wait until an operator resumes failover; why it is paused, if it is.
    pub failover_paused: Option<String>,
    /// The failover breaker paused it and no person: it goes on when the nodes are back.
    pub paused_by_breaker: bool,
    /// How long ago an operator resumed failover: losses from before are accepted and hold nothing back any more.
    pub resumed_ago: Option<Duration>,
    /// Whether the loss of many nodes at once pauses failover.
    pub failover_breaker: bool,
    /// Whether the controller starts a rebalance by itself when the cluster has been calm for a while.
    pub auto_rebalance: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failover_paused: None,
            paused_by_breaker: false,
            resumed_ago: None,
            failover_breaker: true,
            auto_rebalance: false,
        }
    }
}

/// What is ordered of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOrder {
    pub node: NodeId,
    /// It keeps what it has and takes nothing.
    pub cordoned: bool,
    pub restart_window: Option<RestartWindow>,
    /// It came and went too often: for so long it takes tenants only when no other node does.
    pub suspect_for: Option<Duration>,
    /// The controller's own note, and no order: its tenants leave, for it has been impaired like this for long.
    pub shedding: Option<ImpairmentKind>,
}

/// The node is about to restart: its tenants keep their places while it is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartWindow {
    /// The life that is to end. Once the node is back under another one, the window has served its purpose.
    pub incarnation: Incarnation,
    /// What is left of it.
    pub left: Duration,
}

/// A change of placement, or an order on many workers, that an operator or a policy has started and that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub id: OperationId,
    pub kind: OperationKind,
    /// As last recorded.
    pub progress: Progress,
    /// As last recorded: what it waits for, in words.
    pub waits_for: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationKind {
    /// Every tenant leaves the node, which takes no other. `urgent`: its deadline has passed or it was forced, so
    /// whoever has a place elsewhere goes at once.
    Drain { node: NodeId, urgent: bool },
    /// Tenants move until every node is within its band.
    Rebalance { max_concurrent: u32, max_unavailable_percent: u32 },
    /// One tenant moves to one node.
    Move { tenant: TenantId, to: NodeId },
    /// Workers that were chosen when it started are told something.
    Fleet(FleetLimits),
    /// Tenants that were chosen when it started are given a version, and the fleet if it does them good.
    Rollout(RolloutLimits),
}

/// How a version is given to some tenants first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutLimits {
    /// Tenants that have been given it and do not answer yet, at most; at least 1.
    pub max_concurrent: u32,
    /// How long the last of them has to have it before it is judged sound.
    pub watch_for: Duration,
    /// So long after the first one was given it, what is not judged by then never is.
    pub give_up_after: Duration,
    /// Sends that WhatsApp has to have acknowledged with it: silence is no success.
    pub least_acknowledged: u32,
}

/// How far an operation has come, in tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    pub total: u32,
    pub done: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet_move(tenant: &TenantId) -> FleetMove {
        FleetMove { operation: OperationId(4), tenant: tenant.clone(), from: None, to: None }
    }

    #[test]
    fn a_tenant_goes_for_its_own_sake_first_then_for_its_nodes_and_then_for_the_balance() {
        let tenant = |id: &str| TenantId::new(id).unwrap();
        let node = |id: &str| NodeId::new(id).unwrap();
        let operation = |id, kind| Operation {
            id: OperationId(id),
            kind,
            progress: Progress::default(),
            waits_for: String::new(),
        };
        let orders = Orders {
            operations: vec![
                operation(1, OperationKind::Rebalance { max_concurrent: 4, max_unavailable_percent: 10 }),
                operation(2, OperationKind::Drain { node: node("a"), urgent: false }),
                operation(3, OperationKind::Move { tenant: tenant("duka"), to: node("c") }),
            ],
            fleet_moves: ["duka", "mtoni"].map(|id| fleet_move(&tenant(id))).into(),
            ..Orders::default()
        };
        assert_eq!(orders.cause_of(&tenant("duka"), &node("a")), Some(OperationId(3)));
        assert_eq!(orders.cause_of(&tenant("mtoni"), &node("a")), Some(OperationId(4)));
        assert_eq!(orders.cause_of(&tenant("soko"), &node("a")), Some(OperationId(2)));
        assert_eq!(orders.cause_of(&tenant("soko"), &node("b")), Some(OperationId(1)));
        assert_eq!(Orders::default().cause_of(&tenant("duka"), &node("a")), None);
    }
}
