//! Private servers and whole clusters on one machine, for `roost dev`, `roost demo` and the tests: it starts the product's
//! programs as processes and never links them. Of ours it imports proto and tls alone.
//!
//! Everything here shares three rules. All state and every log lies in one directory. A server is dead when the process
//! that started it is dead, even by SIGKILL. Nothing is ever signalled that this process did not start, or that its
//! record (pid and start time) does not prove to be the one that an earlier run started.
//!
//! Start reading at [`Cluster`], or from the bottom up: [`Process`] is one child; [`Etcd`], [`Postgres`] and [`SeaweedFs`] are servers of their own; [`Member`] is one
//! of the product's processes; [`Cluster`] is all of them, and what tests wait for is in its `waits.rs`.

mod authority;
mod certificates;
mod cluster;
mod error;
mod etcd;
mod files;
mod http_relay;
mod identity;
mod launches;
mod loopback;
mod member;
mod options;
mod phones;
mod ports;
mod postgres;
mod process;
mod programs;
mod record;
mod relay;
mod roads;
mod seaweedfs;
mod simulator;
mod spawner;
mod state_dir;
mod system_user;
mod tenants;
mod waits;

pub use authority::{Authority, CertificateFiles, CertificateUse};
pub use cluster::Cluster;
pub use error::{DevError, Result};
pub use etcd::Etcd;
pub use http_relay::{HttpFault, HttpRelay, HttpRequest};
pub use identity::{Descendant, Identity, descendants};
pub use loopback::loopback_client;
pub use member::{Member, announced_in};
pub use options::{Bucket, Options, Ports};
pub use phones::Phones;
pub use ports::free_port;
pub use postgres::Postgres;
pub use process::{Launch, Process, tail, wait_until};
pub use programs::{bridge, browser, product};
pub use record::{CoordinatorRecord, DevRecord, EtcdRecord, NodeRecord, PostgresRecord, TenantRecord};
pub use relay::{Relay, Road};
pub use roads::{Roads, Servers};
pub use rustix::process::Signal;
pub use seaweedfs::{S3Keys, SeaweedFs};
pub use simulator::{Connection, Connections, Overlap, Resend, Scan, SendCause, SentMessage, Simulator};
pub use state_dir::Started;
pub use tenants::demo_tenant;
pub use waits::is_connected;
