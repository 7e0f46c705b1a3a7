//! What everything that a node does for a tenant works with. One of a process, shared by all.

use std::sync::Arc;

use roost_engine::Engine;
use roost_store::Store;

use crate::{
    host::{impairments::Impairments, named_store::NamedStore},
    launch_queue::LaunchQueue,
    logins::Logins,
    resources::Resources,
    session::{Profiles, SnapshotStore},
    spares::Spares,
    start_times::StartTimes,
    symptoms::Symptoms,
    version_contents::VersionContents,
};

pub struct NodeEnv {
    pub store: Store,
    pub engine: Arc<dyn Engine>,
    /// Where sessions survive this machine.
    pub snapshots: SnapshotStore,
    /// Which store that has to be.
    pub named_store: NamedStore,
    /// Every tenant's profile on this node.
    pub profiles: Profiles,
    /// Bounds how many browsers and pages of this node start at once.
    pub launches: Arc<LaunchQueue>,
    /// How long their starts took.
    pub start_times: StartTimes,
    /// What its work tells of the node itself.
    pub symptoms: Symptoms,
    /// What its checks have found of it.
    pub impairments: Impairments,
    /// What its tenants tell each other of WhatsApp.
    pub logins: Logins,
    /// What its browsers use of it, and may.
    pub resources: Resources,
    /// Browsers that wait for a tenant.
    pub spares: Spares,
    /// What its browsers are given in the place of the site's page and of the node's library.
    pub versions: VersionContents,
}

#[cfg(test)]
impl NodeEnv {
    /// All of it in this directory, with a Postgres that is away: nothing listens where it should be.
    pub fn without_postgres(
        dir: &std::path::Path,
        engine: Arc<dyn Engine>,
        key: crate::session::SnapshotKeys,
        spares: Spares,
    ) -> Self {
        let objects = dir.join("objects");
        Self {
            store: Store::connect_lazy("postgres://nobody@127.0.0.1:1/none", 2).unwrap(),
            engine,
            snapshots: SnapshotStore::open(objects.to_str().unwrap(), key).unwrap(),
            named_store: NamedStore::default(),
            profiles: Profiles::open(&dir.join("profiles"), roost_engine::run_as::RunAs::Caller).unwrap(),
            launches: LaunchQueue::new(1),
            start_times: StartTimes::default(),
            symptoms: Symptoms::default(),
            impairments: Impairments::default(),
            logins: Logins::default(),
            resources: Resources::default(),
            spares,
            versions: VersionContents::default(),
        }
    }
}
