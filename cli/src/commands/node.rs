//! `roost node`

use clap::Subcommand;
use roost_proto::v1::{GetNodeRequest, ListNodesRequest};

use super::{Context, all_pages};
use crate::{failure::Failure, views::NodeView};

#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// Lists the live nodes by id.
    List,
    /// Shows a node.
    Get { id: String },
}

impl NodeVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let admin = context.admin()?;
        match self {
            Self::Get { id } => {
                let node = admin.nodes().get_node(GetNodeRequest { id }).await?.into_inner();
                context.output.one(&NodeView::from(node))
            }
            Self::List => {
                let nodes = all_pages(None, |page_size, page_token| {
                    let mut client = admin.nodes();
                    async move {
                        let page =
                            client.list_nodes(ListNodesRequest { page_size, page_token }).await?.into_inner();
                        Ok((page.nodes, page.next_page_token))
                    }
                });
                let rows: Vec<_> = nodes.await?.into_iter().map(NodeView::from).collect();
                context.output.list(&rows)
            }
        }
    }
}
