//! `roost audit`

use clap::Subcommand;
use roost_proto::v1::{ListAuditEntriesRequest, ListLooksRequest};

use super::{Context, all_pages};
use crate::{
    failure::Failure,
    views::{AuditEntryView, LookView},
};

#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Lists what was ordered and what was refused, newest first. `-o json` has all of it.
    List {
        /// Only what was done to this tenant, also one that is deleted.
        #[arg(long)]
        tenant: Option<String>,
        /// Only what this caller did, such as "token ci".
        #[arg(long)]
        caller: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Lists who of those who run the cluster has looked at what a tenant and its customers say, and why, newest first.
    Looks {
        tenant: String,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

impl AuditVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::List { tenant, caller, limit } => list(context, tenant, caller, limit).await,
            Self::Looks { tenant, limit } => looks(context, tenant, limit).await,
        }
    }
}

async fn looks(context: &mut Context, tenant_id: String, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let looks = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.access();
        let request = ListLooksRequest { tenant_id: tenant_id.clone(), page_size, page_token };
        async move {
            let page = client.list_looks(request).await?.into_inner();
            Ok((page.looks, page.next_page_token))
        }
    });
    let rows: Vec<_> = looks.await?.into_iter().map(LookView::from).collect();
    context.output.list(&rows)
}

async fn list(
    context: &mut Context,
    tenant: Option<String>,
    caller: Option<String>,
    limit: usize,
) -> Result<(), Failure> {
    let (tenant_id, caller) = (tenant.unwrap_or_default(), caller.unwrap_or_default());
    let filter = ListAuditEntriesRequest { tenant_id, caller, ..Default::default() };
    let admin = context.admin()?;
    let entries = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.access();
        let request = ListAuditEntriesRequest { page_size, page_token, ..filter.clone() };
        async move {
            let page = client.list_audit_entries(request).await?.into_inner();
            Ok((page.entries, page.next_page_token))
        }
    });
    let rows: Vec<_> = entries.await?.into_iter().map(AuditEntryView::from).collect();
    context.output.list(&rows)
}
