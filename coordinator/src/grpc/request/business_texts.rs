//! The business's own words as they come in.

use roost_model::{MenuItem, Texts};
use roost_proto::v1;

use super::{Checks, Text};

const BUSINESS_TEXT: Text = Text::lines(0, 4_096);
const MENU_TITLE: Text = Text::line(1, 80);
const MENU_REPLY: Text = Text::lines(1, 4_096);
const KEYWORD: Text = Text::line(1, 40);
const MENU_ITEMS: usize = 20;
const KEYWORDS: usize = 10;

pub(super) fn texts(checks: &mut Checks, given: Option<v1::BusinessTexts>) -> Option<Texts> {
    let given = given.unwrap_or_default();
    let greeting = checks.text("tenant.texts.greeting", &BUSINESS_TEXT, given.greeting);
    let fallback = checks.text("tenant.texts.fallback", &BUSINESS_TEXT, given.fallback);
    let limit_warning = checks.text("tenant.texts.limit_warning", &BUSINESS_TEXT, given.limit_warning);
    let menu = menu(checks, given.menu);
    Some(Texts { greeting: greeting?, fallback: fallback?, limit_warning: limit_warning?, menu: menu? })
}

fn menu(checks: &mut Checks, given: Vec<v1::MenuItem>) -> Option<Vec<MenuItem>> {
    if given.len() > MENU_ITEMS {
        let why = format!("has {} items, at most {MENU_ITEMS} are allowed", given.len());
        return checks.take("tenant.texts.menu", Err(why));
    }
    // Every item is checked, also after one that is wrong.
    let items: Vec<_> =
        given.into_iter().enumerate().map(|(index, item)| menu_item(checks, index, item)).collect();
    items.into_iter().collect()
}

fn menu_item(checks: &mut Checks, index: usize, given: v1::MenuItem) -> Option<MenuItem> {
    let field = |name: &str| format!("tenant.texts.menu[{index}].{name}");
    let title = checks.text(&field("title"), &MENU_TITLE, given.title);
    let reply = checks.text(&field("reply"), &MENU_REPLY, given.reply);
    if given.keywords.len() > KEYWORDS {
        let why = format!("has {} words, at most {KEYWORDS} are allowed", given.keywords.len());
        return checks.take(&field("keywords"), Err(why));
    }
    let words = given.keywords.into_iter().enumerate();
    let words: Vec<_> = words
        .map(|(at, word)| checks.text(&format!("{}[{at}]", field("keywords")), &KEYWORD, word))
        .collect();
    Some(MenuItem { title: title?, reply: reply?, keywords: words.into_iter().collect::<Option<_>>()? })
}
