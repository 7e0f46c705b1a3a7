//! `roost template`

use clap::Subcommand;
use prost_types::FieldMask;
use roost_proto::v1::{GetTenantRequest, PreviewTemplateRequest, Tenant, UpdateTemplateSettingsRequest};

use super::{Context, tenant::whole, words::Words};
use crate::{
    failure::Failure,
    views::{PreviewedMessageView, TenantView},
};

#[derive(Debug, Subcommand)]
pub enum TemplateVerb {
    /// Shows what would be answered in a new conversation, with the settings that are given in the place of the tenant's own. Nothing is
    /// sent or changed.
    Preview {
        tenant: String,
        /// What a customer writes, one message after another.
        #[arg(required = true)]
        messages: Vec<String>,
        #[command(flatten)]
        words: Words,
    },
    /// Changes what is answered, from the next message on. Owners may do so too.
    Update {
        tenant: String,
        #[command(flatten)]
        words: Words,
    },
}

impl TemplateVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Preview { tenant, messages, words } => {
                let (tried, _) = changed(context, tenant.clone(), words).await?;
                let request = PreviewTemplateRequest { tenant_id: tenant, tenant: Some(tried), messages };
                let answer = context.admin()?.tenants().preview_template(request).await?.into_inner();
                let shown: Vec<_> = answer.messages.into_iter().map(PreviewedMessageView::from).collect();
                if context.output.is_data() {
                    return context.output.list(&shown);
                }
                shown.iter().try_for_each(|exchange| context.output.text(&exchange.as_conversation()))
            }
            Self::Update { tenant, words } => {
                let (tenant, paths) = changed(context, tenant, words).await?;
                if paths.is_empty() {
                    let why =
                        "nothing to change; give at least one setting (see roost template update --help)";
                    return Err(Failure::Refused(why.into()));
                }
                let request = UpdateTemplateSettingsRequest {
                    tenant: Some(tenant),
                    update_mask: Some(FieldMask { paths }),
                };
                let mut client = context.admin()?.tenants();
                let tenant = client.update_template_settings(request).await?.into_inner();
                context.output.one(&TenantView::from(tenant))
            }
        }
    }
}

/// The tenant's template with what was given, and the update mask of that.
async fn changed(context: &mut Context, id: String, words: Words) -> Result<(Tenant, Vec<String>), Failure> {
    let has_texts = words.has_texts();
    let before = match has_texts {
        true => {
            context.admin()?.tenants().get_tenant(GetTenantRequest { id: id.clone() }).await?.into_inner()
        }
        false => Tenant::default(),
    };
    let (said, paths) = words.over(before.texts.unwrap_or_default())?;
    let mut paths: Vec<String> = paths.into_iter().map(|path| whole(path.to_owned())).collect();
    // Those of one field are beside each other.
    paths.dedup();
    Ok((Tenant { id, texts: said.texts.filter(|_| has_texts), ..said }, paths))
}
