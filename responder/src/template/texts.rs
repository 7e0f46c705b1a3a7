//! The templates' words.

pub mod en;
pub mod sw;

/// One template in one language.
pub struct Texts {
    pub greeting: &'static str,
    pub menu: &'static [Item],
    /// Below the menu: how to choose from it.
    pub choose: &'static str,
    pub fallback: &'static str,
    pub limit_warning: &'static str,
}

/// A line of the menu.
pub struct Item {
    pub title: &'static str,
    pub reply: &'static str,
    /// Chosen by any of these, as whole words anywhere in the message.
    pub keywords: &'static [&'static str],
}

/// Greetings in both languages, for people greet as they like: whatever the business's language, a message that
/// begins with one of them is welcomed. `menu` and `menyu` ask for the menu again.
pub const GREETINGS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "good morning",
    "good afternoon",
    "good evening",
    "menu",
    "start",
    "habari",
    "hujambo",
    "hamjambo",
    "jambo",
    "mambo",
    "niaje",
    "salamu",
    "salaam",
    "salama",
    "shikamoo",
    "hodi",
    "menyu",
    "anza",
];
