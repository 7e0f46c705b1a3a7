//! Text from outside on its way into a column.

use std::borrow::Cow;

/// Postgres cannot hold U+0000 in a text. A message that has one must not stay at the head of its queue for ever, so
/// the character becomes U+FFFD, which says that something was here.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::storable;

    #[test]
    fn only_the_null_character_is_replaced() {
        assert_eq!(storable("a\0b"), "a\u{FFFD}b");
        assert_eq!(storable("habari \u{1F44B}\n"), "habari \u{1F44B}\n");
    }
}
