//! `roost cluster`

use clap::{Subcommand, ValueEnum};
use prost_types::FieldMask;
use roost_proto::v1::{
    GetClusterStatusRequest, ListEventsRequest, PauseFailoverRequest, Policy, ResumeFailoverRequest,
    UpdatePolicyRequest, WatchEventsRequest,
};

use super::{Context, all_pages, attribution::Attribution};
use crate::{
    failure::Failure,
    views::{ClusterView, EventView, PolicyView},
};

/// Events that are shown when the number is not chosen.
pub(super) const EVENTS: usize = 50;

#[derive(Debug, Subcommand)]
pub enum ClusterVerb {
    /// Shows the controller, the nodes, the tenants and what runs.
    Status,
    /// Lists what happened, the newest first.
    Events {
        /// Print the last events, the oldest first, then each new one, until Ctrl-C.
        #[arg(short, long)]
        follow: bool,
        /// At most this many from before.
        #[arg(long, default_value_t = EVENTS)]
        limit: usize,
        /// Only events about this node.
        #[arg(long)]
        node: Option<String>,
        /// Only events about this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// From now on the tenants of a lost node wait for it; new tenants and operations go on.
    PauseFailover {
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Places the tenants that wait for lost nodes elsewhere.
    ResumeFailover {
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Shows the policy, or changes the fields that are given.
    Policy {
        /// Rebalance by itself when the cluster has been stable for a while.
        #[arg(long, value_enum)]
        auto_rebalance: Option<Switch>,
        /// Pause failover when many nodes are lost at once.
        #[arg(long, value_enum)]
        failover_breaker: Option<Switch>,
        /// Keep the log and messages that were given up for so many days, 1 to 3650.
        #[arg(long, value_name = "DAYS")]
        message_retention_days: Option<i32>,
        #[command(flatten)]
        attribution: Attribution,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl ClusterVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.cluster();
        let status = match self {
            Self::Events { follow, limit, node, tenant } => {
                let (node_id, tenant_id) = (node.unwrap_or_default(), tenant.unwrap_or_default());
                return events(context, node_id, tenant_id, follow, limit).await;
            }
            Self::Policy { auto_rebalance, failover_breaker, message_retention_days, attribution } => {
                let given = GivenPolicy { auto_rebalance, failover_breaker, message_retention_days };
                return policy(context, given, attribution).await;
            }
            Self::Status => client.get_cluster_status(GetClusterStatusRequest {}).await?,
            Self::PauseFailover { attribution } => {
                let (requested_by, reason) = attribution.into_parts();
                client.pause_failover(PauseFailoverRequest { requested_by, reason }).await?
            }
            Self::ResumeFailover { attribution } => {
                let (requested_by, reason) = attribution.into_parts();
                client.resume_failover(ResumeFailoverRequest { requested_by, reason }).await?
            }
        };
        ClusterView::from(status.into_inner()).print(&mut context.output)
    }
}

/// Of a node, a tenant or, where both are empty, of all.
pub(super) async fn events(
    context: &mut Context,
    node_id: String,
    tenant_id: String,
    follow: bool,
    limit: usize,
) -> Result<(), Failure> {
    if follow {
        let backlog = i32::try_from(limit).unwrap_or(i32::MAX);
        return follow_events(context, WatchEventsRequest { backlog, node_id, tenant_id }).await;
    }
    let filter = ListEventsRequest { node_id, tenant_id, ..Default::default() };
    list_events(context, filter, limit).await
}

async fn list_events(context: &mut Context, filter: ListEventsRequest, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let events = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.cluster();
        let request = ListEventsRequest { page_size, page_token, ..filter.clone() };
        async move {
            let page = client.list_events(request).await?.into_inner();
            Ok((page.events, page.next_page_token))
        }
    });
    let rows: Vec<_> = events.await?.into_iter().map(EventView::from).collect();
    context.output.list(&rows)
}

async fn follow_events(context: &mut Context, request: WatchEventsRequest) -> Result<(), Failure> {
    let mut events = context.admin()?.cluster().watch_events(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        context.output.event(&EventView::from(event))?;
    }
    Ok(())
}

/// What is to change.
struct GivenPolicy {
    auto_rebalance: Option<Switch>,
    failover_breaker: Option<Switch>,
    message_retention_days: Option<i32>,
}

async fn policy(context: &mut Context, given: GivenPolicy, attribution: Attribution) -> Result<(), Failure> {
    let mut client = context.admin()?.cluster();
    let fields = [
        ("auto_rebalance", given.auto_rebalance.is_some()),
        ("failover_breaker", given.failover_breaker.is_some()),
        ("message_retention_days", given.message_retention_days.is_some()),
    ];
    let paths: Vec<String> =
        fields.iter().filter(|(_, is_given)| *is_given).map(|(path, _)| (*path).to_owned()).collect();
    let policy = if paths.is_empty() {
        let status = client.get_cluster_status(GetClusterStatusRequest {}).await?.into_inner();
        status.policy.unwrap_or_default()
    } else {
        let policy = Policy {
            auto_rebalance: given.auto_rebalance == Some(Switch::On),
            failover_breaker: given.failover_breaker == Some(Switch::On),
            message_retention_days: given.message_retention_days.unwrap_or_default(),
        };
        let (requested_by, reason) = attribution.into_parts();
        let update_mask = Some(FieldMask { paths });
        let request = UpdatePolicyRequest { policy: Some(policy), update_mask, requested_by, reason };
        client.update_policy(request).await?.into_inner()
    };
    context.output.one(&PolicyView::from(policy))
}
