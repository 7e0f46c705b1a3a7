//! Passwords: how they are kept, and which are taken.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

/// Each takes 19 MiB and some 30 ms of a processor: more at once would take the machine from everything else.
const AT_ONCE: usize = 2;
const SHORTEST: usize = 10;
/// Longer ones cost time to hash and add nothing.
const LONGEST: usize = 200;

/// Argon2id with the parameters that OWASP names first (19 MiB, two passes, one lane), which are the library's.
#[derive(Debug)]
pub struct Passwords {
    places: Semaphore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    #[error("it has to have at least {SHORTEST} characters")]
    TooShort,
    #[error("it may have at most {LONGEST} characters")]
    TooLong,
    #[error("it must not be the address")]
    IsTheAddress,
    #[error("it is one of those that are tried first")]
    Common,
}

/// Begin or are what is tried first; each is a whole password or is repeated until it is long enough.
const COMMON: &[&str] = &["password", "123456789", "1234567890", "qwertyuiop", "whatsapp", "roost"];

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE) }
    }
}

/// What a password of nobody is compared with, so that the time of the answer does not tell who there is.
static UNOWNED: LazyLock<Option<String>> = LazyLock::new(|| hashed(b"nobody"));

/// The machine gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unhashed;

fn hashed(password: &[u8]) -> Option<String> {
    Argon2::default().hash_password(password).ok().map(|hash| hash.to_string())
}

impl Passwords {
    /// In the form of the PHC.
    pub async fn hash(&self, password: String) -> Result<String, Unhashed> {
        let _place = self.places.acquire().await.map_err(|_| Unhashed)?;
        let hashed = tokio::task::spawn_blocking(move || hashed(password.as_bytes()));
        hashed.await.ok().flatten().ok_or(Unhashed)
    }

    /// Whether it is the one that is kept. Takes as long where none is.
    pub async fn is_right(&self, password: String, kept: Option<String>) -> bool {
        let Ok(_place) = self.places.acquire().await else { return false };
        let compared = tokio::task::spawn_blocking(move || {
            let is_kept = kept.is_some();
            let Some(hash) = kept.or_else(|| UNOWNED.clone()) else { return false };
            let Ok(hash) = PasswordHash::new(&hash) else { return false };
            Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && is_kept
        });
        compared.await.unwrap_or(false)
    }
}

/// Length is what counts: no rule about kinds of characters, which make passwords worse.
pub fn check(password: &str, email: &str) -> Result<(), PasswordProblem> {
    let characters = password.chars().count();
    let lower = password.to_lowercase();
    let is_common = COMMON.iter().any(|common| {
        let rest = lower.replace(common, "");
        rest.chars().all(|letter| letter.is_ascii_digit()) && rest.len() < 6
    });
    if characters < SHORTEST {
        Err(PasswordProblem::TooShort)
    } else if characters > LONGEST {
        Err(PasswordProblem::TooLong)
    } else if lower == email.to_lowercase() {
        Err(PasswordProblem::IsTheAddress)
    } else if is_common {
        Err(PasswordProblem::Common)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_alone() {
        let passwords = Passwords::default();
        let kept = passwords.hash("a long sentence".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(passwords.is_right("a long sentence".into(), Some(kept.clone())).await);
        assert!(!passwords.is_right("a long Sentence".into(), Some(kept)).await);
        assert!(!passwords.is_right("nobody".into(), None).await);
        assert!(!passwords.is_right("a".into(), Some("no hash".into())).await);
    }

    #[test]
    fn what_is_tried_first_is_not_taken() {
        for (password, problem) in [
            ("short", PasswordProblem::TooShort),
            ("Asha@Duka.example", PasswordProblem::IsTheAddress),
            ("password123", PasswordProblem::Common),
            ("PasswordPassword", PasswordProblem::Common),
            ("12345678901", PasswordProblem::Common),
            ("whatsapp2026", PasswordProblem::Common),
            (&"a".repeat(201), PasswordProblem::TooLong),
        ] {
            assert_eq!(check(password, "asha@duka.example"), Err(problem), "{password}");
        }
        for good in ["samaki kavu soko", "ñandú-ñandú-ñandú", "correct horse"] {
            assert_eq!(check(good, "asha@duka.example"), Ok(()), "{good}");
        }
    }
}
