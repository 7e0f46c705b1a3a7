//! Text from outside, made fit for a terminal: what commands it, or turns round the order of what is read, is shown
//! escaped; what is too long for a cell is cut.

use std::io::{self, Write};

/// Shown with all that is not plain text escaped, line ends too.
pub fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        push_visible(&mut shown, c);
        shown
    })
}

/// The same of text that has lines of its own.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// The beginning of it as far as `most` characters show, with an ellipsis where there is more.
pub fn beginning(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut left = most;
    for c in text.chars() {
        let before = shown.len();
        push_visible(&mut shown, c);
        match left.checked_sub(shown[before..].chars().count()) {
            Some(rest) => left = rest,
            None => {
                shown.truncate(before);
                shown.push('…');
                break;
            }
        }
    }
    shown
}

/// A line, or several, on stderr. `eprintln!` would panic when nobody reads them any more, which is no error.
pub fn to_stderr(text: &str) {
    writeln!(io::stderr(), "{}", visible_lines(text)).ok();
}

fn push_visible(shown: &mut String, c: char) {
    if c.is_control() || breaks_lines(c) || turns_the_order(c) {
        shown.extend(c.escape_default());
    } else {
        shown.push(c);
    }
}

/// Unicode's line and paragraph separators, which are no control characters.
fn breaks_lines(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Unicode's Bidi_Control characters.
fn turns_the_order(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_and_not_done() {
        assert_eq!(visible("red \u{1b}[31m\nHabari ☀"), "red \\u{1b}[31m\\nHabari ☀");
        assert_eq!(visible("\u{9b}31m"), "\\u{9b}31m");
    }

    #[test]
    fn what_turns_the_order_of_reading_is_shown_and_not_done() {
        assert_eq!(visible("a\u{202e}b\u{2066}c\u{200f}d\u{61c}"), "a\\u{202e}b\\u{2066}c\\u{200f}d\\u{61c}");
        assert_eq!(visible("مرحبا שלום"), "مرحبا שלום");
        assert_eq!(visible("a\u{2028}b"), "a\\u{2028}b");
    }

    #[test]
    fn lines_of_its_own_stay_lines() {
        assert_eq!(visible_lines("one\ntwo\r\n\u{1b}c"), "one\ntwo\\r\n\\u{1b}c");
    }

    #[test]
    fn a_beginning_ends_between_what_is_shown() {
        assert_eq!(beginning("Habari", 6), "Habari");
        assert_eq!(beginning("Habari!", 6), "Habari…");
        assert_eq!(beginning("Haba\nri", 5), "Haba…");
        assert_eq!(beginning("Haba\nri", 6), "Haba\\n…");
        assert_eq!(beginning("☀☀☀", 2), "☀☀…");
    }
}
