//! What nodes answer, as values: what speaks the protocol stays in here.

use std::time::Duration;

use roost_model::ids::Generation;
use roost_proto::internal::{
    Browser, EffectiveSetting, HeldTenant, InspectWorkerResponse, ProcessTree, ReadLogRequest,
    ReadLogResponse,
};
use time::OffsetDateTime;
use tonic::{Status, Streaming};

/// What a node knows of a worker at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerVitals {
    pub node_version: String,
    pub generation: Generation,
    /// In words.
    pub state: String,
    /// Since its page last answered as it should; `None` while it has not.
    pub since_proof: Option<Duration>,
    pub reconnect_attempts: u32,
    pub browser: Option<BrowserVitals>,
    /// What the worker goes by.
    pub timing: Vec<SettingVitals>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingVitals {
    pub name: String,
    pub value: String,
    pub is_tenants_own: bool,
}

/// Versions are empty where they are not known.
#[derive(Debug, Clone, PartialEq)]
pub struct BrowserVitals {
    pub uptime: Duration,
    pub browser_version: String,
    pub bridge_version: String,
    pub library_version: String,
    /// Of the page that it was given; empty where it is the site's.
    pub page_version: String,
    /// `None` for an engine without any.
    pub processes: Option<ProcessVitals>,
    /// In words.
    pub limits_held_by: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessVitals {
    pub pid: i32,
    pub processes: u32,
    /// `None` where the kernel keeps it from the node.
    pub pss_bytes: Option<u64>,
    pub own_bytes: u64,
    pub cpu_time: Duration,
    /// Of one processor.
    pub cpu_share: f64,
}

/// Which lines of a worker's log.
#[derive(Debug, Clone)]
pub struct LogRequest {
    pub tenant: String,
    pub generation: Generation,
    /// The newest of those that are there; 0 means all.
    pub lines: u32,
    pub since: Option<OffsetDateTime>,
    /// This one and above.
    pub level: &'static str,
    pub follow: bool,
}

/// Some lines of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// As the node has written them.
    pub lines: Vec<String>,
    /// So many are missing after them.
    pub missed: u64,
}

/// A node's answer breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the node does not answer any more")]
pub struct BrokenOff(#[from] Status);

/// Lines of a worker's log, as they come.
#[derive(Debug)]
pub struct NodeLog(pub(super) Streaming<ReadLogResponse>);

impl NodeLog {
    /// `None` when the node has no more. Nothing is lost when it is not waited for to the end.
    pub async fn next(&mut self) -> Result<Option<LogChunk>, BrokenOff> {
        let told = self.0.message().await?;
        Ok(told.map(|ReadLogResponse { lines, missed }| LogChunk { lines, missed }))
    }
}

impl From<LogRequest> for ReadLogRequest {
    fn from(request: LogRequest) -> Self {
        Self {
            tenant_id: request.tenant,
            generation: request.generation.0,
            lines: request.lines,
            since_time: request.since.map(|at| prost_types::Timestamp {
                seconds: at.unix_timestamp(),
                nanos: i32::try_from(at.nanosecond()).unwrap_or_default(),
            }),
            level: request.level.to_owned(),
            follow: request.follow,
        }
    }
}

impl From<InspectWorkerResponse> for WorkerVitals {
    fn from(told: InspectWorkerResponse) -> Self {
        let HeldTenant { generation, state, since_proof, .. } = told.held.unwrap_or_default();
        Self {
            node_version: told.node_version,
            generation: Generation(generation),
            state,
            since_proof: since_proof.map(duration),
            reconnect_attempts: told.reconnect_attempts,
            browser: told.browser.map(Into::into),
            timing: told.timing.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<EffectiveSetting> for SettingVitals {
    fn from(EffectiveSetting { name, value, is_tenants_own }: EffectiveSetting) -> Self {
        Self { name, value, is_tenants_own }
    }
}

impl From<Browser> for BrowserVitals {
    fn from(told: Browser) -> Self {
        Self {
            uptime: told.uptime.map(duration).unwrap_or_default(),
            browser_version: told.browser_version,
            bridge_version: told.bridge_version,
            library_version: told.library_version,
            page_version: told.page_version,
            processes: told.processes.map(Into::into),
            limits_held_by: told.limits_held_by,
        }
    }
}

impl From<ProcessTree> for ProcessVitals {
    fn from(told: ProcessTree) -> Self {
        Self {
            pid: told.pid,
            processes: told.processes,
            pss_bytes: told.pss_bytes,
            own_bytes: told.own_bytes,
            cpu_time: told.cpu_time.map(duration).unwrap_or_default(),
            cpu_share: told.cpu_share,
        }
    }
}

/// Nodes tell none that is negative.
fn duration(told: prost_types::Duration) -> Duration {
    told.try_into().unwrap_or_default()
}
