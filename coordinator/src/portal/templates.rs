//! Pages from templates, with every word from the catalogue of the reader's language.
//!
//! A template has no word of its own: it names them (`{{ t("connected") }}`), and a test holds it to that. Whatever else stands in a page
//! is escaped, for customers and businesses write it.

use std::collections::HashMap;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use minijinja::{Environment, Value, value::Kwargs};
use roost_model::causes;
use unic_langid::LanguageIdentifier;

use super::language::Language;

/// Their names end in `.html`, by which what is put in is escaped.
const PAGES: [(&str, &str); 20] = [
    ("base.html", include_str!("templates/base.html")),
    ("sign_in.html", include_str!("templates/sign_in.html")),
    ("welcome.html", include_str!("templates/welcome.html")),
    ("who.html", include_str!("templates/who.html")),
    ("words.html", include_str!("templates/words.html")),
    ("setup.html", include_str!("templates/setup.html")),
    ("business.html", include_str!("templates/business.html")),
    ("chats.html", include_str!("templates/chats.html")),
    ("lines.html", include_str!("templates/lines.html")),
    ("chat.html", include_str!("templates/chat.html")),
    ("tenant.html", include_str!("templates/tenant.html")),
    ("status.html", include_str!("templates/status.html")),
    ("template.html", include_str!("templates/template.html")),
    ("preview.html", include_str!("templates/preview.html")),
    ("log.html", include_str!("templates/log.html")),
    ("log_lines.html", include_str!("templates/log_lines.html")),
    ("looks.html", include_str!("templates/looks.html")),
    ("scan.html", include_str!("templates/scan.html")),
    ("scan_card.html", include_str!("templates/scan_card.html")),
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

pub(super) type Words = std::sync::Arc<FluentBundle<FluentResource>>;

impl Templates {
    pub fn new() -> Result<Self, TemplateError> {
        let mut words = HashMap::new();
        let mut pages = HashMap::new();
        for language in Language::ALL {
            let catalogue = self::words(language, catalogue(language))?;
            words.insert(language, catalogue.clone());
            pages.insert(language, environment(language, catalogue, &PAGES)?);
        }
        Ok(Self { pages, words })
    }

    /// One that cannot be made is a fault of ours; a test makes each.
    pub fn page(&self, language: Language, name: &str, context: Value) -> String {
        let made = self.pages[&language].get_template(name).and_then(|page| page.render(context));
        made.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), page = name, "a page cannot be made");
            self.text(language, "away")
        })
    }

    pub fn text(&self, language: Language, key: &str) -> String {
        text(&self.words[&language], key, &FluentArgs::new())
    }

    pub fn text_with(
        &self,
        language: Language,
        key: &str,
        with: &[(&'static str, FluentValue<'static>)],
    ) -> String {
        text(&self.words[&language], key, &with.iter().cloned().collect())
    }
}

pub(super) fn words(language: Language, catalogue: &str) -> Result<Words, TemplateError> {
    let wrong = |reason: String| TemplateError::Catalogue { language: language.tag(), reason };
    let resource =
        FluentResource::try_new(catalogue.to_owned()).map_err(|(_, errors)| wrong(format!("{errors:?}")))?;
    let tag: LanguageIdentifier = language.tag().parse().map_err(|error| wrong(format!("{error}")))?;
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // The marks around what is put in show as boxes in some mail programs and in screenshots, and both languages are written from the left.
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).map_err(|errors| wrong(format!("{errors:?}")))?;
    Ok(std::sync::Arc::new(bundle))
}

