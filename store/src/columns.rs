//! What columns hold, checked on the way out.

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
