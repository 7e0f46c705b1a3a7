//! The guards that the simulation can do without, so that it can be seen to miss them.

/// On when true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// A node kills what it runs before its lease can end.
    pub deadline: bool,
    /// A worker's write is refused when its generation is not the newest.
    pub generation: bool,
    /// A write to the ledger is refused when its term is not the newest.
    pub term: bool,
    /// The controller's commits name the leader's key and the revisions that they rest on.
    pub commit: bool,
    /// A node says that a tenant is gone when its browser is dead, and not before.
    pub let_go: bool,
}

impl Guards {
    pub const ALL: Self = Self { deadline: true, generation: true, term: true, commit: true, let_go: true };
}
