//! The tokens themselves: 32 random bytes, with a checksum that tells a token of ours from anything else before a database is asked, and a beginning
//! by which a scanner of repositories finds one that was left there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use roost_store::TokenDigest;
use sha2::{Digest, Sha256};

const BEGINS: &str = "roost_";
const RANDOM: usize = 32;
const CHECKSUM: usize = 4;

pub fn new_secret() -> String {
    let mut bytes = rand::random::<[u8; RANDOM]>().to_vec();
    let sum = checksum(&bytes);
    bytes.extend(sum);
    format!("{BEGINS}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether it could be in the database.
pub fn has_form(token: &str) -> bool {
    let bytes = token.strip_prefix(BEGINS).and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
    bytes.is_some_and(|bytes| {
        bytes.len() == RANDOM + CHECKSUM && bytes[RANDOM..] == checksum(&bytes[..RANDOM])
    })
}

/// All that is kept of a token, and what it is looked up by.
pub fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

fn checksum(random: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::digest(random);
    std::array::from_fn(|at| digest[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_ours_is_told_from_anything_else_and_no_two_are_the_same() {
        let (one, other) = (new_secret(), new_secret());
        assert_ne!(one, other);
        assert_eq!(one.len(), 54);
        assert!(has_form(&one) && has_form(&other));
        let mut wrong = one.clone();
        wrong.replace_range(20..21, if &wrong[20..21] == "x" { "y" } else { "x" });
        assert!(!has_form(&wrong), "{wrong}");
        for wrong in ["", "roost_", &one[6..], &one[..53], &format!("{one}A"), "sesame"] {
            assert!(!has_form(wrong), "{wrong}");
        }
    }
}
