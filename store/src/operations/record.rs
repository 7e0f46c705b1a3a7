//! An operation as it is read: the row of `operations`, and what its columns mean.

use roost_cluster::ledger::{FleetLimits, Progress};
use roost_model::ids::{NodeId, OperationId, TenantId};
use sqlx::types::Json;
use time::OffsetDateTime;

use super::rollout_order::RolloutOrder;
use crate::{SettingsValues, StoreError, columns::optional_id};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    pub id: OperationId,
    pub order: OperationOrder,
    pub state: OperationState,
    /// As the controller last noted.
    pub progress: Progress,
    /// What it waits for while it runs, why it failed, or who cancelled it.
    pub message: String,
    /// Empty when nobody did: the policy started it.
    pub requested_by: String,
    pub reason: String,
    pub started_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationOrder {
    /// `force`: at once; else it is paced, until the deadline if there is one.
    Drain {
        node: NodeId,
        deadline: Option<OffsetDateTime>,
        force: bool,
    },
    Rebalance {
        max_concurrent: u32,
        max_unavailable_percent: u32,
    },
    Move {
        tenant: TenantId,
        to: NodeId,
    },
    /// `selector`: by which the workers were chosen when it started; empty for all. `to`: of a move, if it is to one node.
    Fleet {
        action: WorkerAction,
        selector: String,
        to: Option<NodeId>,
        limits: FleetLimits,
        settings: Option<SettingsOrder>,
    },
    Rollout(RolloutOrder),
}

/// What an update of settings gives its tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsOrder {
    /// The same to each.
    Values(SettingsValues),
    /// To each what it had before this operation.
    Undo(OperationId),
}

/// What the workers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "worker_action", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkerAction {
    /// Those that are stopped or in ERROR; the others only what is to run.
    Start,
    Stop,
    /// Gracefully.
    Restart,
    /// By killing the browser.
    ForceRestart,
    /// Anew, with another scan: the session is forgotten.
    Relink,
    /// To another node, prepared; nothing is told to the worker.
    Move,
    /// Its tenant gets other settings, or has them back.
    UpdateSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "operation_state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationState {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// What does not fit the column is beyond what its check allows, and is refused by that.
pub(crate) fn number_to_column(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(crate) fn count(column: i32) -> Result<u32, StoreError> {
    u32::try_from(column)
        .map_err(|reason| StoreError::Corrupt { what: "an operation", reason: reason.to_string() })
}

#[derive(Debug, Clone, Copy, sqlx::Type)]
#[sqlx(type_name = "operation_kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    Drain,
    Rebalance,
    Move,
    Fleet,
    Rollout,
}

/// As the columns come, before they are checked.
pub(super) struct OperationRow {
    pub id: i64,
    pub kind: Kind,
    pub node: Option<String>,
    pub tenant_id: Option<String>,
    pub selector: Option<String>,
    pub action: Option<WorkerAction>,
    pub force: bool,
    pub deadline: Option<OffsetDateTime>,
    pub max_concurrent: Option<i32>,
    pub max_unavailable_percent: Option<i32>,
    pub pauses_after: Option<i32>,
    pub settings: Option<Json<SettingsValues>>,
    pub undoes: Option<i64>,
    pub rollout: Option<Json<RolloutOrder>>,
    pub state: OperationState,
    pub total: i32,
    pub done: i32,
    pub message: String,
    pub requested_by: String,
    pub reason: String,
    pub started_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

impl OperationRow {
    fn order(&self) -> Result<OperationOrder, StoreError> {
        let missing = || StoreError::Corrupt {
            what: "an operation",
            reason: format!("operation {} lacks what its kind needs", self.id),
        };
        let node = || NodeId::new(self.node.as_deref().ok_or_else(missing)?).map_err(StoreError::corrupt_id);
        Ok(match self.kind {
            Kind::Drain => {
                OperationOrder::Drain { node: node()?, deadline: self.deadline, force: self.force }
            }
            Kind::Rebalance => OperationOrder::Rebalance {
                max_concurrent: count(self.max_concurrent.ok_or_else(missing)?)?,
                max_unavailable_percent: count(self.max_unavailable_percent.ok_or_else(missing)?)?,
            },
            Kind::Move => {
                let tenant = self.tenant_id.as_deref().ok_or_else(missing)?;
                let tenant = TenantId::new(tenant).map_err(StoreError::corrupt_id)?;
                OperationOrder::Move { tenant, to: node()? }
            }
            Kind::Rollout => OperationOrder::Rollout(self.rollout.as_ref().ok_or_else(missing)?.0.clone()),
            Kind::Fleet => OperationOrder::Fleet {
                action: self.action.ok_or_else(missing)?,
                selector: self.selector.clone().ok_or_else(missing)?,
                to: optional_id(self.node.as_deref(), NodeId::new)?,
                limits: FleetLimits {
                    max_concurrent: count(self.max_concurrent.ok_or_else(missing)?)?,
                    max_unavailable_percent: count(self.max_unavailable_percent.ok_or_else(missing)?)?,
                    pauses_after: self.pauses_after.map(count).transpose()?,
                },
                settings: match (&self.settings, self.undoes) {
                    (Some(Json(values)), _) => Some(SettingsOrder::Values(values.clone())),
                    (None, undone) => undone.map(|id| SettingsOrder::Undo(OperationId(id))),
                },
            },
        })
    }
}

impl TryFrom<OperationRow> for OperationRecord {
    type Error = StoreError;

    fn try_from(row: OperationRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: OperationId(row.id),
            order: row.order()?,
            state: row.state,
            progress: Progress { total: count(row.total)?, done: count(row.done)? },
            message: row.message,
            requested_by: row.requested_by,
            reason: row.reason,
            started_at: row.started_at,
            ended_at: row.ended_at,
        })
    }
}
