//! Phones, as they are compared.

/// Only the digits: `+255 700 000 001`, `255700000001` and `255700000001@c.us` are one phone.
pub fn digits(phone: &str) -> String {
    let number = phone.split(['@', ':']).next().unwrap_or_default();
    number.chars().filter(char::is_ascii_digit).collect()
}
