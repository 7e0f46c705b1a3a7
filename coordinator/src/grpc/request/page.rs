//! Page tokens: where the next page of a list begins.
//!
//! Opaque to callers, so that what is inside may change: base64url over version, list, fingerprint of the filter, the
//! last key of the page before, checksum. They are no secret and grant nothing. The checks are for mistakes: a token of
//! another list, of the same list with another filter (whose pages would silently miss rows), of a later version, or
//! one that was cut off in a shell.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const FINGERPRINT: usize = 8;
const CHECKSUM: usize = 4;
/// Version, list, fingerprint.
const HEAD: usize = 2 + FINGERPRINT;

/// The size of a page when the caller does not choose.
const DEFAULT_SIZE: usize = 100;
/// The most that a caller may choose; more counts as this many.
const MAX_SIZE: usize = 1_000;

/// The lists that are paged. The number is part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Tenants = 1,
    Workers = 2,
    Messages = 3,
    Nodes = 4,
    Operations = 5,
    Events = 6,
    DeadLetters = 7,
    SnapshotOrphans = 8,
    Tokens = 9,
    AuditEntries = 10,
    Members = 11,
    SetupRequests = 12,
    Users = 13,
    Looks = 14,
}

/// The page size that is meant by `page_size`.
pub fn size(given: i32) -> Result<usize, String> {
    match usize::try_from(given) {
        Err(_) => Err(format!("{given} is negative; use 1 to {MAX_SIZE}, or 0 for {DEFAULT_SIZE}")),
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
    }
}

/// The token of the page after `last`. `filter` is every argument of the call that chooses rows.
pub fn encode(list: List, filter: &[&str], last: &str) -> String {
    let mut bytes = vec![VERSION, list as u8];
    bytes.extend(fingerprint(filter));
    bytes.extend(last.as_bytes());
    bytes.extend(checksum(&bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key after which the page begins; None for an empty token, the first page.
pub fn decode(list: List, filter: &[&str], token: &str) -> Result<Option<String>, String> {
    if token.is_empty() {
        return Ok(None);
    }
    const NO_TOKEN: &str = "is not a token of this server; use next_page_token as it was given";
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| NO_TOKEN.to_owned())?;
    let (body, sum) = bytes.split_at_checked(bytes.len().saturating_sub(CHECKSUM)).ok_or(NO_TOKEN)?;
    if body.len() < HEAD || checksum(body) != sum {
        return Err(NO_TOKEN.to_owned());
    }
    if body[0] != VERSION {
        return Err(format!("has version {}, this server reads {VERSION}; begin the list again", body[0]));
    }
    if body[1] != list as u8 {
        return Err("is of another list; use next_page_token of this call".to_owned());
    }
    if body[2..HEAD] != fingerprint(filter) {
        return Err(
            "was given for other arguments; keep them, or begin the list again without a token".to_owned()
        );
    }
    String::from_utf8(body[HEAD..].to_vec()).map(Some).map_err(|_| NO_TOKEN.to_owned())
}

fn fingerprint(filter: &[&str]) -> [u8; FINGERPRINT] {
    let mut hash = Sha256::new();
    for part in filter {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    leading(&hash.finalize())
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    leading(&Sha256::digest(body))
}

fn leading<const N: usize>(digest: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_the_key_it_was_made_from() {
        for last in ["a", "9223372036854775807", ""] {
            let token = encode(List::Workers, &["node-1", ""], last);
            assert_eq!(decode(List::Workers, &["node-1", ""], &token), Ok(Some(last.to_owned())));
        }
        assert_eq!(decode(List::Workers, &["node-1", ""], ""), Ok(None));
    }

    #[test]
    fn a_token_counts_only_for_its_own_list_and_filter() {
        let token = encode(List::Workers, &["a", "b"], "x");
        assert!(decode(List::Tenants, &["a", "b"], &token).unwrap_err().contains("another list"));
        for filter in [&["a", ""][..], &["ab", ""], &["", "ab"], &["a", "b", ""], &[]] {
            assert!(
                decode(List::Workers, filter, &token).unwrap_err().contains("other arguments"),
                "{filter:?}"
            );
        }
    }

    #[test]
    fn a_damaged_or_foreign_token_is_refused() {
        let token = encode(List::Nodes, &[], "node-1");
        for cut in 1..token.len() {
            assert!(decode(List::Nodes, &[], &token[..cut]).is_err(), "{cut}");
        }
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(decode(List::Nodes, &[], &String::from_utf8(changed).unwrap()).is_err(), "{at}");
        }
        for foreign in ["x", "%%%", "bm90IG91cnM", "é"] {
            assert!(decode(List::Nodes, &[], foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn a_token_of_a_later_version_says_so() {
        let mut body = vec![VERSION + 1, List::Nodes as u8];
        body.extend(fingerprint(&[]));
        body.extend(checksum(&body));
        let token = URL_SAFE_NO_PAD.encode(body);
        assert!(decode(List::Nodes, &[], &token).unwrap_err().contains("has version 2"));
    }

    #[test]
    fn sizes_have_a_default_and_a_cap() {
        assert_eq!(size(0), Ok(DEFAULT_SIZE));
        assert_eq!(size(1), Ok(1));
        assert_eq!(size(i32::MAX), Ok(MAX_SIZE));
        assert!(size(-1).is_err());
    }
}
