//! Pages from templates, with every word from the catalogue of the reader's language.
//!
//! A template has no word of its own: it names them (`{{ t("connected") }}`), and a test holds it to that. Whatever else stands in a page
//! is escaped, for customers and businesses write it.

use std::collections::HashMap;

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use minijinja::{Environment, Value, value::Kwargs};
use unic_langid::LanguageIdentifier;

use super::language::Language;

/// Their names end in `.html`, by which what is put in is escaped.
const PAGES: [(&str, &str); 6] = [
    ("base.html", include_str!("templates/base.html")),
    ("sign_in.html", include_str!("templates/sign_in.html")),
    ("welcome.html", include_str!("templates/welcome.html")),
    ("tenant.html", include_str!("templates/tenant.html")),
    ("status.html", include_str!("templates/status.html")),
    ("problem.html", include_str!("templates/problem.html")),
];

fn catalogue(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("text/en.ftl"),
        Language::Swahili => include_str!("text/sw.ftl"),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("a page's template is wrong")]
    Template(#[from] minijinja::Error),
    #[error("the catalogue of {language} is wrong: {reason}")]
    Catalogue { language: &'static str, reason: String },
}

pub struct Templates {
    pages: HashMap<Language, Environment<'static>>,
    words: HashMap<Language, Words>,
}

type Words = std::sync::Arc<FluentBundle<FluentResource>>;

impl Templates {
    pub fn new() -> Result<Self, TemplateError> {
        let mut words = HashMap::new();
        let mut pages = HashMap::new();
        for language in Language::ALL {
            let catalogue = self::words(language, catalogue(language))?;
            words.insert(language, catalogue.clone());
            pages.insert(language, environment(language, catalogue)?);
        }
        Ok(Self { pages, words })
    }

    /// A page that cannot be made is a fault of ours, and a test makes each.
    pub fn page(&self, language: Language, name: &str, context: Value) -> String {
        let made = self.pages[&language].get_template(name).and_then(|page| page.render(context));
        made.unwrap_or_else(|error| {
            tracing::error!(%error, page = name, "a page cannot be made");
            String::new()
        })
    }

    pub fn text(&self, language: Language, key: &str) -> String {
        text(&self.words[&language], key, &FluentArgs::new())
    }

    pub fn text_with(&self, language: Language, key: &str, name: &'static str, value: u64) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set(name, value);
        text(&self.words[&language], key, &arguments)
    }
}

impl Templates {
    pub fn text_with_words(&self, language: Language, key: &str, name: &'static str, value: &str) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set(name, value.to_owned());
        text(&self.words[&language], key, &arguments)
    }
}

fn words(language: Language, catalogue: &str) -> Result<Words, TemplateError> {
    let wrong = |reason: String| TemplateError::Catalogue { language: language.tag(), reason };
    let resource = FluentResource::try_new(catalogue.to_owned())
        .map_err(|(_, errors)| wrong(format!("{errors:?}")))?;
    let tag: LanguageIdentifier = language.tag().parse().map_err(|error| wrong(format!("{error}")))?;
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // The marks around what is put in show as boxes in some mail programs and in screenshots, and both languages are written from the left.
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).map_err(|errors| wrong(format!("{errors:?}")))?;
    Ok(std::sync::Arc::new(bundle))
}

fn environment(language: Language, words: Words) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    for (name, page) in PAGES {
        environment.add_template(name, page)?;
    }
    environment.add_global("language", language.tag());
    environment.add_global("languages", Language::ALL.map(Language::tag).to_vec());
    environment.add_function("t", move |key: &str, given: Kwargs| -> Result<String, minijinja::Error> {
        let mut arguments = FluentArgs::new();
        for name in given.args() {
            let value: Value = given.get(name)?;
            match i64::try_from(value.clone()) {
                Ok(number) => arguments.set(name.to_owned(), number),
                Err(_) => arguments.set(name.to_owned(), value.to_string()),
            }
        }
        Ok(text(&words, key, &arguments))
    });
    Ok(environment)
}

/// A key that is not there shows as itself, which a test finds.
fn text(words: &FluentBundle<FluentResource>, key: &str, arguments: &FluentArgs) -> String {
    let Some(pattern) = words.get_message(key).and_then(|message| message.value()) else {
        tracing::error!(key, "a word is in no catalogue");
        return key.to_owned();
    };
    words.format_pattern(pattern, Some(arguments), &mut Vec::new()).into_owned()
}

