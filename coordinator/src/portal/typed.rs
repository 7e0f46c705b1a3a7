//! What people type and choose in the forms of a business, in the words of the API.

use roost_model::{LanguageCode, TemplateKind};
use roost_proto::v1;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Template {
    #[default]
    Support,
    Booking,
    Ecommerce,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpokenLanguage {
    #[default]
    En,
    Sw,
}

impl From<Template> for v1::Template {
    fn from(template: Template) -> Self {
        match template {
            Template::Support => Self::Support,
            Template::Booking => Self::Booking,
            Template::Ecommerce => Self::Ecommerce,
        }
    }
}

impl From<SpokenLanguage> for v1::Language {
    fn from(language: SpokenLanguage) -> Self {
        match language {
            SpokenLanguage::En => Self::En,
            SpokenLanguage::Sw => Self::Sw,
        }
    }
}

impl From<TemplateKind> for Template {
    fn from(kind: TemplateKind) -> Self {
        match kind {
            TemplateKind::Support => Self::Support,
            TemplateKind::Booking => Self::Booking,
            TemplateKind::Ecommerce => Self::Ecommerce,
        }
    }
}

impl From<LanguageCode> for SpokenLanguage {
    fn from(code: LanguageCode) -> Self {
        match code {
            LanguageCode::En => Self::En,
            LanguageCode::Sw => Self::Sw,
        }
    }
}

/// Browsers send the lines of a text with CR and LF.
pub fn unwrapped(text: &str) -> String {
    text.trim().replace("\r\n", "\n")
}
