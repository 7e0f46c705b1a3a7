//! One operation, and the moves that it or the controller made.

use prost_types::Timestamp;
use roost_proto::v1::{Move, Operation, OperationKind, OperationState, Rollout, VersionKind, WorkerAction};
use serde::Serialize;

use super::{WorkerFailureView, ago, enum_name, rfc3339, settings::SettingValueView};
use crate::output::Row;

/// As an action is shown.
const UPDATE_SETTINGS: &str = "UPDATE_SETTINGS";

#[derive(Debug, Serialize)]
pub struct OperationView {
    id: i64,
    kind: String,
    state: String,
    node_id: String,
    tenant_id: String,
    deadline: Option<String>,
    force: bool,
    max_concurrent: i32,
    max_unavailable_percent: i32,
    total_tenants: i32,
    done_tenants: i32,
    message: String,
    requested_by: String,
    reason: String,
    start_time: Option<String>,
    end_time: Option<String>,
    /// Only `operation get` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moves: Vec<MoveView>,
    /// Only an order on workers has one; empty when it is of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pauses_on_failure: bool,
    /// Only `operation get` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<WorkerFailureView>,
    /// Of an update of settings: what each tenant is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settings: Vec<SettingValueView>,
    /// The operation of which it puts back what was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    undoes: Option<i64>,
    /// Of what it undoes those that keep what they have; only its start has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<WorkerFailureView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutView>,
    #[serde(skip)]
    took: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct MoveView {
    tenant_id: String,
    from_node_id: String,
    to_node_id: String,
    reason: String,
    time: Option<String>,
}

/// A version that some tenants are given first, and how.
#[derive(Debug, Serialize)]
struct RolloutView {
    version: String,
    kind: String,
    selector: String,
    max_concurrent: i32,
    watch_for: Option<String>,
    give_up_after: Option<String>,
    least_acknowledged: i32,
}

impl From<Rollout> for RolloutView {
    fn from(told: Rollout) -> Self {
        let span = |span: Option<prost_types::Duration>| span.map(|span| span.to_string());
        Self {
            kind: enum_name(told.kind, "VERSION_KIND_", VersionKind::as_str_name),
            version: told.version,
            selector: told.selector,
            max_concurrent: told.max_concurrent,
            watch_for: span(told.watch_for),
            give_up_after: span(told.give_up_after),
            least_acknowledged: told.least_acknowledged,
        }
    }
}

impl RolloutView {
    fn limits(&self) -> String {
        let span = |span: &Option<String>| span.clone().unwrap_or_default();
        let (watch, give_up) = (span(&self.watch_for), span(&self.give_up_after));
        let (at_once, sends) = (self.max_concurrent, self.least_acknowledged);
        format!(
            "{at_once} at once, watched for {watch} and given up after {give_up}, {sends} sends acknowledged"
        )
    }
}

impl From<Operation> for OperationView {
    fn from(operation: Operation) -> Self {
        let is_fleet = operation.kind() == OperationKind::Fleet;
        let selector = is_fleet.then(|| operation.selector.clone());
        let action = enum_name(operation.action, "WORKER_ACTION_", WorkerAction::as_str_name);
        Self {
            kind: enum_name(operation.kind, "OPERATION_KIND_", OperationKind::as_str_name),
            state: enum_name(operation.state, "OPERATION_STATE_", OperationState::as_str_name),
            deadline: rfc3339(&operation.deadline),
            start_time: rfc3339(&operation.start_time),
            end_time: rfc3339(&operation.end_time),
            took: took(&operation),
            id: operation.id,
            node_id: operation.node_id,
            tenant_id: operation.tenant_id,
            force: operation.force,
            max_concurrent: operation.max_concurrent,
            max_unavailable_percent: operation.max_unavailable_percent,
            total_tenants: operation.total_tenants,
            done_tenants: operation.done_tenants,
            message: operation.message,
            requested_by: operation.requested_by,
            reason: operation.reason,
            moves: operation.moves.into_iter().map(MoveView::from).collect(),
            selector,
            action: is_fleet.then_some(action),
            pauses_on_failure: operation.pauses_on_failure,
            failures: operation.failures.into_iter().map(WorkerFailureView::from).collect(),
            settings: operation.settings.into_iter().map(SettingValueView::from).collect(),
            undoes: Some(operation.undoes).filter(|id| *id > 0),
            rollout: operation.rollout.map(RolloutView::from),
            left_out: operation.left_out.into_iter().map(WorkerFailureView::from).collect(),
        }
    }
}

/// From its start to its end, once it has one.
fn took(operation: &Operation) -> Option<String> {
    let millis = |at: &Timestamp| at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000;
    let millis = millis(operation.end_time.as_ref()?) - millis(operation.start_time.as_ref()?);
    let span = std::time::Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    let whole = std::time::Duration::from_secs(span.as_secs());
    Some(humantime::format_duration(if whole.is_zero() { span } else { whole }).to_string())
}

impl OperationView {
    /// What it is about: workers by their selector, a node, a tenant and its target, or the cluster.
    fn about(&self) -> String {
        if let Some(rollout) = &self.rollout {
            return rollout.version.clone();
        }
        if let Some(undone) = self.undoes {
            return format!("undoes {undone}");
        }
        if let Some(selector) = &self.selector {
            let who = if selector.is_empty() { "all workers" } else { selector };
            let to = if self.node_id.is_empty() { String::new() } else { format!(">{}", self.node_id) };
            return format!("{who}{to}");
        }
        match (self.tenant_id.as_str(), self.node_id.as_str()) {
            ("", "") => "cluster".to_owned(),
            ("", node) => node.to_owned(),
            (tenant, node) => format!("{tenant}>{node}"),
        }
    }

