//! The policy of the cluster. Its row is also the lock that puts operators' orders one after the other: whoever writes one
//! holds it until the commit (`policy_lock`).
//!
//! A statement that has waited for the lock still reads what was there when it began. Where that matters the lock is
//! not taken if another order came first (`orders_revision` is not the one read), and the statement begins again.

use std::ops::RangeInclusive;

use time::OffsetDateTime;

use crate::{Requester, Store, StoreError};

/// How often an order begins again before it is given up.
pub(crate) const ATTEMPTS: u32 = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPolicy {
    pub failover_paused: Option<FailoverPause>,
    /// When an operator last resumed failover.
    pub failover_resumed_at: Option<OffsetDateTime>,
    pub failover_breaker: bool,
    pub auto_rebalance: bool,
    /// How long the log and the messages that were given up are kept.
    pub message_retention_days: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverPause {
    pub reason: String,
    /// Empty when the failover breaker did it.
    pub requested_by: String,
    pub paused_at: OffsetDateTime,
}

/// `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyPatch {
    pub failover_breaker: Option<bool>,
    pub auto_rebalance: Option<bool>,
    /// Within [`RETENTION_DAYS`].
    pub message_retention_days: Option<u32>,
}

/// What the retention of messages may be set to, in days.
pub const RETENTION_DAYS: RangeInclusive<u32> = 1..=3650;

impl Store {
    pub async fn policy(&self) -> Result<ClusterPolicy, StoreError> {
        let query = sqlx::query!(
            "select failover_paused, failover_paused_by, failover_paused_at, failover_resumed_at, failover_breaker,
                auto_rebalance, message_retention_days
            from cluster_policy"
        );
        let row = self.one("read the policy", query).await?;
        let pause = row.failover_paused.zip(row.failover_paused_at);
        Ok(ClusterPolicy {
            failover_paused: pause.map(|(reason, paused_at)| FailoverPause {
                reason,
                requested_by: row.failover_paused_by,
                paused_at,
            }),
            failover_resumed_at: row.failover_resumed_at,
            failover_breaker: row.failover_breaker,
            auto_rebalance: row.auto_rebalance,
            message_retention_days: u32::try_from(row.message_retention_days).map_err(|reason| {
                StoreError::Corrupt { what: "message_retention_days", reason: reason.to_string() }
            })?,
        })
    }

    /// Changes the fields that are set.
    pub async fn update_policy(
        &self,
        patch: PolicyPatch,
        by: &Requester,
    ) -> Result<ClusterPolicy, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select failover_breaker as breaker, auto_rebalance as auto, message_retention_days as days
                from cluster_policy for no key update
            ), changed as (
                update cluster_policy c set
                    orders_revision = c.orders_revision + 1,
                    failover_breaker = coalesce($1, policy_lock.breaker), auto_rebalance = coalesce($2, policy_lock.auto),
                    message_retention_days = coalesce($5, policy_lock.days)
                from policy_lock
                where (policy_lock.breaker, policy_lock.auto, policy_lock.days) is distinct from (
                    coalesce($1, policy_lock.breaker), coalesce($2, policy_lock.auto), coalesce($5, policy_lock.days))
                returning c.failover_breaker, c.auto_rebalance, c.message_retention_days
            ), logged as (
                insert into cluster_events (kind, text, requested_by, reason)
                select 'POLICY_CHANGED', format('the failover breaker is %s, auto-rebalance is %s, messages are kept for %s days',
                    case when failover_breaker then 'on' else 'off' end,
                    case when auto_rebalance then 'on' else 'off' end, message_retention_days), $3, $4
                from changed
            )
            select exists(select from changed) as "changed!""#,
            patch.failover_breaker,
            patch.auto_rebalance,
            requested_by,
            reason,
            // What does not fit the column is beyond what its check allows, and is refused by that.
            patch.message_retention_days.map(|days| i32::try_from(days).unwrap_or(i32::MAX)),
        );
        self.one("change the policy", query).await?;
        self.policy().await
    }

    /// Whether it was not paused before; pausing again keeps the first reason.
    pub async fn pause_failover(&self, by: &Requester) -> Result<bool, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select failover_paused from cluster_policy for no key update
            ), paused as (
                update cluster_policy c set
                    orders_revision = c.orders_revision + 1,
                    failover_paused = $2, failover_paused_by = $1, failover_paused_at = now()
                from policy_lock where policy_lock.failover_paused is null
                returning c.singleton
            ), logged as (
                insert into cluster_events (kind, text, requested_by, reason)
                select 'FAILOVER_PAUSED', 'failover is paused: the tenants of a lost node wait', $1, $2 from paused
            )
            select exists(select from paused) as "changed!""#,
            requested_by,
            reason,
        );
        Ok(self.one("pause failover", query).await?.changed)
    }

    /// Whether it was paused. In any case the losses from before do not trip the breaker any more.
    pub async fn resume_failover(&self, by: &Requester) -> Result<bool, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select failover_paused is not null as paused from cluster_policy for no key update
            ), resumed as (
                update cluster_policy c set
                    orders_revision = c.orders_revision + 1,
                    failover_paused = null, failover_paused_by = '', failover_paused_at = null,
                    failover_resumed_at = now()
                from policy_lock
            ), logged as (
                insert into cluster_events (kind, text, requested_by, reason)
                select 'FAILOVER_RESUMED', 'failover goes on', $1, $2 from policy_lock where paused
            )
            select paused as "changed!" from policy_lock"#,
            requested_by,
            reason,
        );
        Ok(self.one("resume failover", query).await?.changed)
    }
}
