//! What a tenant's automation would say, for whoever changes its words: the same responder as the workers', without a worker.

use std::sync::Arc;

use roost_model::{LanguageCode, TemplateKind, TenantSettings, Texts, ids::TenantId};
use roost_responder::{Question, TemplateResponder};

use super::{App, Error};

/// What is tried; what is None is as the tenant has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriedTemplate {
    pub display_name: Option<String>,
    pub template: Option<TemplateKind>,
    pub language: Option<LanguageCode>,
    pub texts: Option<Texts>,
}

impl TriedTemplate {
    fn over(self, present: TenantSettings) -> TenantSettings {
        TenantSettings {
            display_name: self.display_name.unwrap_or(present.display_name),
            template: self.template.unwrap_or(present.template),
            language: self.language.unwrap_or(present.language),
            texts: self.texts.unwrap_or(present.texts),
            ..present
        }
    }
}

/// A message of a customer, and what is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub message: String,
    pub replies: Vec<String>,
}

impl App {
    /// In a new conversation, one message after another.
    pub async fn preview_template(
        &self,
        tenant: &TenantId,
        tried: TriedTemplate,
        messages: Vec<String>,
    ) -> Result<Vec<Exchange>, Error> {
        let present = Arc::unwrap_or_clone(self.get_tenant(tenant).await?.settings);
        Ok(conversation(tried.over(present), messages))
    }
}

fn conversation(settings: TenantSettings, messages: Vec<String>) -> Vec<Exchange> {
    let settings = Arc::new(settings);
    let answered = |(index, body)| {
        let (tenant, first_in_chat) = (settings.clone(), index == 0);
        let question = Question { tenant, chat: String::new(), sender: String::new(), body, first_in_chat };
        let replies = vec![TemplateResponder.reply(&question)];
        Exchange { message: question.body, replies }
    };
    messages.into_iter().enumerate().map(answered).collect()
}
