//! The standing orders of the cluster. Their row is also the turn in which orders are given: whoever writes one holds
//! it until the commit.
//!
//! A statement that has waited for its turn still reads what was there when it began. Where that matters the turn is
//! refused if another order came first (`orders_revision` is not the one read), and the statement begins again.

use time::OffsetDateTime;

use crate::{By, Store, StoreError};

/// How often an order begins again before it is given up.
pub(crate) const ATTEMPTS: u32 = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPolicy {
    pub failover_paused: Option<FailoverPause>,
    /// When an operator last resumed failover.
    pub failover_resumed_at: Option<OffsetDateTime>,
    pub mass_loss_brake: bool,
    pub auto_rebalance: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverPause {
    pub reason: String,
    /// Empty when the brake did it.
    pub by: String,
    pub since: OffsetDateTime,
}

/// `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyPatch {
    pub mass_loss_brake: Option<bool>,
    pub auto_rebalance: Option<bool>,
}

impl Store {
    pub async fn policy(&self) -> Result<ClusterPolicy, StoreError> {
        let query = sqlx::query!(
            "select failover_paused, failover_paused_by, failover_paused_at, failover_resumed_at, mass_loss_brake,
                auto_rebalance
            from cluster_policy"
        );
        let row = self.one("read the policy", query).await?;
        let pause = row.failover_paused.zip(row.failover_paused_at);
        Ok(ClusterPolicy {
            failover_paused: pause.map(|(reason, since)| FailoverPause {
                reason,
                by: row.failover_paused_by,
                since,
            }),
            failover_resumed_at: row.failover_resumed_at,
            mass_loss_brake: row.mass_loss_brake,
            auto_rebalance: row.auto_rebalance,
        })
    }

    /// Changes the fields that are set.
    pub async fn update_policy(&self, patch: PolicyPatch, by: &By) -> Result<ClusterPolicy, StoreError> {
        let (who, why) = by.columns();
        let query = sqlx::query!(
            r#"with turn as materialized (
                select mass_loss_brake as brake, auto_rebalance as auto from cluster_policy for no key update
            ), changed as (
                update cluster_policy c set
                    orders_revision = c.orders_revision + 1,
                    mass_loss_brake = coalesce($1, turn.brake), auto_rebalance = coalesce($2, turn.auto)
                from turn
                where (turn.brake, turn.auto) is distinct from (coalesce($1, turn.brake), coalesce($2, turn.auto))
                returning c.mass_loss_brake, c.auto_rebalance
            ), told as (
                insert into cluster_events (kind, text, who, reason)
                select 'POLICY_CHANGED', format('the brake on mass loss is %s, the rebalance by itself is %s',
                    case when mass_loss_brake then 'on' else 'off' end,
                    case when auto_rebalance then 'on' else 'off' end), $3, $4
                from changed
            )
            select exists(select from changed) as "changed!""#,
            patch.mass_loss_brake,
            patch.auto_rebalance,
            who,
            why,
        );
        self.one("change the policy", query).await?;
        self.policy().await
    }

    /// Whether it was not paused before; pausing again keeps the first reason.
    pub async fn pause_failover(&self, by: &By) -> Result<bool, StoreError> {
        let (who, why) = by.columns();
        let query = sqlx::query!(
            r#"with turn as materialized (
                select failover_paused from cluster_policy for no key update
            ), paused as (
                update cluster_policy c set
                    orders_revision = c.orders_revision + 1,
                    failover_paused = $2, failover_paused_by = $1, failover_paused_at = now()
                from turn where turn.failover_paused is null
                returning c.singleton
            ), told as (
                insert into cluster_events (kind, text, who, reason)
                select 'FAILOVER_PAUSED', 'failover is paused: the tenants of a lost node wait', $1, $2 from paused
            )
            select exists(select from paused) as "changed!""#,
            who,
            why,
        );
        Ok(self.one("pause failover", query).await?.changed)
    }

    /// Whether it was paused. In any case the losses from before brake nothing any more.
    pub async fn resume_failover(&self, by: &By) -> Result<bool, StoreError> {
        let (who, why) = by.columns();
        let query = sqlx::query!(
            r#"with turn as materialized (
                select failover_paused is not null as paused from cluster_policy for no key update
            ), resumed as (
                update cluster_policy c set
                    orders_revision = c.orders_revision + 1,
                    failover_paused = null, failover_paused_by = '', failover_paused_at = null,
                    failover_resumed_at = now()
                from turn
            ), told as (
                insert into cluster_events (kind, text, who, reason)
                select 'FAILOVER_RESUMED', 'failover goes on', $1, $2 from turn where paused
            )
            select paused as "changed!" from turn"#,
            who,
            why,
        );
        Ok(self.one("resume failover", query).await?.changed)
    }
}
