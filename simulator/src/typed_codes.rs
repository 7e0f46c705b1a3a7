//! Codes of eight characters that a page asks for, for one phone number, and that are typed on that phone.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::journal::ConnectionId;

/// Codes that are given to a phone number within so long.
const WINDOW: Duration = Duration::from_secs(3_600);
/// Wrong codes that may be typed before the one that a page shows is void.
const WRONG_TRIES: u32 = 3;
/// What is easily taken for something else is in none.
const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTVWXYZ";
const LENGTH: usize = 8;

#[derive(Debug, Default)]
pub struct TypedCodes {
    phones: HashMap<String, Asked>,
}

/// Of one phone number.
#[derive(Debug, Default)]
struct Asked {
    given_at: Vec<UnixMillis>,
    /// The newest; the ones before it are none any more.
    code: Option<TypedCode>,
}

#[derive(Debug)]
struct TypedCode {
    text: String,
    page: ConnectionId,
    until: UnixMillis,
    wrong: u32,
}

/// Why what was typed links nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Mistyped {
    /// No page has asked for one.
    Unknown,
    Expired,
    Wrong,
    /// Wrong too often; no code is the right one any more.
    Void,
}

impl TypedCodes {
    /// The next one for the number; none when it was given `most` of late.
    pub fn give(
        &mut self,
        phone: &str,
        page: ConnectionId,
        now: UnixMillis,
        most: u64,
        life: Duration,
    ) -> Option<String> {
        let asked = self.phones.entry(phone.to_owned()).or_default();
        asked.given_at.retain(|at| now < at.plus(WINDOW));
        if asked.given_at.len() as u64 >= most {
            return None;
        }
        asked.given_at.push(now);
        let text = random_code();
        asked.code = Some(TypedCode { text: text.clone(), page, until: now.plus(life), wrong: 0 });
        Some(text)
    }

    /// The page that has shown what is typed; it counts as used.
    pub fn type_in(&mut self, phone: &str, text: &str, now: UnixMillis) -> Result<ConnectionId, Mistyped> {
        let asked = self.phones.get_mut(phone).ok_or(Mistyped::Unknown)?;
        let code = asked.code.as_mut().ok_or(Mistyped::Unknown)?;
        if code.wrong >= WRONG_TRIES {
            return Err(Mistyped::Void);
        }
        if code.until <= now {
            return Err(Mistyped::Expired);
        }
        if code.text != text {
            code.wrong += 1;
            return Err(if code.wrong < WRONG_TRIES { Mistyped::Wrong } else { Mistyped::Void });
        }
        let page = code.page;
        self.phones.remove(phone);
        Ok(page)
    }
}

fn random_code() -> String {
    let drawn: [u8; LENGTH] = rand::random();
    drawn.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "255700000001";
    const LIFE: Duration = Duration::from_secs(180);

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis(seconds * 1_000)
    }

    #[test]
    fn the_newest_code_is_right_once_until_it_expires() {
        let mut codes = TypedCodes::default();
        assert_eq!(codes.type_in(PHONE, "ABCDEFGH", at(0)), Err(Mistyped::Unknown));
        let first = codes.give(PHONE, ConnectionId(1), at(0), 5, LIFE).unwrap();
        assert!(first.len() == LENGTH && first.bytes().all(|byte| ALPHABET.contains(&byte)), "{first}");
        let second = codes.give(PHONE, ConnectionId(2), at(1), 5, LIFE).unwrap();
        assert_eq!(codes.type_in(PHONE, &first, at(2)), Err(Mistyped::Wrong));
        assert_eq!(codes.type_in("255700000002", &second, at(2)), Err(Mistyped::Unknown), "another phone");
        assert_eq!(codes.type_in(PHONE, &second, at(181)), Err(Mistyped::Expired));
        assert_eq!(codes.type_in(PHONE, &second, at(180)), Ok(ConnectionId(2)));
        assert_eq!(codes.type_in(PHONE, &second, at(180)), Err(Mistyped::Unknown));
    }

    #[test]
    fn one_that_was_mistyped_too_often_is_void_until_another_is_asked_for() {
        let mut codes = TypedCodes::default();
        let code = codes.give(PHONE, ConnectionId(1), at(0), 5, LIFE).unwrap();
        let typed: Vec<_> = (0..4).map(|_| codes.type_in(PHONE, "", at(1)).unwrap_err()).collect();
        assert_eq!(typed, [Mistyped::Wrong, Mistyped::Wrong, Mistyped::Void, Mistyped::Void]);
        assert_eq!(codes.type_in(PHONE, &code, at(1)), Err(Mistyped::Void));
        let code = codes.give(PHONE, ConnectionId(1), at(1), 5, LIFE).unwrap();
        assert!(codes.type_in(PHONE, &code, at(1)).is_ok());
    }

    #[test]
    fn a_number_is_given_so_many_in_an_hour() {
        let mut codes = TypedCodes::default();
        let mut ask = |second| codes.give(PHONE, ConnectionId(1), at(second), 2, LIFE).is_some();
        assert_eq!(
            [ask(0), ask(10), ask(20), ask(3_599), ask(3_600), ask(3_601)],
            [true, true, false, false, true, false]
        );
    }
}
