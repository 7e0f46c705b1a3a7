//! Limits of texts. Lengths are in characters (Unicode scalar values), as an operator counts them.

/// What a text may be.
pub struct Text {
    pub min: usize,
    pub max: usize,
    /// Line breaks and tabs may be in it; other control characters never, for a terminal would obey them, and
    /// Postgres takes no NUL.
    pub lines: bool,
}

impl Text {
    /// One line of `min` to `max` characters.
    pub const fn line(min: usize, max: usize) -> Self {
        Self { min, max, lines: false }
    }

    /// Lines of `min` to `max` characters in all.
    pub const fn lines(min: usize, max: usize) -> Self {
        Self { min, max, lines: true }
    }

    /// Says what is wrong with `given`.
    pub fn check(&self, given: &str) -> Result<(), String> {
        let Self { min, max, lines } = *self;
        if min > 0 && given.is_empty() {
            return Err(format!("is required: {min} to {max} characters"));
        }
        if min > 0 && given.trim().is_empty() {
            return Err("has nothing but white space".to_owned());
        }
        let length = given.chars().count();
        if length < min || length > max {
            return Err(format!("has {length} characters, {min} to {max} are allowed"));
        }
        let forbidden = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'));
        match given.chars().find(|c| forbidden(*c)) {
            Some(control) => {
                Err(format!("has the control character U+{:04X}; remove it", u32::from(control)))
            }
            None => Ok(()),
        }
    }
}

/// A WhatsApp number in E.164: `+` and 8 to 15 digits, the first not 0.
pub fn check_phone(given: &str) -> Result<(), String> {
    const FORM: &str = "'+' and 8 to 15 digits with the country code, such as +255700000001";
    let digits = given.strip_prefix('+').unwrap_or_default();
    if given.is_empty() {
        Err(format!("is required: {FORM}"))
    } else if (8..=15).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && !digits.starts_with('0')
    {
        Ok(())
    } else {
        let shown: String = given.chars().take(40).collect();
        Err(format!("{shown:?} is no number in E.164: {FORM}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters() {
        let limits = Text::line(1, 4);
        assert_eq!(limits.check("çéñü"), Ok(()));
        assert_eq!(limits.check("abcde").unwrap_err(), "has 5 characters, 1 to 4 are allowed");
        assert!(limits.check("").unwrap_err().contains("required"));
        assert!(limits.check("  ").unwrap_err().contains("white space"));
        assert_eq!(Text::line(0, 4).check(""), Ok(()));
    }

    #[test]
    fn control_characters_are_refused_but_for_line_breaks_where_lines_are() {
        assert!(Text::line(1, 9).check("a\nb").unwrap_err().contains("U+000A"));
        assert_eq!(Text::lines(1, 9).check("a\r\n\tb"), Ok(()));
        for bad in ["a\0b", "a\u{1b}[2J", "a\u{85}"] {
            assert!(Text::lines(1, 9).check(bad).unwrap_err().contains("control character"), "{bad:?}");
        }
    }

    #[test]
    fn phones_are_in_e164() {
        for good in ["+25570000", "+255700000001", "+123456789012345"] {
            assert_eq!(check_phone(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "+",
            "255700000001",
            "+2557000",
            "+1234567890123456",
            "+0557000000",
            "+255 700 000 001",
            "+٢٥٥٧٠٠٠٠٠",
        ] {
            assert!(check_phone(bad).is_err(), "{bad}");
        }
    }
}
