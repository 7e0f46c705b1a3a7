//! How a message is read: words without case or punctuation.

/// The words of a text, in lower case, without the punctuation around them.
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '\u{2019}')
        .filter(|word| !word.is_empty())
        .map(|word| word.replace('\u{2019}', "'").to_lowercase())
        .collect()
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
    fn words_have_no_case_and_no_punctuation() {
        assert_eq!(words("  Hello,  WORLD! "), ["hello", "world"]);
        assert_eq!(words("Ng\u{2019}ombe"), ["ng'ombe"]);
        assert_eq!(words("?!"), Vec::<String>::new());
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
