//! The name of a snapshot, as people write it and as the object store sorts by it.

use std::{fmt, str::FromStr};

use roost_model::ids::Generation;

/// Names a snapshot of a tenant, as people write it: `<generation>-<sequence>`. A later one is higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    pub generation: Generation,
    pub sequence: i64,
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.sequence)
    }
}

/// The text is no snapshot's id.
#[derive(Debug, thiserror::Error)]
#[error("{given:?} is no snapshot's id, which is like 12-3, as `roost session snapshots` lists them")]
pub struct InvalidSnapshotId {
    given: String,
}

impl FromStr for SnapshotId {
    type Err = InvalidSnapshotId;

    fn from_str(given: &str) -> Result<Self, InvalidSnapshotId> {
        let number = |digits: &str| {
            let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_plain)
        };
        given
            .split_once('-')
            .and_then(|(generation, sequence)| {
                Some(Self { generation: Generation(number(generation)?), sequence: number(sequence)? })
            })
            .ok_or_else(|| InvalidSnapshotId { given: given.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = SnapshotId { generation: Generation(12), sequence: 3 };
        assert_eq!(id.to_string().parse::<SnapshotId>().unwrap(), id);
        for wrong in ["", "12", "12-", "-3", "12-3-4", "a-b", "+1-2", "1--2", "99999999999999999999-1"] {
            assert!(wrong.parse::<SnapshotId>().is_err(), "{wrong}");
        }
    }
}
