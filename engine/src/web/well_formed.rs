//! Texts of a page may have half a character in them, which is no text here: no JSON with one can be read.

/// The same JSON with U+FFFD for each escape of one half of a surrogate pair.
pub(super) fn well_formed(json: &str) -> String {
    let mut read = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        read.push_str(before);
        let length = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => 12,
            (Some(_), _) => {
                read.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            // One character follows the backslash; the digits after a `u` need no look.
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        read.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    read + rest
}

enum Half {
    High,
    Low,
}

/// Which half of a pair an escape at the beginning is.
fn surrogate(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xD800..=0xDBFF => Some(Half::High),
        0xDC00..=0xDFFF => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn half_a_character_is_replaced_and_nothing_else() {
        for (given, read) in [
            (r"\ud83d", "\u{FFFD}"),
            (r"\ude00\ud83d", "\u{FFFD}\u{FFFD}"),
            (r"a\ud83d\ud83d\ude00b", "a\u{FFFD}\u{1F600}b"),
            (r"\\ud83d \\\ud83d é\u00e9\n", "\\ud83d \\\u{FFFD} éé\n"),
        ] {
            let json = well_formed(&format!("[\"{given}\"]"));
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), serde_json::json!([read]), "{given}");
        }
    }
}
