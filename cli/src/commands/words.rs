//! What a business says, as options: of a tenant, and of a preview of its template.

use std::{fs, path::PathBuf};

use clap::Args;
use roost_proto::v1::{BusinessTexts, Language, Template, Tenant};

use crate::{
    choices::{LanguageChoice, TemplateChoice},
    failure::Failure,
    views::MenuItemView,
};

/// What is not given is as the tenant has it; a text given as "" is the template's own again.
#[derive(Debug, Args)]
pub struct Words {
    /// The business's name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[arg(long, value_enum)]
    template: Option<TemplateChoice>,
    #[arg(long, value_enum)]
    language: Option<LanguageChoice>,
    /// Sent with the menu to a chat's first message. {business} stands for the name.
    #[arg(long, value_name = "TEXT")]
    greeting: Option<String>,
    /// Sent when nothing in the menu fits. {message} stands for the message.
    #[arg(long, value_name = "TEXT")]
    fallback: Option<String>,
    /// Sent once when the reply limit is reached.
    #[arg(long, value_name = "TEXT")]
    limit_warning: Option<String>,
    /// A JSON file with the menu: [{"title": "...", "reply": "...", "keywords": ["..."]}, ...]; [] is the template's own.
    #[arg(long, value_name = "FILE")]
    menu: Option<PathBuf>,
}

impl Words {
    pub(super) fn has_texts(&self) -> bool {
        let texts = [&self.greeting, &self.fallback, &self.limit_warning];
        texts.iter().any(|text| text.is_some()) || self.menu.is_some()
    }

    /// A tenant that says what was given, and of which entries that is. The API changes the texts as a whole, hence those that there are
    /// before.
    pub(super) fn over(self, before: BusinessTexts) -> Result<(Tenant, Vec<&'static str>), Failure> {
        let given = [
            ("display_name", self.name.is_some()),
            ("template", self.template.is_some()),
            ("language", self.language.is_some()),
            ("texts.greeting", self.greeting.is_some()),
            ("texts.fallback", self.fallback.is_some()),
            ("texts.limit_warning", self.limit_warning.is_some()),
            ("texts.menu", self.menu.is_some()),
        ];
        let menu = self.menu.map(read_menu).transpose()?;
        let texts = BusinessTexts {
            greeting: self.greeting.unwrap_or(before.greeting),
            fallback: self.fallback.unwrap_or(before.fallback),
            limit_warning: self.limit_warning.unwrap_or(before.limit_warning),
            menu: menu.map_or(before.menu, |menu| menu.into_iter().map(Into::into).collect()),
        };
        let tenant = Tenant {
            display_name: self.name.unwrap_or_default(),
            template: self.template.map_or(Template::Unspecified, Template::from) as i32,
            language: self.language.map_or(Language::Unspecified, Language::from) as i32,
            texts: Some(texts),
            ..Tenant::default()
        };
        let paths = given.into_iter().filter(|(_, is_given)| *is_given).map(|(path, _)| path);
        Ok((tenant, paths.collect()))
    }
}

fn read_menu(path: PathBuf) -> Result<Vec<MenuItemView>, Failure> {
    let what = format!("the menu {}", path.display());
    let text = fs::read_to_string(&path).map_err(|source| Failure::Input { what: what.clone(), source })?;
    serde_json::from_str(&text).map_err(|source| Failure::Invalid { what, source })
}
