//! `roost export`

use std::collections::HashMap;

use roost_proto::v1::{DesiredState, ListTenantsRequest, ListWorkersRequest};

use super::{Context, all_pages, labels::Selection};
use crate::{
    declared::{file::FileForm, form::TenantForm},
    failure::Failure,
    output::yaml,
};

/// Prints tenants as `roost apply` takes them, as YAML, or with `-o json` as JSON.
#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    selection: Selection,
}

impl Export {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let tenants = export(context, &self.selection.selector).await?;
        let form = FileForm { tenants };
        if context.output.is_data() {
            return context.output.data(&form);
        }
        context.output.raw(yaml(&form)?.as_bytes())
    }
}

/// The workers are read first: a tenant that is deleted in between is in neither, and one that is new is told without its
/// worker, whose state an apply then leaves alone.
async fn export(context: &Context, selector: &str) -> Result<Vec<TenantForm>, Failure> {
    let admin = context.admin()?;
    let workers = all_pages(None, |page_size, page_token| {
        let mut client = admin.workers();
        let request =
            ListWorkersRequest { page_size, page_token, selector: selector.to_owned(), ..Default::default() };
        async move {
            let page = client.list_workers(request).await?.into_inner();
            Ok((page.workers, page.next_page_token))
        }
    });
    let desired: HashMap<String, DesiredState> = workers
        .await?
        .into_iter()
        .map(|worker| {
            let desired = worker.desired_state();
            (worker.tenant_id, desired)
        })
        .collect();
    let tenants = all_pages(None, |page_size, page_token| {
        let mut client = admin.tenants();
        let request =
            ListTenantsRequest { page_size, page_token, selector: selector.to_owned(), ..Default::default() };
        async move {
            let page = client.list_tenants(request).await?.into_inner();
            Ok((page.tenants, page.next_page_token))
        }
    });
    let form = |tenant: roost_proto::v1::Tenant| {
        let desired = desired.get(&tenant.id).copied().unwrap_or_default();
        TenantForm::of(tenant, desired)
    };
    Ok(tenants.await?.into_iter().map(form).collect())
}
