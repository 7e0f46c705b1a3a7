//! Answers from a template: booking, ecommerce or support, in English or Swahili, with the business's own words in
//! the place of the template's where it has some.
//!
//! In this order:
//! 1. A chat's first message, and a greeting, get the greeting followed by the menu.
//! 2. A message that is the number of a menu item, or that has one of its keywords in it, gets that item's reply.
//! 3. Anything else, media without a caption too, gets the fallback.
//!
//! A menu item beats a greeting ("hello, I want to book" books) but for a chat's first message. `{business}` and
//! `{message}` are replaced in every text.
//!
//! One exception: a business whose own fallback quotes `{message}`, and that has neither a greeting nor a menu of its
//! own, has said all it wants to say. It gets that fallback for every message, the first one and greetings included.
//! That makes a tenant an echo, or a plain answering machine.

mod script;
mod texts;
mod words;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use roost_model::TenantSettings;

use super::{Question, Responder, ResponderError};
use script::Script;

/// The responder of tenants without an agent of their own. Stateless: all it needs is in the question.
#[derive(Debug, Clone, Copy, Default)]
pub struct TemplateResponder;

impl TemplateResponder {
    /// It never fails: also for those who only try what would be said.
    pub fn reply(self, question: &Question) -> String {
        Script::of(&question.tenant).reply(&question.body, question.first_in_chat)
    }
}

#[async_trait]
impl Responder for TemplateResponder {
    async fn respond(&self, question: &Question) -> Result<Vec<String>, ResponderError> {
        Ok(vec![self.reply(question)])
    }
}

/// What a chat is told, once per window, when the tenant's reply limit is reached.
pub fn limit_warning(tenant: &TenantSettings, message: &str) -> String {
    Script::of(tenant).limit_warning(message)
}
