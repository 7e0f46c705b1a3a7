//! A version that some tenants are given first, as the controller reads them and judges it. Who they are, and with whom they are
//! compared, is written down when the rollout starts; how far it has come is what is written of them.

use std::time::Duration;

use roost_model::ids::TenantId;

use super::Outcome;

/// How a tenant of a rollout stands, but for one that is gone: deleted, stopped, or given something else by somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutMember {
    pub tenant: TenantId,
    /// It keeps what it has.
    pub is_control: bool,
    /// Since it was given the version, and of a control since the rollout began; none while it waits for its turn.
    pub given_ago: Option<Duration>,
    /// It is connected; if it was given the version, it has come back with that.
    pub answers: bool,
    /// Of the sends of the browser that it has now.
    pub acknowledged: u32,
    pub unacknowledged: u32,
    /// What has been done about it since, or cannot be, in words.
    pub trouble: Option<String>,
}

/// What a pass changes of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStep {
    /// These are given the version, and their workers start anew with it. One that cannot have it any more is gone.
    Give(Vec<TenantId>),
    /// It ends, and what is written of the operation says so. Done, its version is the fleet's; failed, whoever was given it goes back to
    /// what they had before.
    End { outcome: Outcome, done: u32 },
}
