//! `roost snapshot`

use clap::Subcommand;
use roost_proto::v1::{ListSnapshotOrphansRequest, RemoveSnapshotOrphanRequest};

use super::{Context, all_pages, attribution::Attribution, consent::Consent};
use crate::{failure::Failure, views::SnapshotOrphanView};

#[derive(Debug, Subcommand)]
pub enum SnapshotVerb {
    /// Lists snapshots whose tenants the database neither knows nor has deleted, or has one removed.
    #[command(args_conflicts_with_subcommands = true)]
    Orphans {
        /// At most this many.
        #[arg(long)]
        limit: Option<usize>,
        #[command(subcommand)]
        order: Option<OrphanOrder>,
    },
}

#[derive(Debug, Subcommand)]
pub enum OrphanOrder {
    /// Has a node remove all that the object store holds under this uid. Asks first.
    Remove {
        uid: String,
        #[command(flatten)]
        attribution: Attribution,
        #[command(flatten)]
        consent: Consent,
    },
}

impl SnapshotVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Self::Orphans { limit, order } = self;
        match order {
            None => list(context, limit).await,
            Some(OrphanOrder::Remove { uid, attribution, consent }) => {
                consent.obtain(&format!("remove all snapshots of {uid} for good"))?;
                let (requested_by, reason) = attribution.into_parts();
                let order = RemoveSnapshotOrphanRequest { uid, requested_by, reason };
                let orphan = context.admin()?.sessions().remove_snapshot_orphan(order).await?.into_inner();
                context.output.one(&SnapshotOrphanView::from(orphan))
            }
        }
    }
}

async fn list(context: &mut Context, limit: Option<usize>) -> Result<(), Failure> {
    let admin = context.admin()?;
    let orphans = all_pages(limit, |page_size, page_token| {
        let mut client = admin.sessions();
        let request = ListSnapshotOrphansRequest { page_size, page_token };
        async move {
            let page = client.list_snapshot_orphans(request).await?.into_inner();
            Ok((page.orphans, page.next_page_token))
        }
    });
    let rows: Vec<_> = orphans.await?.into_iter().map(SnapshotOrphanView::from).collect();
    context.output.list(&rows)
}
