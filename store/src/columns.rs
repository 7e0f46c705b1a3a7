//! Values on their way into columns, and what columns hold, checked on the way out.

use std::borrow::Cow;

use roost_model::ids::InvalidId;

use crate::StoreError;

/// One that is never below 0.
pub(crate) fn unsigned(what: &'static str, column: i64) -> Result<u64, StoreError> {
    u64::try_from(column).map_err(|reason| StoreError::Corrupt { what, reason: reason.to_string() })
}

/// An id that may be absent.
pub(crate) fn optional_id<T>(
    column: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, InvalidId>,
) -> Result<Option<T>, StoreError> {
    column.map(parse).transpose().map_err(StoreError::corrupt_id)
}

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
