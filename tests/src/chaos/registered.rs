//! What etcd says of who owns what, revision by revision, and what must never be in it. Pure.

use std::collections::BTreeMap;

use anyhow::Result;
use roost_cluster::{
    keys::{self, Key},
    records::{AckRecord, AssignmentRecord, LeaderRecord, NodeRecord, Phase},
    registry::{Change, Entry},
};
use roost_model::ids::{Generation, Incarnation, NodeId, Revision, TenantId};

/// The state as of a revision, and the marks that only grow.
#[derive(Debug, Default)]
pub(super) struct Registered {
    pub revision: Revision,
    pub leader: Option<LeaderRecord>,
    /// How often somebody became the controller.
    pub leaders: u64,
    /// Assignments that were published.
    pub publications: u64,
    /// Registrations that ended, by node.
    pub lost: BTreeMap<NodeId, u64>,
    nodes: BTreeMap<NodeId, Incarnation>,
    assignments: BTreeMap<NodeId, AssignmentRecord>,
    acks: BTreeMap<NodeId, AckRecord>,
    newest: BTreeMap<TenantId, (Generation, NodeId)>,
    pub violations: Vec<String>,
}

impl Registered {
    /// Takes a change in. Those of one revision happened at once: the state is judged when the next one begins, and
    /// at the end.
    pub fn take(&mut self, change: &Change) -> Result<()> {
        if change.revision() > self.revision {
            self.judge();
            self.revision = change.revision();
        }
        match change {
            Change::Put(entry) => self.put(entry),
            Change::Delete { key, .. } => {
                self.delete(key);
                Ok(())
            }
        }
    }

    /// Whoever runs a tenant by this revision.
    pub fn tenants_on(&self, node: &str) -> Vec<TenantId> {
        let records = self.assignments.iter().filter(|(id, _)| id.as_str() == node);
        let entries = records.flat_map(|(_, record)| &record.entries);
        entries.filter(|entry| owns(entry.phase)).map(|entry| entry.tenant.clone()).collect()
    }

    /// No tenant may have two owners that live, by what is published and by what they acknowledge (I1).
    pub fn judge(&mut self) {
        let lives = |node: &NodeId, incarnation| self.nodes.get(node) == Some(&incarnation);
        let published = self.assignments.iter().filter(|(node, record)| lives(node, record.incarnation));
        let published = published.flat_map(|(node, record)| {
            record.entries.iter().filter(|entry| owns(entry.phase)).map(move |entry| (&entry.tenant, node))
        });
        let held = self.acks.iter().filter(|(node, record)| lives(node, record.incarnation));
        let held = held.flat_map(|(node, record)| record.held.iter().map(move |held| (&held.tenant, node)));
        let mut found = twice(published, "is published to two nodes that live");
        found.extend(twice(held, "is held by two nodes that live"));
        let revision = self.revision;
        self.violations.extend(found.into_iter().map(|what| format!("revision {}: {what}", revision.0)));
    }

    fn put(&mut self, entry: &Entry) -> Result<()> {
        match Key::parse(&entry.key) {
            Some(Key::Leader) => {
                if entry.create_revision == entry.mod_revision {
                    self.leaders += 1;
                }
                self.leader = Some(keys::decode(entry)?);
            }
            Some(Key::Node(node)) => {
                let record: NodeRecord = keys::decode(entry)?;
                self.nodes.insert(node, record.incarnation);
            }
            Some(Key::Assignments(node)) => {
                let record: AssignmentRecord = keys::decode(entry)?;
                self.publications += 1;
                self.order(&node, &record);
                self.assignments.insert(node, record);
            }
            Some(Key::Ack(node)) => drop(self.acks.insert(node, keys::decode(entry)?)),
            Some(Key::Challenger | Key::Store) | None => {}
        }
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        match Key::parse(key) {
            Some(Key::Leader) => self.leader = None,
            Some(Key::Node(node)) => {
                self.nodes.remove(&node);
                *self.lost.entry(node).or_default() += 1;
            }
            Some(Key::Assignments(node)) => drop(self.assignments.remove(&node)),
            Some(Key::Ack(node)) => drop(self.acks.remove(&node)),
            Some(Key::Challenger | Key::Store) | None => {}
        }
    }

    /// The generations of a tenant's owners only grow, and one of them belongs to one node (I2).
    fn order(&mut self, node: &NodeId, record: &AssignmentRecord) {
        for entry in record.entries.iter().filter(|entry| entry.phase == Phase::Active) {
            let newest = self.newest.entry(entry.tenant.clone()).or_insert((entry.generation, node.clone()));
            if entry.generation < newest.0 {
                self.violations.push(format!(
                    "revision {}: {} is published to {node} under generation {} after {}",
                    self.revision.0, entry.tenant, entry.generation.0, newest.0.0
                ));
            } else if entry.generation == newest.0 && newest.1 != *node {
                self.violations.push(format!(
                    "revision {}: {} is published to {node} under generation {}, which was {}'s",
                    self.revision.0, entry.tenant, entry.generation.0, newest.1
                ));
            } else {
                *newest = (entry.generation, node.clone());
            }
        }
    }
}

fn owns(phase: Phase) -> bool {
    match phase {
        Phase::Active | Phase::Releasing => true,
        Phase::Preparing => false,
    }
}

fn twice<'a>(owners: impl Iterator<Item = (&'a TenantId, &'a NodeId)>, what: &str) -> Vec<String> {
    let mut by_tenant: BTreeMap<&TenantId, Vec<&NodeId>> = BTreeMap::new();
    for (tenant, node) in owners {
        by_tenant.entry(tenant).or_default().push(node);
    }
    let doubled = by_tenant.into_iter().filter(|(_, nodes)| nodes.len() > 1);
    doubled.map(|(tenant, nodes)| format!("{tenant} {what}: {nodes:?}")).collect()
}
