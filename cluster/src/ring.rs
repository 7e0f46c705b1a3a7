//! Each tenant's order of nodes: consistent hashing with virtual nodes.
//!
//! A node has points on the ring in proportion to its weight, and a tenant's order is the order in which its nodes are
//! met from the tenant's own place onwards. Adding or removing a node leaves the order of the others as it was, which
//! is why a lost node's tenants spread over all that remain and why a new one takes a little from each.
//!
//! The bytes that are hashed are written out here, never derived: a derived `Hash` may change with the compiler, and
//! then every tenant of a cluster in the middle of an upgrade would have two orders.

use std::hash::{Hash, Hasher};

use hashring::HashRing;
use roost_model::ids::{NodeId, TenantId};

/// Points per unit of weight. A node of the usual weight 100 has 300, with which the fullest node's share is within
/// about a fifth of the mean before the plan's band trims it.
const POINTS_PER_WEIGHT: u32 = 3;

/// Built for one set of nodes.
pub struct Ring {
    ring: HashRing<Point>,
    /// The node of each point, as they lie on the ring.
    order: Vec<u32>,
    /// By a point's number: where it is in `order`.
    positions: Vec<u32>,
    nodes: usize,
}

#[derive(Clone)]
struct Point {
    id: NodeId,
    replica: u32,
    /// Into the nodes that the ring was built for.
    node: u32,
    /// Among all points, in the order that they were added in.
    number: u32,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(self.id.as_str().as_bytes());
        // No id holds a '#', so no two points have the same bytes.
        hasher.write(b"#");
        hasher.write(&self.replica.to_be_bytes());
    }
}

struct TenantKey<'a>(&'a TenantId);

impl Hash for TenantKey<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(self.0.as_str().as_bytes());
    }
}

impl Ring {
    /// Nodes with their weights; [`Ring::walk`] names them by their place in this list. The order of the ring does not
    /// depend on the order of the list. A weight of zero has no points.
    pub fn new<'a>(nodes: impl IntoIterator<Item = (&'a NodeId, u32)>) -> Self {
        let mut nodes: Vec<_> = (0_u32..).zip(nodes).collect();
        let count = nodes.len();
        // Points whose hashes collide stay in the order they are added in.
        nodes.sort_by_key(|&(_, (id, _))| id);
        let of_all = nodes.into_iter().flat_map(|(node, (id, weight))| {
            let replicas = 0..weight.saturating_mul(POINTS_PER_WEIGHT);
            replicas.map(move |replica| (id, node, replica))
        });
        let points = (0_u32..).zip(of_all).map(|(number, (id, node, replica))| Point {
            id: id.clone(),
            replica,
            node,
            number,
        });
        let mut ring = HashRing::new();
        ring.batch_add(points.collect());
        let mut order = Vec::with_capacity(ring.len());
        let mut positions = vec![0; ring.len()];
        for (at, point) in (0_u32..).zip(ring.clone()) {
            order.push(point.node);
            positions[point.number as usize] = at;
        }
        Self { ring, order, positions, nodes: count }
    }

    /// The tenant's order of nodes, each once, as places in the list that the ring was built from.
    pub fn walk(&self, tenant: &TenantId) -> impl Iterator<Item = usize> {
        let start =
            self.ring.get(&TenantKey(tenant)).map_or(0, |point| self.positions[point.number as usize]);
        let mut met = vec![false; self.nodes];
        let (before, from) = self.order.split_at(start as usize);
        from.iter().chain(before).filter_map(move |&node| {
            let node = node as usize;
            let first_time = !std::mem::replace(&mut met[node], true);
            first_time.then_some(node)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn ids(names: &[&str]) -> Vec<NodeId> {
        names.iter().map(|name| NodeId::new(name).unwrap()).collect()
    }

    fn tenant(number: usize) -> TenantId {
        TenantId::new(&format!("tenant-{number}")).unwrap()
    }

    fn ring(nodes: &[NodeId], weight: u32) -> Ring {
        Ring::new(nodes.iter().map(|node| (node, weight)))
    }

    fn order_of(nodes: &[NodeId], number: usize) -> Vec<&str> {
        ring(nodes, 100).walk(&tenant(number)).map(|at| nodes[at].as_str()).collect()
    }

    /// If this fails, every cluster that is upgraded to this version would move its tenants.
    #[test]
    fn the_order_is_the_same_in_every_version() {
        let nodes = ids(&["a", "b", "c", "d"]);
        let orders: Vec<String> = (0..6).map(|number| order_of(&nodes, number).concat()).collect();
        assert_eq!(orders, ["cadb", "abdc", "cadb", "cbad", "cdba", "cbad"]);
    }

    #[test]
    fn a_walk_meets_every_node_once() {
        let nodes = ids(&["a", "b", "c", "d", "e"]);
        for number in 0..100 {
            let mut order = order_of(&nodes, number);
            order.sort_unstable();
            assert_eq!(order, ["a", "b", "c", "d", "e"]);
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        let (forward, backward) = (ids(&["a", "b", "c"]), ids(&["c", "b", "a"]));
        for number in 0..100 {
            assert_eq!(order_of(&forward, number), order_of(&backward, number));
        }
    }

    #[test]
    fn a_node_that_leaves_changes_nothing_between_the_others() {
        let (all, fewer) = (ids(&["a", "b", "c", "d"]), ids(&["a", "b", "d"]));
        for number in 0..200 {
            let mut expected = order_of(&all, number);
            expected.retain(|node| *node != "c");
            assert_eq!(order_of(&fewer, number), expected);
        }
    }

    #[test]
    fn first_choices_follow_the_weights() {
        let nodes = ids(&["a", "b", "c"]);
        let ring = Ring::new([(&nodes[0], 100), (&nodes[1], 100), (&nodes[2], 200)]);
        let mut first_choices = BTreeMap::new();
        for number in 0..8_000 {
            *first_choices.entry(ring.walk(&tenant(number)).next().unwrap()).or_insert(0_u32) += 1;
        }
        for (node, ideal) in [(0, 2_000), (1, 2_000), (2, 4_000)] {
            let share = first_choices[&node];
            assert!(share > ideal * 3 / 4 && share < ideal * 5 / 4, "{first_choices:?}");
        }
    }

    #[test]
    fn a_ring_without_points_has_no_order() {
        let nodes = ids(&["a"]);
        assert_eq!(ring(&nodes, 0).walk(&tenant(1)).count(), 0);
        assert_eq!(ring(&[], 100).walk(&tenant(1)).count(), 0);
    }
}
