//! `roost template`

use clap::Subcommand;
use prost_types::FieldMask;
use roost_proto::v1::{
    BusinessTexts, GetTenantRequest, Language, PreviewTemplateRequest, Template, Tenant,
    UpdateTemplateSettingsRequest,
};

use super::{
    Context,
    words::{Words, read_menu},
};
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
                let (tried, _) = words.over(context, tenant.clone()).await?;
                let request = PreviewTemplateRequest { tenant_id: tenant, tenant: Some(tried), messages };
                let answer = context.admin()?.tenants().preview_template(request).await?.into_inner();
                let shown: Vec<_> = answer.messages.into_iter().map(PreviewedMessageView::from).collect();
                if context.output.is_data() {
                    return context.output.list(&shown);
                }
                shown.iter().try_for_each(|exchange| context.output.text(&exchange.as_conversation()))
            }
            Self::Update { tenant, words } => {
                let (changed, paths) = words.over(context, tenant).await?;
                if paths.is_empty() {
                    let why =
                        "nothing to change; give at least one setting (see roost template update --help)";
                    return Err(Failure::Refused(why.into()));
                }
                let request = UpdateTemplateSettingsRequest {
                    tenant: Some(changed),
                    update_mask: Some(FieldMask { paths }),
                };
                let mut client = context.admin()?.tenants();
                let changed = client.update_template_settings(request).await?.into_inner();
                context.output.one(&TenantView::from(changed))
            }
        }
    }
}

impl Words {
    /// The tenant's template with what was given, and the update mask of that. The API changes the texts as a whole, hence those that are there.
    async fn over(self, context: &mut Context, id: String) -> Result<(Tenant, Vec<String>), Failure> {
        let menu = self.menu.map(read_menu).transpose()?;
        let has_texts =
            [&self.greeting, &self.fallback, &self.limit_warning].iter().any(|text| text.is_some())
                || menu.is_some();
        let given = [
            ("display_name", self.name.is_some()),
            ("template", self.template.is_some()),
            ("language", self.language.is_some()),
            ("texts", has_texts),
        ];
        let paths = given.into_iter().filter(|(_, is_given)| *is_given).map(|(path, _)| path.to_owned());
        let texts = match has_texts {
            true => {
                let present =
                    context.admin()?.tenants().get_tenant(GetTenantRequest { id: id.clone() }).await?;
                let before = present.into_inner().texts.unwrap_or_default();
                Some(BusinessTexts {
                    greeting: self.greeting.unwrap_or(before.greeting),
                    fallback: self.fallback.unwrap_or(before.fallback),
                    limit_warning: self.limit_warning.unwrap_or(before.limit_warning),
                    menu: menu.map_or(before.menu, |menu| menu.into_iter().map(Into::into).collect()),
                })
            }
            false => None,
        };
        let tenant = Tenant {
            id,
            display_name: self.name.unwrap_or_default(),
            template: self.template.map_or(Template::Unspecified, Template::from) as i32,
            language: self.language.map_or(Language::Unspecified, Language::from) as i32,
            texts,
            ..Tenant::default()
        };
        Ok((tenant, paths.collect()))
    }
}
