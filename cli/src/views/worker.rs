//! One tenant's worker.

use roost_proto::v1::{ConditionKind, DesiredState, SessionStatus, Worker, WorkerCondition, WorkerStatus};
use serde::Serialize;

use super::{
    ago, enum_name, rfc3339,
    usage::{cpu, memory},
};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct WorkerView {
    tenant_id: String,
    name: String,
    status: String,
    desired_state: String,
    node_id: String,
    generation: i64,
    session_status: String,
    last_error: String,
    restarts: i64,
    last_seen_time: Option<String>,
    pinned_node_id: String,
    conflicts: i64,
    resends: i64,
    condition: ConditionView,
    next_restart_time: Option<String>,
    memory_bytes: Option<i64>,
    cpu_millicores: Option<i32>,
    processes: Option<i32>,
    messages_per_minute: Option<i32>,
    /// Only in the stream of `worker watch`: the tenant was deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// Only there, too: it is not one of those that were asked for any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_longer_fits: bool,
}

impl From<Worker> for WorkerView {
    fn from(worker: Worker) -> Self {
        Self {
            status: enum_name(worker.status, "WORKER_STATUS_", WorkerStatus::as_str_name),
            desired_state: enum_name(worker.desired_state, "DESIRED_STATE_", DesiredState::as_str_name),
            session_status: enum_name(worker.session_status, "SESSION_STATUS_", SessionStatus::as_str_name),
            last_seen_time: rfc3339(&worker.last_seen_time),
            next_restart_time: rfc3339(&worker.next_restart_time),
            tenant_id: worker.tenant_id,
            name: worker.name,
            node_id: worker.node_id,
            generation: worker.generation,
            last_error: worker.last_error,
            restarts: worker.restarts,
            pinned_node_id: worker.pinned_node_id,
            conflicts: worker.conflicts,
            resends: worker.resends,
            condition: worker.condition.unwrap_or_default().into(),
            memory_bytes: worker.memory_bytes,
            cpu_millicores: worker.cpu_millicores,
            processes: worker.processes,
            messages_per_minute: worker.messages_per_minute,
            deleted: false,
            no_longer_fits: false,
        }
    }
}

/// What it waits for, or does about a fault.
#[derive(Debug, Serialize)]
struct ConditionView {
    kind: String,
    reason: String,
    since_time: Option<String>,
}

impl From<WorkerCondition> for ConditionView {
    fn from(condition: WorkerCondition) -> Self {
        Self {
            kind: enum_name(condition.kind, "CONDITION_KIND_", ConditionKind::as_str_name),
            reason: condition.reason,
            since_time: rfc3339(&condition.since_time),
        }
    }
}

impl ConditionView {
    /// Since when nothing is waited for is of no interest.
    fn cell(&self) -> String {
        match self.kind.as_str() {
            "NONE" | "UNSPECIFIED" => String::new(),
            kind => format!("{kind} {}", ago(self.since_time.as_deref())).trim_end().to_owned(),
        }
    }
}

impl WorkerView {
    pub fn deleted(self) -> Self {
        Self { deleted: true, ..self }
    }

    pub fn no_longer_fits(self) -> Self {
        Self { no_longer_fits: true, ..self }
    }

    /// How it is, for a sentence.
    pub fn in_a_line(&self) -> String {
        let parts = [
            &self.status,
            &self.session_status,
            &self.condition.cell(),
            &self.condition.reason,
            &self.last_error,
        ];
        parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// By which those that use most come first; one of which nothing is known uses nothing.
    pub fn memory_bytes(&self) -> i64 {
        self.memory_bytes.unwrap_or(-1)
    }

    pub fn cpu_millicores(&self) -> i32 {
        self.cpu_millicores.unwrap_or(-1)
    }
}

impl Row for WorkerView {
    const HEADER: &'static [&'static str] = &[
        "tenant",
        "status",
        "desired",
        "node",
        "generation",
        "session",
        "condition",
        "restarts",
        "last seen",
        "last error",
    ];

    const WIDE: &'static [&'static str] = &["memory", "cpu", "processes", "messages/min"];

    fn wide_cells(&self) -> Vec<String> {
        vec![
            self.memory_bytes.map(memory).unwrap_or_default(),
            self.cpu_millicores.map(cpu).unwrap_or_default(),
            self.processes.map(|processes| processes.to_string()).unwrap_or_default(),
            self.messages_per_minute.map(|messages| messages.to_string()).unwrap_or_default(),
        ]
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.tenant_id.clone(),
            match (self.deleted, self.no_longer_fits) {
                (true, _) => "DELETED".to_owned(),
                (false, true) => "LEFT".to_owned(),
                (false, false) => self.status.clone(),
            },
            self.desired_state.clone(),
            self.node_id.clone(),
            self.generation.to_string(),
            self.session_status.clone(),
            self.condition.cell(),
            self.restarts.to_string(),
            ago(self.last_seen_time.as_deref()),
            self.last_error.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("name", self.name.clone())];
        lines.extend(Self::HEADER.iter().copied().zip(self.cells()));
        lines.push(("waits for", self.condition.reason.clone()));
        lines.push(("pinned to", self.pinned_node_id.clone()));
        lines.push(("next restart", self.next_restart_time.clone().unwrap_or_default()));
        lines.extend(Self::WIDE.iter().copied().zip(self.wide_cells()));
        lines.push(("conflicts", self.conflicts.to_string()));
        lines.push(("resends", self.resends.to_string()));
        lines
    }
}
