//! What a cluster on this machine can be told.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use super::seaweedfs::S3Keys;

#[derive(Debug, Clone)]
pub struct Options {
    /// Holds all state and all logs.
    pub state_dir: PathBuf,
    /// Members of etcd.
    pub etcd_members: usize,
    /// See [`super::Etcd::start_several`].
    pub etcd_through: Option<PathBuf>,
    pub coordinators: usize,
    pub nodes: usize,
    pub tenants: usize,
    pub lease_ttl: Duration,
    /// A worker that was not seen for this long is marked ERROR.
    pub stale_after: Duration,
    /// The tenants answer `echo: <the message>`, without a limit.
    pub echo: bool,
    /// The real site, or another copy of it, in the place of the simulator.
    pub page_url: Option<String>,
    /// The phones scan by themselves. Without it a test holds them: [`super::Cluster::scan`].
    pub phones_scan: bool,
    /// How long the simulator shows the first code, and each further one.
    pub first_code: Duration,
    pub code_every: Duration,
    /// The simulator is as hard on pages as the real site can be where nothing is wrong.
    pub hard: bool,
    /// Processor time that each load of a simulated page takes before it connects.
    pub start_cost: Duration,
    /// Browsers that each node keeps ready for nobody yet; a node's own default unless given.
    pub spare_browsers: Option<u16>,
    /// Further arguments of every node and coordinator.
    pub node_args: Vec<String>,
    pub coordinator_args: Vec<String>,
    /// Variables of single nodes, by their ids.
    pub node_env: BTreeMap<String, Vec<(OsString, OsString)>>,
    /// The browser of single nodes, where it is another one than the others'.
    pub browsers: BTreeMap<String, PathBuf>,
    /// A command that becomes the node, such as `nsenter`: it is given the node's own command line.
    pub node_through: Vec<OsString>,
    /// Where snapshots go; in the state directory unless given.
    pub object_store: Option<PathBuf>,
    /// A bucket in its place.
    pub bucket: Option<Bucket>,
    /// Nodes and coordinators reach etcd and PostgreSQL by relays: [`super::Cluster::roads`].
    pub relays: bool,
    /// Everything is reached by TLS, with certificates of an authority of the cluster's own.
    pub tls: bool,
    pub ports: Ports,
}

/// Where snapshots go on an S3-compatible server.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// `s3://BUCKET/PREFIX`
    pub location: String,
    pub endpoint: String,
    pub keys: S3Keys,
}

/// Ports that were asked for; the others are free ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    pub etcd: Option<u16>,
    pub postgres: Option<u16>,
    pub admin: Option<u16>,
    pub simulator: Option<u16>,
    pub simulator_tls: Option<u16>,
}

impl Options {
    /// What `roost dev` does without options, in a directory.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            etcd_members: 1,
            etcd_through: None,
            coordinators: 1,
            nodes: 3,
            tenants: 6,
            lease_ttl: Duration::from_secs(5),
            stale_after: Duration::from_secs(120),
            echo: false,
            page_url: None,
            phones_scan: true,
            first_code: Duration::from_secs(60),
            code_every: Duration::from_secs(20),
            hard: false,
            start_cost: Duration::ZERO,
            spare_browsers: None,
            node_args: vec![],
            coordinator_args: vec![],
            node_env: BTreeMap::new(),
            browsers: BTreeMap::new(),
            node_through: vec![],
            object_store: None,
            bucket: None,
            relays: false,
            tls: false,
            ports: Ports::default(),
        }
    }
}
