//! How a message is read: words without case or punctuation, whatever keyboard they were written on.
//!
//! Compatibility forms are the same (NFKC: full-width letters, ligatures, composed and decomposed accents), and so are the
//! apostrophes that phones write. Where a word ends is said by Unicode (UAX 29); an apostrophe is a part of a word between
//! letters alone, as in `ng'ombe` and `don't`, and a quotation mark elsewhere.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// The words of a text, in lower case, without the punctuation around them.
pub fn words(text: &str) -> Vec<String> {
    let seen = text.chars().filter(|c| !is_unseen(*c));
    let unified: String = seen.map(|c| if is_apostrophe(c) { '\'' } else { c }).nfkc().collect();
    // Lower case may be composed otherwise.
    let lower: String = unified.to_lowercase().nfkc().collect();
    let words = lower.unicode_words().flat_map(|word| word.split(joins)).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The quotation marks, modifier letters, primes and accents that are written for an apostrophe.
fn is_apostrophe(c: char) -> bool {
    matches!(
        c,
        '\u{2018}'
            | '\u{2019}'
            | '\u{201B}'
            | '\u{2032}'
            | '\u{2B9}'
            | '\u{2BB}'
            | '\u{2BC}'
            | '\u{2BD}'
            | '\u{2C8}'
            | '\u{A78C}'
            | '\u{B4}'
            | '`'
    )
}

/// In a text and seen by nobody: soft hyphens, joiners, marks of direction, and what makes an emoji of a digit.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{200C}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FE0F}'
            | '\u{20E3}' | '\u{FEFF}'
    )
}

/// What Unicode takes for a part of a word, as in a web address or a number, and people write between words: `hi.book`.
fn joins(c: char) -> bool {
    c.is_ascii_punctuation() && c != '\''
}

/// Whether `phrase` occurs in `words` as whole words in a row.
pub fn mentions(words: &[String], phrase: &str) -> bool {
    let phrase = self::words(phrase);
    !phrase.is_empty() && words.windows(phrase.len()).any(|window| window == phrase)
}

/// Whether `words` begin with `phrase`.
pub fn begins_with(words: &[String], phrase: &str) -> bool {
    let phrase = self::words(phrase);
    !phrase.is_empty() && words.starts_with(&phrase)
}

/// The number that the message is, and nothing beside: `2`, ` 2. `, `(2)`.
pub fn lone_number(words: &[String]) -> Option<usize> {
    match words {
        [word] => word.parse().ok(),
        _ => None,
    }
}

/// Fills in `{business}` and `{message}` in one pass, so that what a customer writes is never taken for a placeholder.
pub fn fill(text: &str, business: &str, message: &str) -> String {
    let mut filled = String::with_capacity(text.len() + message.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        if let Some(after) = from.strip_prefix("{business}") {
            filled.push_str(business);
            rest = after;
        } else if let Some(after) = from.strip_prefix("{message}") {
            filled.push_str(message);
            rest = after;
        } else {
            filled.push('{');
            rest = &from[1..];
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_alike_whatever_keyboard_they_were_written_on() {
        let cases: &[(&str, &[&str])] = &[
            ("  Hello,  WORLD! ", &["hello", "world"]),
            ("?!", &[]),
            ("'book'", &["book"]),
            ("\u{2018}book\u{2019}", &["book"]),
            ("\"book\" `now`", &["book", "now"]),
            ("the customers' table", &["the", "customers", "table"]),
            ("Don't", &["don't"]),
            ("don\u{2019}t", &["don't"]),
            ("don\u{2BC}t", &["don't"]),
            ("don\u{B4}t DON`T", &["don't", "don't"]),
            ("hi.book,please", &["hi", "book", "please"]),
            ("_book_ *now* ~later~", &["book", "now", "later"]),
            ("m-pesa", &["m", "pesa"]),
            ("bo\u{AD}ok\u{200E}", &["book"]),
            ("\u{FF22}\u{FF4F}\u{FF4F}\u{FF4B}\u{3000}\u{FF12}", &["book", "2"]),
            ("o\u{FB03}ce", &["office"]),
            ("caf\u{E9} cafe\u{301}", &["caf\u{E9}", "caf\u{E9}"]),
            ("2\u{FE0F}\u{20E3}", &["2"]),
            ("10,000", &["10", "000"]),
            ("Ng'ombe", &["ng'ombe"]),
            ("ng\u{2019}ombe", &["ng'ombe"]),
            ("NG\u{2BC}OMBE", &["ng'ombe"]),
            ("ng\u{2018}ombe wangapi?", &["ng'ombe", "wangapi"]),
            ("'ng\u{FF07}ombe'", &["ng'ombe"]),
            ("Ng'ambo, ng'ara...", &["ng'ambo", "ng'ara"]),
            ("mko wapi??", &["mko", "wapi"]),
            ("Bei:shilingi ngapi", &["bei", "shilingi", "ngapi"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_keyword_is_found_however_its_apostrophe_is_written() {
        for text in ["nataka ng\u{2BC}ombe", "\u{2018}NG\u{2019}OMBE\u{2019}", "ng`ombe!"] {
            assert!(mentions(&words(text), "ng\u{2019}ombe"), "{text:?}");
            assert!(mentions(&words(text), "ng'ombe"), "{text:?}");
        }
        assert!(mentions(&words("'book'"), "book"));
    }

    #[test]
    fn phrases_match_whole_words_only() {
        let text = words("Can I book a table?");
        assert!(mentions(&text, "book"));
        assert!(mentions(&text, "a table"));
        assert!(!mentions(&words("facebook"), "book"));
        assert!(!mentions(&text, ""));
        assert!(begins_with(&text, "can i"));
        assert!(!begins_with(&text, "book"));
    }

    #[test]
    fn a_number_counts_only_alone() {
        assert_eq!(lone_number(&words(" 2. ")), Some(2));
        assert_eq!(lone_number(&words("2 shirts")), None);
        assert_eq!(lone_number(&words("")), None);
    }

    #[test]
    fn what_a_customer_writes_is_never_a_placeholder() {
        assert_eq!(
            fill("{business}: {message}", "Duka", "{business} {message}"),
            "Duka: {business} {message}"
        );
        assert_eq!(fill("{other} { {message", "Duka", "x"), "{other} { {message");
    }
}
