//! The guards that the model can do without.

/// On when true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// The guard kills the browser at the node's deadline.
    pub deadline: bool,
    /// A worker's write names its generation.
    pub generation: bool,
    /// A write to the ledger names its term.
    pub term: bool,
    /// A commit of a controller names its leader's key.
    pub leader: bool,
    /// A tenant is acknowledged as gone only when its browser is dead.
    pub let_go: bool,
    /// Nothing is opened for an entry of phase `Preparing`.
    pub preparing: bool,
}

impl Guards {
    pub const ALL: Self =
        Self { deadline: true, generation: true, term: true, leader: true, let_go: true, preparing: true };
}
