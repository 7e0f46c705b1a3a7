//! Codes that a phone makes (TOTP, RFC 6238), with what every app for it takes: SHA-1, six digits, 30 seconds.

use totp_rs::{Builder, Secret, Totp};

use super::secrets_key::{SecretsKey, Unopened};

/// As an app names the account.
const ISSUER: &str = "Roost";
/// As RFC 4226 advises.
const SECRET: usize = 20;

/// What a phone takes in: as a picture, or typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// `otpauth://...`, for a QR code.
    pub uri: String,
    /// In base 32.
    pub secret: String,
}

/// A new secret, sealed for this user.
pub fn new_secret(key: &SecretsKey, user: i64) -> Option<Vec<u8>> {
    key.seal(&name(user), &rand::random::<[u8; SECRET]>())
}

/// What a user's phone is to take in. None of a secret that is none.
pub fn enrolment(
    key: &SecretsKey,
    user: i64,
    email: &str,
    sealed: &[u8],
) -> Result<Option<Enrolment>, Unopened> {
    let codes = codes(key, user, email, sealed)?;
    Ok(codes
        .and_then(|codes| Some(Enrolment { uri: codes.to_url().ok()?, secret: codes.secret().to_base32() })))
}

/// The step whose code it is, if it is that of this one, of the one before or of the next: clocks differ. Whether a code of the step has
/// counted already is not known here.
pub fn step_of(
    key: &SecretsKey,
    user: i64,
    sealed: &[u8],
    code: &str,
    now: u64,
) -> Result<Option<i64>, Unopened> {
    let typed: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
    let step = codes(key, user, "", sealed)?.and_then(|codes| codes.check(&typed, now));
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

fn codes(key: &SecretsKey, user: i64, email: &str, sealed: &[u8]) -> Result<Option<Totp>, Unopened> {
    let secret = Secret::new(key.open(&name(user), sealed)?.into());
    // Both separate the parts of a label; an address may have them in quotes.
    let account = email.replace(':', "");
    let codes = Builder::new().with_secret(secret).with_issuer(Some(ISSUER)).with_account_name(account);
    Ok(codes.build().ok())
}

/// Under which it is sealed.
fn name(user: i64) -> String {
    format!("second factor of user {user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 6238, appendix B.
    const RFC_SECRET: &[u8] = b"12345678901234567890";

    fn key() -> SecretsKey {
        SecretsKey::from_hex(&"07".repeat(32)).unwrap()
    }

    #[test]
    fn the_codes_are_those_of_the_standard_and_count_for_one_step_around_theirs() {
        let (key, sealed) = (key(), key().seal(&name(7), RFC_SECRET).unwrap());
        let of = |code: &str, now| step_of(&key, 7, &sealed, code, now).unwrap();
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            let step = i64::try_from(time / 30).unwrap();
            assert_eq!(of(code, time), Some(step), "{time}");
            assert_eq!((of(code, time - 30), of(code, time + 30)), (Some(step), Some(step)), "{time}");
            assert_eq!(of(code, time + 60), None, "{time}");
        }
        assert_eq!(of("287 082", 59), Some(1));
        for wrong in ["", "28708", "2870822", "287083", "abcdef"] {
            assert_eq!(of(wrong, 59), None, "{wrong}");
        }
        assert!(step_of(&key, 8, &sealed, "287082", 59).is_err(), "another's");
    }

    #[test]
    fn a_phone_is_told_all_that_it_needs() {
        let sealed = new_secret(&key(), 7).unwrap();
        let told = enrolment(&key(), 7, "asha:x@duka.example", &sealed).unwrap().unwrap();
        assert_eq!(told.secret.len(), 32);
        assert!(told.uri.starts_with("otpauth://totp/Roost:ashax"), "{}", told.uri);
        assert!(told.uri.contains(&format!("secret={}", told.secret)), "{}", told.uri);
        assert!(told.uri.contains("issuer=Roost"), "{}", told.uri);
    }
}
