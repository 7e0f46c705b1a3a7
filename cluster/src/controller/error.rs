//! What gets in the way of a pass or a term, and the log of it: one line when it begins and one when it is over.

use std::{collections::BTreeSet, error::Error, time::Duration};

use roost_model::{causes, ids::Term};

use crate::{
    ledger::{Complaint, ComplaintKind, LedgerError},
    registry::RegistryError,
};

/// Why a step of a term could not be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControllerError {
    /// Nothing was written: the next pass may fare better.
    #[error(transparent)]
    Registry(RegistryError),
    /// Nothing was written: the next pass may fare better.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The lease was not renewed for a while: nothing new is begun.
    #[error("the lease of the leader's key is close to its end")]
    LeaseInDoubt,
    /// A write without an answer. Ends the term.
    #[error("the outcome of {write} is not known: {reason}")]
    Doubtful { write: &'static str, reason: String },
    /// The leader's key is gone or another's. Ends the term.
    #[error("another controller leads")]
    Superseded,
    /// A node leads only while no coordinator can. Ends the term.
    #[error("a coordinator is there to lead")]
    GivesWay,
    /// Nothing is done, however long it takes, until an operator has said which is right.
    #[error(transparent)]
    Foreign(ForeignStore),
    /// Too long without a pass that succeeded. Ends the term, for another candidate may fare better.
    #[error("no pass has succeeded for {span:?}: {reason}")]
    Stuck { span: Duration, reason: String },
    /// The ledger has seen a later term. Ends the term.
    #[error("the ledger is at term {term}")]
    Deposed { term: Term },
}

impl ControllerError {
    /// Of a call that writes nothing, or that may as well be made again.
    pub(super) fn reading_ledger(error: LedgerError) -> Self {
        match error {
            LedgerError::Unavailable { .. } | LedgerError::Refused { .. } | LedgerError::Corrupt { .. } => {
                Self::Ledger(error)
            }
            LedgerError::Deposed { term } => Self::Deposed { term },
        }
    }

    pub(super) fn writing_ledger(write: &'static str, error: LedgerError) -> Self {
        match error {
            LedgerError::Unavailable { reason } | LedgerError::Corrupt { reason } => {
                Self::Doubtful { write, reason }
            }
            LedgerError::Refused { .. } => Self::Ledger(error),
            LedgerError::Deposed { term } => Self::Deposed { term },
        }
    }

    pub(super) fn writing_registry(write: &'static str, error: RegistryError) -> Self {
        match error {
            RegistryError::Unavailable { reason, .. } => Self::Doubtful { write, reason },
            RegistryError::LeaseLost { .. }
            | RegistryError::Replaced { .. }
            | RegistryError::Refused { .. }
            | RegistryError::Corrupt { .. } => Self::Registry(error),
        }
    }

    /// Whose fault it is.
    pub(super) fn dependency(&self) -> Dependency {
        match self {
            Self::Ledger(_) | Self::Deposed { .. } => Dependency::Ledger,
            Self::Registry(RegistryError::Corrupt { .. }) => Dependency::Records,
            Self::Foreign(_) => Dependency::Identity,
            Self::Registry(_)
            | Self::LeaseInDoubt
            | Self::Doubtful { .. }
            | Self::Superseded
            | Self::GivesWay
            | Self::Stuck { .. } => Dependency::Etcd,
        }
    }

    /// What operators are told of it; nothing of one that only says that somebody else leads, or that sums up what they were
    /// told before.
    pub(super) fn complaint(&self) -> Option<Complaint> {
        let kind = match self {
            Self::Superseded | Self::GivesWay | Self::Deposed { .. } | Self::Stuck { .. } => return None,
            Self::Registry(error) if error.is_out_of_space() => ComplaintKind::EtcdFull,
            Self::Registry(_)
            | Self::LeaseInDoubt
            | Self::Doubtful { .. }
            | Self::Ledger(_)
            | Self::Foreign(_) => self.dependency().complaint_kind(),
        };
        Some(Complaint::new(kind, &causes(self).to_string()))
    }

    pub(super) fn ends_the_term(&self) -> bool {
        match self {
            Self::Doubtful { .. }
            | Self::Superseded
            | Self::GivesWay
            | Self::Stuck { .. }
            | Self::Deposed { .. }
            | Self::Registry(RegistryError::Replaced { .. }) => true,
            Self::Registry(_) | Self::Ledger(_) | Self::LeaseInDoubt | Self::Foreign(_) => false,
        }
    }
}

/// The registry and the database are not those of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ForeignStore {
    #[error(
        "this etcd belongs to the cluster {cluster} with the database {theirs}, and the database given here is {ours}"
    )]
    Database { cluster: String, theirs: String, ours: String },
    #[error("the database belongs to the cluster {cluster} in another etcd, where {holder} leads")]
    Alive { cluster: String, holder: String },
}

/// What the controller depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dependency {
    Etcd,
    Ledger,
    /// What is written in the registry can be read.
    Records,
    /// Registry and ledger belong to each other.
    Identity,
}

impl Dependency {
    fn complaint_kind(self) -> ComplaintKind {
        match self {
            Self::Etcd => ComplaintKind::Etcd,
            Self::Ledger => ComplaintKind::Postgres,
            Self::Records => ComplaintKind::Records,
            Self::Identity => ComplaintKind::Identity,
        }
    }
}

/// Which dependencies fail now, so that each change is logged once.
pub(super) struct DependencyHealth {
    failing: BTreeSet<Dependency>,
}

impl DependencyHealth {
    pub(super) fn new() -> Self {
        Self { failing: BTreeSet::new() }
    }

    pub(super) fn failed(&mut self, dependency: Dependency, error: &(dyn Error + 'static)) {
        if !self.failing.insert(dependency) {
            return;
        }
        let remedy = dependency.complaint_kind().remedy();
        match dependency {
            Dependency::Etcd | Dependency::Ledger => {
                tracing::warn!(?dependency, error = %causes(error), "the controller waits for a dependency");
            }
            Dependency::Records => {
                tracing::error!(error = %causes(error), remedy, "the controller cannot go on: a record in etcd is damaged and has to be removed or mended")
            }
            Dependency::Identity => {
                tracing::error!(error = %causes(error), remedy, "the controller does nothing: etcd and database are not of one cluster")
            }
        }
    }

    /// Whether it had been failing.
    pub(super) fn recovered(&mut self, dependency: Dependency) -> bool {
        let was_failing = self.failing.remove(&dependency);
        if was_failing {
            tracing::info!(?dependency, "the dependency is back");
        }
        was_failing
    }
}
