//! One tenant's texts: its own where it has them, the template's in its language otherwise.

use roost_model::{LanguageCode, MenuItem, TemplateKind, TenantSettings};

use super::{
    texts::{self, Texts, en, sw},
    words::{begins_with, fill, lone_number, mentions, words},
};

pub(super) struct Script<'a> {
    tenant: &'a TenantSettings,
    texts: &'static Texts,
}

/// A line of the menu, the business's or the template's.
struct Item<'a> {
    title: &'a str,
    reply: &'a str,
    keywords: Vec<&'a str>,
}

impl<'a> Script<'a> {
    pub fn of(tenant: &'a TenantSettings) -> Self {
        Self { tenant, texts: texts_of(tenant.template, tenant.language) }
    }

    /// See the rules in the module's parent.
    pub fn reply(&self, message: &str, first_in_chat: bool) -> String {
        if self.only_quotes() {
            return self.fill(self.fallback(), message);
        }
        let words = words(message);
        if first_in_chat {
            return self.welcome(message);
        }
        if let Some(item) = self.chosen(&words) {
            return self.fill(item.reply, message);
        }
        if texts::GREETINGS.iter().any(|greeting| begins_with(&words, greeting)) {
            return self.welcome(message);
        }
        self.fill(self.fallback(), message)
    }

    pub fn limit_warning(&self, message: &str) -> String {
        self.fill(own_or(&self.tenant.texts.limit_warning, self.texts.limit_warning), message)
    }

    fn only_quotes(&self) -> bool {
        let own = &self.tenant.texts;
        own.fallback.contains("{message}") && own.greeting.is_empty() && own.menu.is_empty()
    }

    fn fallback(&self) -> &str {
        own_or(&self.tenant.texts.fallback, self.texts.fallback)
    }

    /// The greeting and the menu below it.
    fn welcome(&self, message: &str) -> String {
        let mut welcome = self.fill(own_or(&self.tenant.texts.greeting, self.texts.greeting), message);
        welcome.push_str("\n\n");
        for (place, item) in self.menu().iter().enumerate() {
            welcome.push_str(&format!("{}. {}\n", place + 1, self.fill(item.title, message)));
        }
        welcome.push('\n');
        welcome.push_str(self.texts.choose);
        welcome
    }

    /// By its number, by a keyword or by its title; the first in the menu's order.
    fn chosen(&self, words: &[String]) -> Option<Item<'_>> {
        let mut menu = self.menu();
        let place = match lone_number(words) {
            Some(number) => number.checked_sub(1).filter(|place| *place < menu.len()),
            None => menu.iter().position(|item| {
                item.keywords.iter().any(|keyword| mentions(words, keyword)) || mentions(words, item.title)
            }),
        };
        place.map(|place| menu.swap_remove(place))
    }

    fn menu(&self) -> Vec<Item<'_>> {
        let own = &self.tenant.texts.menu;
        if own.is_empty() {
            let item = |item: &'static texts::Item| Item {
                title: item.title,
                reply: item.reply,
                keywords: item.keywords.to_vec(),
            };
            self.texts.menu.iter().map(item).collect()
        } else {
            own.iter().map(own_item).collect()
        }
    }

    fn fill(&self, text: &str, message: &str) -> String {
        fill(text, &self.tenant.display_name, message)
    }
}

fn own_item(item: &MenuItem) -> Item<'_> {
    Item {
        title: &item.title,
        reply: &item.reply,
        keywords: item.keywords.iter().map(String::as_str).collect(),
    }
}

fn own_or<'a>(own: &'a str, template: &'a str) -> &'a str {
    if own.is_empty() { template } else { own }
}

/// The texts of a template in a language.
fn texts_of(template: TemplateKind, language: LanguageCode) -> &'static Texts {
    match (template, language) {
        (TemplateKind::Booking, LanguageCode::En) => &en::BOOKING,
        (TemplateKind::Ecommerce, LanguageCode::En) => &en::ECOMMERCE,
        (TemplateKind::Support, LanguageCode::En) => &en::SUPPORT,
        (TemplateKind::Booking, LanguageCode::Sw) => &sw::BOOKING,
        (TemplateKind::Ecommerce, LanguageCode::Sw) => &sw::ECOMMERCE,
        (TemplateKind::Support, LanguageCode::Sw) => &sw::SUPPORT,
    }
}
