//! Newtypes for the ids and numbers that the cluster passes around, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} {given:?} is not valid: it takes 1 to 63 of a-z, 0-9 and '-', starting with a letter or digit"
)]
pub struct InvalidId {
    kind: &'static str,
    given: String,
}

fn check(kind: &'static str, given: &str) -> Result<(), InvalidId> {
    let starts_well = given.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let all_fit = given.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if starts_well && all_fit && given.len() <= 63 {
        Ok(())
    } else {
        Err(InvalidId { kind, given: given.chars().take(80).collect() })
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks the form; see [`InvalidId`].
            pub fn new(given: &str) -> Result<Self, InvalidId> {
                check($kind, given).map(|()| Self(given.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(given: &str) -> Result<Self, InvalidId> {
                Self::new(given)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(given: String) -> Result<Self, InvalidId> {
                Self::new(&given)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id!(
    /// A customer's account with one WhatsApp number.
    TenantId,
    "tenant id"
);
text_id!(
    /// A process that hosts workers.
    NodeId,
    "node id"
);
text_id!(
    /// One cluster among those that share an etcd.
    ClusterName,
    "cluster name"
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A per-tenant fencing number that only grows (I2).
    Generation
);
number!(
    /// Which session of a tenant: it grows when one is forgotten, and when a phone is linked anew.
    SessionNumber
);

impl SessionNumber {
    /// Also of what was written before sessions were numbered.
    pub fn first() -> Self {
        Self(1)
    }
}

number!(
    /// The number of a leader's time as the controller, given by Postgres; a later one deposes it.
    Term
);
number!(
    /// One life of a node: the id of its lease in etcd.
    Incarnation
);
number!(
    /// Which change of a tenant's spec (settings, desired state, restart) an assignment carries.
    SpecRevision
);
number!(
    /// A drain, rebalance or move, given by Postgres.
    OperationId
);
number!(
    /// A revision of the registry (etcd's, store-wide).
    Revision
);
