//! Nodes that come and go: whoever places tenants on one places them again soon.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ids::NodeId;

/// So many losses ...
const LOSSES: usize = 3;
/// ... within this span make a node suspect ...
const SPAN: Duration = Duration::from_secs(600);
/// ... for so long.
pub(super) const SUSPECT_FOR: Duration = Duration::from_secs(600);

/// The recent losses of each node.
#[derive(Default)]
pub(super) struct FlapDetector {
    losses: BTreeMap<NodeId, Vec<Duration>>,
}

impl FlapDetector {
    /// Whether that makes it suspect; the count begins anew then.
    pub(super) fn lost(&mut self, node: &NodeId, now: Duration) -> bool {
        self.losses.retain(|_, losses| {
            losses.retain(|at| *at + SPAN > now);
            !losses.is_empty()
        });
        let losses = self.losses.entry(node.clone()).or_default();
        losses.push(now);
        let is_suspect = losses.len() >= LOSSES;
        if is_suspect {
            self.losses.remove(node);
        }
        is_suspect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_loss_within_ten_minutes_makes_a_node_suspect() {
        let (a, b) = (NodeId::new("a").unwrap(), NodeId::new("b").unwrap());
        let mut flap_detector = FlapDetector::default();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert!(!flap_detector.lost(&a, minutes(0)));
        assert!(!flap_detector.lost(&a, minutes(4)));
        assert!(!flap_detector.lost(&b, minutes(5)));
        assert!(flap_detector.lost(&a, minutes(9)));
        assert!(!flap_detector.lost(&a, minutes(10)), "it was counted already");
    }

    #[test]
    fn losses_that_are_far_between_are_bad_luck() {
        let a = NodeId::new("a").unwrap();
        let mut flap_detector = FlapDetector::default();
        for at in 0..20 {
            assert!(!flap_detector.lost(&a, Duration::from_secs(301 * at)));
        }
    }
}
