//! What a business says, as options: of a tenant, and of a preview of its template.

use std::{fs, path::PathBuf};

use clap::Args;

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
    pub(super) name: Option<String>,
    #[arg(long, value_enum)]
    pub(super) template: Option<TemplateChoice>,
    #[arg(long, value_enum)]
    pub(super) language: Option<LanguageChoice>,
    /// Sent with the menu to a chat's first message. {business} stands for the name.
    #[arg(long, value_name = "TEXT")]
    pub(super) greeting: Option<String>,
    /// Sent when nothing in the menu fits. {message} stands for the message.
    #[arg(long, value_name = "TEXT")]
    pub(super) fallback: Option<String>,
    /// Sent once when the reply limit is reached.
    #[arg(long, value_name = "TEXT")]
    pub(super) limit_warning: Option<String>,
    /// A JSON file with the menu: [{"title": "...", "reply": "...", "keywords": ["..."]}, ...]; [] is the template's own.
    #[arg(long, value_name = "FILE")]
    pub(super) menu: Option<PathBuf>,
}

pub(super) fn read_menu(path: PathBuf) -> Result<Vec<MenuItemView>, Failure> {
    let what = format!("the menu {}", path.display());
    let text = fs::read_to_string(&path).map_err(|source| Failure::Input { what: what.clone(), source })?;
    serde_json::from_str(&text).map_err(|source| Failure::Invalid { what, source })
}
