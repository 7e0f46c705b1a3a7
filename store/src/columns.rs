//! Values on their way into columns, and what columns hold, checked on the way out.

use std::{borrow::Cow, time::Duration};

use roost_model::{
    NotAProxy, Proxy, ProxyLogin, RestartSchedule,
    ids::{InvalidId, TenantId},
};

use crate::StoreError;

/// One that is never below 0.
pub(crate) fn unsigned(what: &'static str, column: i64) -> Result<u64, StoreError> {
    u64::try_from(column).map_err(|reason| StoreError::Corrupt { what, reason: reason.to_string() })
}

/// The same that may be absent, in the width that it has outside.
pub(crate) fn optional_unsigned<T: TryFrom<u64>>(column: Option<i64>) -> Result<Option<T>, StoreError>
where
    T::Error: std::fmt::Display,
{
    let what = "a limit or a use of resources";
    let corrupt = |reason: String| StoreError::Corrupt { what, reason };
    let narrow = |column| T::try_from(unsigned(what, column)?).map_err(|reason| corrupt(reason.to_string()));
    column.map(narrow).transpose()
}

/// An id that may be absent.
pub(crate) fn optional_id<T>(
    column: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, InvalidId>,
) -> Result<Option<T>, StoreError> {
    column.map(parse).transpose().map_err(StoreError::corrupt_id)
}

/// A row may be younger than the transaction that reads it.
pub(crate) fn span(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}

/// Tenants that a statement is about.
pub(crate) fn ids_to_column<'a>(tenants: impl IntoIterator<Item = &'a TenantId>) -> Vec<String> {
    tenants.into_iter().map(|id| id.as_str().to_owned()).collect()
}

/// Postgres cannot hold U+0000 in a text. A message that has one must not stay at the head of its queue for ever, so
/// the character becomes U+FFFD, which says that something was here.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// What does not fit the column is beyond what its check allows, and is refused by that.
pub(crate) fn limit_to_column(limit: u32) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

pub(crate) fn bytes_to_column(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(crate) fn seconds_to_column(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}

/// `login` has a user and a password, or nothing where they were not read.
pub(crate) fn proxy_from_columns(
    place: Option<String>,
    login: (Option<String>, Option<String>),
) -> Result<Option<Proxy>, StoreError> {
    let corrupt = |error: NotAProxy| StoreError::Corrupt { what: "proxy", reason: error.to_string() };
    let Some(place) = place else { return Ok(None) };
    let Proxy { place, .. } = place.parse().map_err(corrupt)?;
    let login = login.0.zip(login.1).map(|(user, password)| ProxyLogin { user, password });
    Ok(Some(Proxy { place, login }))
}

/// All three are set or none.
pub(crate) fn restart_schedule_from_columns(
    cron: Option<String>,
    time_zone: Option<String>,
    jitter_s: Option<i32>,
) -> Result<Option<RestartSchedule>, StoreError> {
    let (Some(cron), Some(time_zone), Some(jitter_s)) = (cron, time_zone, jitter_s) else { return Ok(None) };
    let jitter = Duration::from_secs(unsigned("restart_jitter_s", jitter_s.into())?);
    Ok(Some(RestartSchedule { cron, time_zone, jitter }))
}

/// How model's enums lie in their columns: each has a twin here, of the same name because the queries name it, that knows
/// its Postgres enum; nothing outside a query sees the twins. Declares the twin of one of model's enums and the way from each to the other.
macro_rules! postgres_enum {
    ($name:ident, $type_name:literal, $($variant:ident),+) => {
        #[derive(Debug, Clone, Copy, sqlx::Type)]
        #[sqlx(type_name = $type_name, rename_all = "SCREAMING_SNAKE_CASE")]
        pub(crate) enum $name {
            $($variant),+
        }

        impl From<roost_model::$name> for $name {
            fn from(given: roost_model::$name) -> Self {
                match given {
                    $(roost_model::$name::$variant => Self::$variant),+
                }
            }
        }

        impl From<$name> for roost_model::$name {
            fn from(column: $name) -> Self {
                match column {
                    $($name::$variant => Self::$variant),+
                }
            }
        }
    };
}

postgres_enum!(TemplateKind, "template_kind", Booking, Ecommerce, Support);
postgres_enum!(LanguageCode, "language_code", En, Sw);
postgres_enum!(ResendPolicy, "resend_policy", Resend, Hold);
postgres_enum!(Role, "access_role", Admin, Operator, Viewer, Owner, Staff, Processor);
postgres_enum!(LogLevel, "log_level", Trace, Debug, Info, Warn, Error);

#[cfg(test)]
mod tests {
    use super::storable;

    #[test]
    fn only_the_null_character_is_replaced() {
        assert_eq!(storable("a\0b"), "a\u{FFFD}b");
        assert_eq!(storable("habari \u{1F44B}\n"), "habari \u{1F44B}\n");
    }
}
