//! Phone numbers, made unreadable but for their last three digits, whoever has put them into a line.

use std::borrow::Cow;

/// What is shorter is no number of a phone.
const MIN_DIGITS: usize = 7;
/// In groups, without a `+`: what is shorter is more likely a date or two counts.
const MIN_GROUPED_DIGITS: usize = 9;
/// No number of a phone has more (E.164).
const MAX_DIGITS: usize = 15;
const SHOWN: usize = 3;

/// The text with each number of a phone masked: with its country's code or without, in one run of digits or in groups, alone or
/// as the address of a chat (`255700000001@c.us`). A date is left alone; another number of 7 to 15 digits is not told from
/// a phone's.
pub(super) fn mask_numbers(text: &str) -> Cow<'_, str> {
    if !may_hold_a_number(text) {
        return Cow::Borrowed(text);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_numeric() {
            masked.push(chars[at]);
            at += 1;
            continue;
        }
        let has_plus = chars[..at].ends_with(&['+']) || chars[..at].ends_with(&['+', '(']);
        let end = end_of_number(&chars, at, has_plus);
        push_masked(&mut masked, &chars[at..end], has_plus, chars.get(end) == Some(&'@'));
        at = end;
    }
    Cow::Owned(masked)
}

fn may_hold_a_number(text: &str) -> bool {
    text.chars().filter(|c| c.is_numeric()).nth(MIN_DIGITS - 1).is_some()
}

/// Where the digits end that begin here, with those of further groups.
fn end_of_number(chars: &[char], begin: usize, has_plus: bool) -> usize {
    let run = |from: usize| chars[from..].iter().take_while(|c| c.is_numeric()).count();
    let mut end = begin + run(begin);
    if is_date(&chars[begin..]) {
        return begin + "2026-11-29".len();
    }
    loop {
        let gap = chars[end..].iter().take(3).take_while(|c| is_separator(**c, has_plus)).count();
        let most = if has_plus { 2 } else { 1 };
        if gap == 0 || gap > most || end + gap >= chars.len() || !chars[end + gap].is_numeric() {
            return end;
        }
        if is_date(&chars[end + gap..]) {
            return end;
        }
        end += gap;
        end += run(end);
    }
}

fn is_separator(c: char, has_plus: bool) -> bool {
    matches!(c, ' ' | '-' | '\u{a0}') || (has_plus && matches!(c, '.' | '(' | ')'))
}

/// `2026-11-29`
fn is_date(chars: &[char]) -> bool {
    let shape = "dddd-dd-dd";
    let fits = |(c, shape): (&char, char)| if shape == 'd' { c.is_ascii_digit() } else { *c == shape };
    chars.len() >= shape.len()
        && chars.iter().zip(shape.chars()).all(fits)
        && matches!(chars[0], '1' | '2')
        && !chars.get(shape.len()).is_some_and(|c| c.is_numeric())
}

fn push_masked(masked: &mut String, number: &[char], has_plus: bool, is_address: bool) {
    let digits = number.iter().filter(|c| c.is_numeric()).count();
    let is_grouped = digits < number.len();
    let is_phone = match (has_plus || is_address, is_grouped) {
        (true, _) => digits >= MIN_DIGITS,
        (false, false) => (MIN_DIGITS..=MAX_DIGITS).contains(&digits),
        (false, true) => digits >= MIN_GROUPED_DIGITS,
    };
    if !is_phone || is_date(number) && number.len() == "2026-11-29".len() {
        masked.extend(number);
        return;
    }
    let mut hidden = digits - SHOWN;
    for c in number {
        let hides = c.is_numeric() && hidden > 0;
        hidden -= usize::from(hides);
        masked.push(if hides { '*' } else { *c });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As people and programs write it.
    fn written(digits: &str, way: u8) -> String {
        let groups: Vec<&str> =
            (0..digits.len()).step_by(3).map(|at| &digits[at..digits.len().min(at + 3)]).collect();
        match way {
            0 => digits.to_owned(),
            1 => format!("+{digits}"),
            2 => format!("{digits}@c.us"),
            3 => format!("+{}", groups.join(" ")),
            4 => format!("+{}", groups.join("-")),
            5 => format!("+({}) {}", groups[0], groups[1..].join(".")),
            6 => format!("false_{digits}@c.us_3EB0"),
            _ => digits
                .chars()
                .map(|c| char::from_u32('٠' as u32 + c as u32 - '0' as u32).unwrap_or(c))
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn no_number_of_a_phone_is_readable_however_it_is_written(
            digits in "[1-9][0-9]{6,14}",
            way in 0..8u8,
            before in "[a-z:= ]{0,12}",
            after in "[a-z:=, ]{0,12}",
        ) {
            let masked = mask_numbers(&format!("{before}{}{after}", written(&digits, way))).into_owned();
            let left: String = masked.replace("3EB0", "").chars().filter(|c| c.is_numeric()).collect();
            prop_assert_eq!(left.chars().count(), SHOWN, "{}", masked);
            prop_assert_eq!(masked.matches('*').count(), digits.len() - SHOWN, "{}", masked);
        }

        #[test]
        fn text_without_a_long_number_is_as_it_was(text in "([a-z .:]|[0-9]{1,3}[a-z]){0,40}") {
            prop_assert_eq!(mask_numbers(&text), text.as_str());
        }
    }

    #[test]
    fn what_people_look_for_stays_and_the_ends_of_numbers_do() {
        for kept in ["2026-11-29 at 04:00:05", "after 60000 ms", "generation 123456", "at 127.0.0.1:41234"] {
            assert_eq!(mask_numbers(kept), kept);
        }
        assert_eq!(mask_numbers("scan with +255 700 000 001"), "scan with +*** *** *** 001");
        assert_eq!(mask_numbers("to 255711000001@c.us"), "to *********001@c.us");
        assert_eq!(mask_numbers("call 0712 345 678"), "call **** *** 678");
    }
}
