//! Wrong passwords, counted: who guesses is stopped, and nobody else is kept out by it.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Wrong passwords of one address for one user in [`WINDOW`].
const OF_ONE_PLACE: u32 = 10;
/// For one user from everywhere: guessers with many addresses.
const OF_ALL_PLACES: u32 = 100;
/// Of one address for all users.
const OF_ONE_ADDRESS: u32 = 50;
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Remembered at most; then what is oldest goes.
const MOST: usize = 20_000;

#[derive(Debug, Default)]
pub struct Attempts {
    wrong: Mutex<HashMap<Key, (Instant, u32)>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Place(String, IpAddr),
    User(String),
    Address(IpAddr),
}

fn keys(email: &str, origin: IpAddr) -> [(Key, u32); 3] {
    [
        (Key::Place(email.to_owned(), origin), OF_ONE_PLACE),
        (Key::User(email.to_owned()), OF_ALL_PLACES),
        address(origin),
    ]
}

fn address(origin: IpAddr) -> (Key, u32) {
    (Key::Address(origin), OF_ONE_ADDRESS)
}

impl Attempts {
    /// How long to wait before the next one, if too many were wrong.
    pub fn must_wait(&self, email: &str, origin: IpAddr, now: Instant) -> Option<Duration> {
        self.over(&keys(email, origin), now)
    }

    /// The same of who does not say which user he is.
    pub fn address_must_wait(&self, origin: IpAddr, now: Instant) -> Option<Duration> {
        self.over(&[address(origin)], now)
    }

    fn over(&self, keys: &[(Key, u32)], now: Instant) -> Option<Duration> {
        let wrong = self.wrong.lock();
        let over = keys.iter().filter_map(|(key, most)| {
            let (since, count) = wrong.get(key)?;
            let left = WINDOW.checked_sub(now.saturating_duration_since(*since))?;
            (count >= most).then_some(left)
        });
        over.max()
    }

    pub fn was_wrong(&self, email: &str, origin: IpAddr, now: Instant) {
        self.count(keys(email, origin), now);
    }

    /// The same of who does not say which user he is.
    pub fn address_was_wrong(&self, origin: IpAddr, now: Instant) {
        self.count([address(origin)], now);
    }

    fn count(&self, keys: impl IntoIterator<Item = (Key, u32)>, now: Instant) {
        let mut wrong = self.wrong.lock();
        if wrong.len() >= MOST {
            wrong.retain(|_, (since, _)| now.saturating_duration_since(*since) < WINDOW);
        }
        if wrong.len() >= MOST {
            let oldest = wrong.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| key.clone());
            oldest.map(|key| wrong.remove(&key));
        }
        for (key, _) in keys {
            let (since, count) = wrong.entry(key).or_insert((now, 0));
            if now.saturating_duration_since(*since) >= WINDOW {
                (*since, *count) = (now, 0);
            }
            *count += 1;
        }
    }

    /// Whoever knows the password is no guesser.
    pub fn was_right(&self, email: &str, origin: IpAddr) {
        self.wrong.lock().remove(&Key::Place(email.to_owned(), origin));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn a_guesser_waits_and_the_user_elsewhere_does_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..OF_ONE_PLACE {
            assert_eq!(attempts.must_wait("asha", from(1), now), None);
            attempts.was_wrong("asha", from(1), now);
        }
        assert_eq!(attempts.must_wait("asha", from(1), now), Some(WINDOW));
        assert_eq!(attempts.must_wait("asha", from(2), now), None);
        assert_eq!(attempts.must_wait("bola", from(1), now), None);
        assert_eq!(attempts.must_wait("asha", from(1), now + WINDOW + Duration::from_secs(1)), None);
        attempts.was_right("asha", from(1));
        assert_eq!(attempts.must_wait("asha", from(1), now), None);
    }

    #[test]
    fn neither_many_users_nor_many_addresses_help() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for user in 0..OF_ONE_ADDRESS {
            attempts.was_wrong(&user.to_string(), from(1), now);
        }
        assert!(attempts.must_wait("anybody", from(1), now).is_some());
        assert!(attempts.address_must_wait(from(1), now).is_some());
        for _ in 0..OF_ONE_ADDRESS {
            assert_eq!(attempts.address_must_wait(from(2), now), None);
            attempts.address_was_wrong(from(2), now);
        }
        assert!(attempts.address_must_wait(from(2), now).is_some());
        for address in 0..OF_ALL_PLACES {
            attempts.was_wrong("asha", from(10 + u8::try_from(address).unwrap()), now);
        }
        assert!(attempts.must_wait("asha", from(200), now).is_some());
    }
}
