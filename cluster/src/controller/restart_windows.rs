//! Restart windows: nodes whose tenants keep their places while they are away.
//!
//! A window is for the end of one life. It begins to count when that life says that it is leaving or is gone, and it
//! has served its purpose once another life of the node is there: if that one is lost, its tenants do not wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roost_model::ids::{Incarnation, NodeId};

use crate::{
    ledger::{NodeOrder, RestartWindow},
    records::NodeRecord,
};

#[derive(Default)]
pub(super) struct RestartWindows {
    /// Windows whose node came back; as long as the ledger tells of them.
    used: BTreeSet<(NodeId, Incarnation)>,
}

/// What the windows come to now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) nodes: BTreeSet<NodeId>,
    /// When the first of them is over.
    pub(super) for_at_most: Option<Duration>,
}

impl RestartWindows {
    pub(super) fn awaited(&mut self, orders: &[NodeOrder], live: &BTreeMap<NodeId, NodeRecord>) -> Awaited {
        let ordered: Vec<(&NodeId, RestartWindow)> =
            orders.iter().filter_map(|order| Some((&order.node, order.restart_window?))).collect();
        self.used.retain(|(node, life)| {
            ordered.iter().any(|(other, window)| *other == node && window.incarnation == *life)
        });
        let mut awaited = Awaited::default();
        for (node, window) in ordered {
            let is_back = live.get(node).is_some_and(|record| record.incarnation != window.incarnation);
            let key = (node.clone(), window.incarnation);
            if is_back {
                self.used.insert(key);
            } else if !self.used.contains(&key) && live.get(node).is_none_or(|record| record.leaving) {
                awaited.nodes.insert(key.0);
                let first = awaited.for_at_most.map_or(window.left, |other| other.min(window.left));
                awaited.for_at_most = Some(first);
            }
        }
        awaited
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::live_node;

    fn window(life: i64, secs: u64) -> Vec<NodeOrder> {
        let window = RestartWindow { incarnation: Incarnation(life), left: Duration::from_secs(secs) };
        vec![NodeOrder {
            node: NodeId::new("a").unwrap(),
            cordoned: false,
            restart_window: Some(window),
            suspect_for: None,
        }]
    }

    fn live(life: i64, leaving: bool) -> BTreeMap<NodeId, NodeRecord> {
        let record = NodeRecord { leaving, ..live_node("a", life, "") };
        [(record.node.clone(), record)].into()
    }

    #[test]
    fn a_window_counts_from_the_end_of_its_life_until_another_one() {
        let mut restart_windows = RestartWindows::default();
        let orders = window(1, 60);
        let waits =
            Awaited { nodes: [NodeId::new("a").unwrap()].into(), for_at_most: Some(Duration::from_secs(60)) };
        assert_eq!(restart_windows.awaited(&orders, &live(1, false)), Awaited::default(), "it runs still");
        assert_eq!(restart_windows.awaited(&orders, &live(1, true)), waits);
        assert_eq!(restart_windows.awaited(&orders, &BTreeMap::new()), waits);
        assert_eq!(restart_windows.awaited(&orders, &live(2, false)), Awaited::default());
        assert_eq!(restart_windows.awaited(&orders, &BTreeMap::new()), Awaited::default(), "it was used up");
        // A new window for the new life is another one.
        assert_eq!(restart_windows.awaited(&window(3, 60), &BTreeMap::new()), waits);
    }
}