pub(super) fn environment(
    language: Language,
    words: Words,
    templates: &[(&'static str, &'static str)],
) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    for (name, page) in templates {
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
pub(super) fn text(words: &FluentBundle<FluentResource>, key: &str, arguments: &FluentArgs) -> String {
    let Some(pattern) = words.get_message(key).and_then(|message| message.value()) else {
        tracing::error!(key, "a word is in no catalogue");
        return key.to_owned();
    };
    words.format_pattern(pattern, Some(arguments), &mut Vec::new()).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use minijinja::context;

    use super::*;

    /// Stands for whatever customers and businesses write.
    pub const WRITTEN: &str = "<b onload='x'>7</b>";

    pub fn keys(catalogue: &str) -> BTreeSet<&str> {
        let begins = |line: &&str| line.starts_with(|letter: char| letter.is_ascii_lowercase());
        catalogue.lines().filter(begins).filter_map(|line| Some(line.split_once(" = ")?.0)).collect()
    }

    fn parts() -> Vec<Value> {
        let part = |key: &&str| context! { key => *key, path => "/7" };
        ["status", "conversations", "template", "log", "looks"].iter().map(part).collect()
    }

    /// Each with all that it may have.
    fn pages() -> Vec<(&'static str, Value)> {
        let orders = ["pause", "resume", "restart", "log-out", "show-codes", "pairing-code", "scan-link"];
        let card = |state: &'static str| {
            context! {
                state, orders, tenant => 7, form_token => 7, qr => "data:,", account => WRITTEN, since => context! { iso => 7, text => 7 }, code => 7, phone => 7, scan_link => 7,
                seen => context! { iso => 7, text => 7 },
            }
        };
        let page = context! { name => WRITTEN, others => [7], told => WRITTEN, email => WRITTEN, part => "status", tenant => 7, form_token => 7, parts => parts() };
        let at = context! { iso => 7, text => 7 };
        let lately = |many: Option<u32>| context! { received => 7, sent => 7, many, until => at.clone() };
        let line = |state: &'static str, is_from_customer: bool| {
            context! { id => 7, name => WRITTEN, address => 7, is_from_customer, body => WRITTEN, at => at.clone(), state, reason => WRITTEN, by => WRITTEN }
        };
        let states = ["answered", "waiting", "too-old", "suppressed", "held", "dead", "sent", "sending"];
        let lines: Vec<_> = states.iter().flat_map(|state| [line(state, true), line(state, false)]).collect();
        let chats: Vec<_> =
            lines.iter().map(|last| context! { address => 7, name => WRITTEN, last }).collect();
        let mut pages = vec![
            ("sign_in.html", context! { email => WRITTEN, problem => WRITTEN }),
            ("problem.html", context! { title => WRITTEN, told => WRITTEN }),
            ("welcome.html", context! { problem => WRITTEN, purpose => () }),
        ];
        for purpose in ["sign-up", "join", "reset"] {
            for tenant in [Some(7), None] {
                pages.push(("welcome.html", context! { problem => (), purpose, tenant, email => WRITTEN }));
            }
        }
        for state in
            [None, Some("submitted"), Some("reviewing"), Some("approved"), Some("active"), Some("rejected")]
        {
            let typed = context! { name => WRITTEN, phone => WRITTEN, template => "support", language => "en", greeting => WRITTEN, fallback => WRITTEN };
            pages.push(("setup.html", context! {
                state, typed, problems => [WRITTEN], reason => WRITTEN, wanted => WRITTEN, tenant => 7, email => WRITTEN, form_token => 7,
            }));
        }
        let search =
            context! { q => WRITTEN, searched_to => 7, next => WRITTEN, lines => lines.clone(), chats };
        let empty =
            context! { q => WRITTEN, searched_to => (), next => (), lines => [0; 0], chats => [0; 0] };
        for kind in ["found", "newest", "all"] {
            for content in [&search, &empty] {
                pages.push((
                    "chats.html",
                    context! { ..context! { kind }, ..content.clone(), ..page.clone() },
                ));
            }
        }
        for (state, newer) in [("free", false), ("ours", false), ("theirs", false), ("theirs", true)] {
            let hold = context! { state, holder => WRITTEN, since => at.clone(), version => 7 };
            let shown = context! { chat => WRITTEN, address => 7, older => 7, newer, lines => lines.clone() };
            pages.push((
                "chat.html",
                context! { ..context! { hold, key => 7, text => WRITTEN }, ..shown, ..page.clone() },
            ));
        }
        let row = context! { title => WRITTEN, reply => WRITTEN, keywords => WRITTEN };
        let typed = context! {
            name => WRITTEN, template => "booking", language => "sw", greeting => WRITTEN, fallback => WRITTEN, limit_warning => WRITTEN,
            menu => [row], messages => WRITTEN,
        };
        let exchanges = [context! { message => WRITTEN, replies => [WRITTEN] }];
        let template = context! { typed, exchanges, problems => [WRITTEN], may_save => true };
        pages.push(("template.html", context! { ..template, ..page.clone() }));
        let look = |what: &&str| context! { at => at.clone(), who => WRITTEN, at_what => *what, at_all => true, reason => WRITTEN };
        for looks in [["page", "given-up", "messages"].iter().map(look).collect::<Vec<_>>(), Vec::new()] {
            pages.push(("looks.html", context! { ..context! { looks, older => 7 }, ..page.clone() }));
        }
        for outcome in ["linked", "over"] {
            pages.push(("scan.html", context! { outcome }));
        }
        for qr in [Some("data:,"), None] {
            pages.push((
                "scan.html",
                context! { outcome => "open", link => 7, phone => 7, state => "scan", qr },
            ));
        }
        let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
        let noted = |level: &&str| context! { at => at.clone(), level => *level, message => WRITTEN, fields => WRITTEN };
        for lines in [levels.iter().map(noted).collect::<Vec<_>>(), Vec::new()] {
            let log = context! { lines, notices => [WRITTEN], after => 7, level => "warn" };
            pages.push(("log.html", context! { ..log, ..page.clone() }));
        }
        let states = [
            "answering",
            "scan",
            "scan-paused",
            "unlinked",
            "starting",
            "healing",
            "waiting",
            "paused",
            "error",
        ];
        for state in states {
            for lately in [lately(None), lately(Some(7)), Value::from(())] {
                let about = context! { ..card(state), ..page.clone() };
                pages.push(("tenant.html", context! { lately, ..about }));
            }
        }
        pages
    }

    fn made(language: Language, words: Words) -> Vec<(&'static str, String)> {
        let environment = environment(language, words, &PAGES).unwrap();
        let make = |(name, context)| (name, environment.get_template(name).unwrap().render(context).unwrap());
        pages().into_iter().map(make).collect()
    }

    #[test]
    fn both_catalogues_have_the_same_words_and_each_word_is_used() {
        let [english, swahili] =
            [Language::English, Language::Swahili].map(|language| keys(catalogue(language)));
        assert_eq!(english, swahili);
        let code = [
            include_str!("page.rs"),
            include_str!("problem.rs"),
            include_str!("sign_in.rs"),
            include_str!("orders.rs"),
            include_str!("setup.rs"),
            include_str!("template.rs"),
            include_str!("conversations/holding.rs"),
            include_str!("templates.rs").split("#[cfg(test)]").next().unwrap(),
        ];
        let used = |key: &str| {
            let quoted = [format!("\"{key}\""), format!("'{key}'")];
            let in_code = code.iter().any(|code| code.contains(&quoted[0]));
            let in_page = PAGES.iter().any(|(_, page)| quoted.iter().any(|quoted| page.contains(quoted)));
            // Named by a value of the view: `state-` and its like.
            let by_value = [
                "state-",
                "explain-",
                "order-",
                "language-",
                "line-",
                "part-",
                "setup-",
                "template-",
                "hold-",
                "log-level-",
                "scan-",
                "look-",
            ]
            .iter()
            .any(|begins| key.starts_with(begins));
            in_code || in_page || by_value
        };
        let unused: Vec<_> = english.iter().filter(|key| !used(key)).collect();
        assert!(unused.is_empty(), "{unused:?}");
    }

    #[test]
    fn every_word_of_a_page_is_from_the_catalogue_and_what_others_write_is_shown_as_text() {
        let english = catalogue(Language::English);
        let marked: Vec<String> = english.lines().map(marked).collect();
        let words = words(Language::English, &marked.join("\n")).unwrap();
        for (name, page) in made(Language::English, words) {
            assert!(!page.contains("<b "), "{name}: {page}");
            let texts = texts(&page);
            let rest = without_marked(&texts.replace("Roost", ""));
            let written = html_escaped(WRITTEN);
            let rest = rest.replace(&written, "");
            assert!(!rest.contains(char::is_alphabetic), "{name}: {rest}");
        }
    }

    #[test]
    fn no_page_names_a_word_that_there_is_not() {
        for language in Language::ALL {
            let words = words(language, catalogue(language)).unwrap();
            let known = keys(catalogue(language));
            for (name, page) in made(language, words) {
                let texts = texts(&page);
                let unknown =
                    texts.split_whitespace().find(|word| known.contains(word) && word.contains('-'));
                assert_eq!(unknown, None, "{name}");
            }
        }
    }

    /// Every text between marks: that of a message, and of each variant of one.
    pub fn marked(line: &str) -> String {
        let begins = line.find(" = ").map(|at| at + 3).or_else(|| line.find("] ").map(|at| at + 2));
        let (before, text) = line.split_at(begins.unwrap_or(if line == "}." { 1 } else { line.len() }));
        match text.rsplit_once('{').filter(|(_, choice)| choice.ends_with("->")) {
            Some((text, choice)) => format!("{before}⟦{text}⟧{{{choice}"),
            None if text.is_empty() => line.to_owned(),
            None => format!("{before}⟦{text}⟧"),
        }
    }

    pub fn without_marked(text: &str) -> String {
        let mut rest = String::new();
        let mut depth = 0;
        for letter in text.chars() {
            match letter {
                '⟦' => depth += 1,
                '⟧' => depth -= 1,
                _ if depth == 0 => rest.push(letter),
                _ => {}
            }
        }
        rest
    }

    /// What a reader or a screen reader is told: the text between the tags, and of the tags what is read out.
    pub fn texts(page: &str) -> String {
        let mut texts = String::new();
        for piece in page.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').unwrap();
            for name in ["alt=\"", "aria-label=\"", "title=\"", "placeholder=\""] {
                let value = tag.split_once(name).and_then(|(_, value)| value.split_once('"'));
                texts += value.map_or("", |(value, _)| value);
                texts.push(' ');
            }
            texts += text;
        }
        texts
    }

    pub fn html_escaped(text: &str) -> String {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        escaped.replace('\'', "&#x27;").replace('/', "&#x2f;")
    }
}
