//! Every step that was published, to be judged afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use roost_model::ids::{NodeId, TenantId};

use super::test_cluster::TestCluster;
use crate::{
    keys::{self, Key},
    records::{AssignmentEntry, AssignmentRecord, Phase},
    registry::{Change, Registry},
};

type PublishedEntries = BTreeMap<NodeId, Vec<AssignmentEntry>>;

/// What was published at each revision, from its start on.
pub(super) struct Recorder {
    steps: Arc<Mutex<Vec<PublishedEntries>>>,
}

impl Recorder {
    pub(super) async fn start(cluster: &TestCluster) -> Self {
        let listing = cluster.registry.list(keys::ASSIGNMENTS).await.unwrap();
        let mut changes = cluster.registry.watch(keys::ASSIGNMENTS, listing.revision).await.unwrap();
        let mut published = PublishedEntries::new();
        for entry in listing.entries {
            apply(&mut published, &Change::Put(entry));
        }
        let steps = Arc::new(Mutex::new(vec![published.clone()]));
        let written = steps.clone();
        tokio::spawn(async move {
            while let Some(batch) = changes.recv().await {
                batch.iter().for_each(|change| apply(&mut published, change));
                written.lock().push(published.clone());
            }
        });
        Self { steps }
    }

    /// The tenants that became another node's, with whether that node had prepared for them in the step before.
    pub(super) fn moves(&self) -> Vec<(TenantId, bool)> {
        let steps = self.steps.lock();
        let mut owners = owners(&steps[0]);
        let mut moves = Vec::new();
        for step in steps.windows(2) {
            for (node, entry) in all(&step[1], Phase::Active) {
                let before = owners.insert(entry.tenant.clone(), node.clone());
                if before.is_some_and(|before| before != *node) {
                    let prepared = all(&step[0], Phase::Preparing)
                        .any(|(on, prepared)| on == node && prepared.tenant == entry.tenant);
                    moves.push((entry.tenant.clone(), prepared));
                }
            }
        }
        moves
    }

    /// The most tenants that were on their way at once, and the most of these that no node ran.
    pub(super) fn busiest(&self) -> (usize, usize) {
        let tenants: BTreeSet<TenantId> = owners(&self.steps.lock()[0]).into_keys().collect();
        let busy = |step: &PublishedEntries| {
            let running: BTreeSet<_> = all(step, Phase::Active).map(|(_, entry)| &entry.tenant).collect();
            let preparing: BTreeSet<_> =
                all(step, Phase::Preparing).map(|(_, entry)| &entry.tenant).collect();
            let unavailable = tenants.iter().filter(|tenant| !running.contains(tenant)).count();
            let under_way = tenants
                .iter()
                .filter(|tenant| preparing.contains(tenant) || !running.contains(tenant))
                .count();
            (under_way, unavailable)
        };
        let steps = self.steps.lock();
        let (under_way, unavailable): (Vec<usize>, Vec<usize>) = steps.iter().map(busy).unzip();
        (under_way.into_iter().max().unwrap_or(0), unavailable.into_iter().max().unwrap_or(0))
    }
}

fn apply(published: &mut PublishedEntries, change: &Change) {
    let Some(Key::Assignments(node)) = Key::parse(change.key()) else { panic!("{change:?}") };
    match change {
        Change::Put(entry) => {
            let record: AssignmentRecord = keys::decode(entry).unwrap();
            published.insert(node, record.entries);
        }
        Change::Delete { .. } => drop(published.remove(&node)),
    }
}

fn all(step: &PublishedEntries, phase: Phase) -> impl Iterator<Item = (&NodeId, &AssignmentEntry)> {
    let entries = step.iter().flat_map(|(node, entries)| entries.iter().map(move |entry| (node, entry)));
    entries.filter(move |(_, entry)| entry.phase == phase)
}

fn owners(step: &PublishedEntries) -> BTreeMap<TenantId, NodeId> {
    all(step, Phase::Active).map(|(node, entry)| (entry.tenant.clone(), node.clone())).collect()
}
