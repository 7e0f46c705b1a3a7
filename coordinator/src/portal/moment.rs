//! Points in time, as a page has them: for scripts, which show them in the reader's zone, and for readers without any.

use minijinja::{Value, value::Serde};
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    iso: String,
    text: String,
}

impl Moment {
    /// None of what no calendar has.
    pub fn of(at: OffsetDateTime) -> Option<Self> {
        let at = at.to_offset(UtcOffset::UTC).replace_nanosecond(0).ok()?;
        let text = at.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC")).ok()?;
        Some(Self { iso: at.format(&Rfc3339).ok()?, text })
    }

    /// The same for what a template is given.
    pub fn shown(at: OffsetDateTime) -> Option<Value> {
        Self::of(at).map(|moment| Value::from(Serde(moment)))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_is_told_to_scripts_and_to_people() {
        let moment = Moment::of(datetime!(2026-11-30 22:05:09.5 +3)).unwrap();
        assert_eq!(
            (moment.iso.as_str(), moment.text.as_str()),
            ("2026-11-30T19:05:09Z", "2026-11-30 19:05 UTC")
        );
    }
}
