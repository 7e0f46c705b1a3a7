//! What a controller says of itself when not all is well: for operators, who do not read its log.

/// What it fails at, or cannot do for some tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub kind: ComplaintKind,
    /// One line, for people; see [`Complaint::new`].
    pub reason: String,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComplaintKind {
    /// etcd does not answer, or refuses.
    Etcd,
    /// etcd takes no writes: its quota is used up.
    EtcdFull,
    /// Postgres does not answer, or refuses.
    Postgres,
    /// A record in etcd cannot be read.
    Records,
    /// etcd and the database are not of one cluster.
    Identity,
    /// Some tenants are held up, and nobody else.
    Tenants,
    /// One that a later version knows.
    Unknown,
}

impl Complaint {
    /// So many characters of a reason are kept: it may name many records.
    const REASON_CHARS: usize = 1_000;

    pub fn new(kind: ComplaintKind, reason: &str) -> Self {
        Self { kind, reason: reason.chars().take(Self::REASON_CHARS).collect() }
    }
}

impl ComplaintKind {
    const KNOWN: [Self; 6] =
        [Self::Etcd, Self::EtcdFull, Self::Postgres, Self::Records, Self::Identity, Self::Tenants];

    /// As it is written in the ledger and shown to operators.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::EtcdFull => "etcd_full",
            Self::Postgres => "postgres",
            Self::Records => "records",
            Self::Identity => "identity",
            Self::Tenants => "tenants",
            Self::Unknown => "unknown",
        }
    }

    /// Whatever a later version has written is read all the same.
    pub fn from_written(written: &str) -> Self {
        Self::KNOWN.into_iter().find(|kind| kind.as_str() == written).unwrap_or(Self::Unknown)
    }

    /// Nobody is placed while it lasts; else all are but some.
    pub fn stops_placement(self) -> bool {
        match self {
            Self::Etcd | Self::EtcdFull | Self::Postgres | Self::Identity => true,
            Self::Records | Self::Tenants | Self::Unknown => false,
        }
    }

    /// What a person does about it, where that is known.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::EtcdFull => Some(
                "free space with `etcdctl compact` and `etcdctl defrag`, or raise --quota-backend-bytes; then \
                 `etcdctl alarm disarm`",
            ),
            Self::Records => Some(
                "write the value back that was there, or stop the node, delete the key, and start the node again",
            ),
            Self::Identity => Some(
                "correct --etcd, --cluster or --database-url; or, if they are meant, stop the other cluster and start \
                 one coordinator with --adopt-store",
            ),
            Self::Etcd | Self::Postgres | Self::Tenants | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written_and_one_of_a_later_version_is_read() {
        for kind in ComplaintKind::KNOWN {
            assert_eq!(ComplaintKind::from_written(kind.as_str()), kind);
        }
        assert_eq!(ComplaintKind::from_written("weather"), ComplaintKind::Unknown);
        assert_eq!(Complaint::new(ComplaintKind::Etcd, &"x".repeat(5_000)).reason.len(), 1_000);
    }
}
