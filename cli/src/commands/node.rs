//! `roost node`

use std::time::Duration;

use clap::Subcommand;
use roost_proto::v1::{
    ClearRestartWindowRequest, CordonRequest, GetNodeRequest, ListNodesRequest, SetRestartWindowRequest,
    UncordonRequest,
};

use super::{Context, all_pages, attribution::Attribution, drain::Drain, wire_duration};
use crate::{failure::Failure, views::NodeView};

#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// Lists the live nodes by id.
    List {
        /// Also nodes that are not live and have tenants or orders.
        #[arg(short, long)]
        all: bool,
    },
    /// Shows a node.
    Get { id: String },
    /// Lets the node keep its tenants and take no others, until `uncordon`.
    Cordon {
        node: String,
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Lets the node take tenants again.
    Uncordon {
        node: String,
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Moves every tenant off the node, which stays cordoned afterwards, and waits for the end. Ctrl-C ends the waiting
    /// and not the drain.
    Drain(Drain),
    /// Keeps the places of the node's tenants while it restarts, for so long.
    RestartWindow {
        node: String,
        /// How long, such as 5m; at most 24h.
        #[arg(value_parser = humantime::parse_duration, value_name = "TIME", required_unless_present = "clear")]
        window: Option<Duration>,
        /// End the window: its tenants do not wait for it any more.
        #[arg(long, conflicts_with = "window")]
        clear: bool,
        #[command(flatten)]
        attribution: Attribution,
    },
}

impl NodeVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.nodes();
        let node = match self {
            Self::List { all } => return list(context, all).await,
            Self::Drain(drain) => return drain.run(context).await,
            Self::Get { id } => client.get_node(GetNodeRequest { id }).await?,
            Self::Cordon { node: id, attribution } => {
                let (requested_by, reason) = attribution.into_parts();
                client.cordon(CordonRequest { id, requested_by, reason }).await?
            }
            Self::Uncordon { node: id, attribution } => {
                let (requested_by, reason) = attribution.into_parts();
                client.uncordon(UncordonRequest { id, requested_by, reason }).await?
            }
            Self::RestartWindow { node: id, window, attribution, clear: _ } => {
                let (requested_by, reason) = attribution.into_parts();
                match window.map(wire_duration).transpose()? {
                    None => {
                        let request = ClearRestartWindowRequest { id, requested_by, reason };
                        client.clear_restart_window(request).await?
                    }
                    window => {
                        let request = SetRestartWindowRequest { id, window, requested_by, reason };
                        client.set_restart_window(request).await?
                    }
                }
            }
        };
        context.output.one(&NodeView::from(node.into_inner()))
    }
}

async fn list(context: &mut Context, show_lost: bool) -> Result<(), Failure> {
    let admin = context.admin()?;
    let nodes = all_pages(None, |page_size, page_token| {
        let mut client = admin.nodes();
        async move {
            let request = ListNodesRequest { page_size, page_token, show_lost };
            let page = client.list_nodes(request).await?.into_inner();
            Ok((page.nodes, page.next_page_token))
        }
    });
    let rows: Vec<_> = nodes.await?.into_iter().map(NodeView::from).collect();
    context.output.list(&rows)
}