    fn limits(&self) -> String {
        let deadline = self.deadline.as_ref().map(|at| format!("at once from {at} on"));
        let force = self.force.then(|| "at once".to_owned());
        let pace = (self.max_concurrent > 0).then(|| match self.action.as_deref() {
            // It takes nobody away.
            Some(UPDATE_SETTINGS) => format!("{} at once", self.max_concurrent),
            _ => format!("{} at once, {}% unavailable", self.max_concurrent, self.max_unavailable_percent),
        });
        let pauses = self.pauses_on_failure.then(|| "pauses at a failure".to_owned());
        let rollout = self.rollout.as_ref().map(RolloutView::limits);
        [deadline, force, pace, pauses, rollout].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Row for OperationView {
    const HEADER: &'static [&'static str] =
        &["id", "kind", "about", "state", "done", "by", "started", "took", "message"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.action.clone().unwrap_or_else(|| self.kind.clone()),
            self.about(),
            self.state.clone(),
            format!("{}/{}", self.done_tenants, self.total_tenants),
            self.requested_by.clone(),
            ago(self.start_time.as_deref()),
            self.took.clone().unwrap_or_default(),
            self.message.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut lines: Vec<_> = Self::HEADER.iter().copied().zip(self.cells()).collect();
        lines.push(("limits", self.limits()));
        if !self.settings.is_empty() {
            let told = self.settings.iter().map(|one| format!("{}={}", one.path, one.value));
            lines.push(("settings", told.collect::<Vec<_>>().join(", ")));
        }
        lines.push(("reason", self.reason.clone()));
        lines
    }
}

impl From<Move> for MoveView {
    fn from(made: Move) -> Self {
        Self {
            time: rfc3339(&made.time),
            tenant_id: made.tenant_id,
            from_node_id: made.from_node_id,
            to_node_id: made.to_node_id,
            reason: made.reason,
        }
    }
}

impl Row for MoveView {
    const HEADER: &'static [&'static str] = &["time", "tenant", "from", "to", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![
            ago(self.time.as_deref()),
            self.tenant_id.clone(),
            self.from_node_id.clone(),
            self.to_node_id.clone(),
            self.reason.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
