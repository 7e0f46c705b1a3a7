//! What can go wrong with a call to the store, by what the caller can do about it.

use roost_cluster::ledger::RefusalKind;
use roost_model::ids::{Generation, InvalidId, NodeId, OperationId, TenantId, Term};
use sqlx::{
    error::DatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};
use time::OffsetDateTime;

use crate::snapshot_id::SnapshotId;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection or no answer in time: the outcome of a write is unknown, and it may be repeated.
    #[error("Postgres is unavailable ({step})")]
    Unavailable { step: &'static str, source: sqlx::Error },
    /// Nothing was written: the tenant has a newer owner, or is gone. The caller stops its worker.
    #[error("generation {generation} of tenant {tenant} is not the newest")]
    Fenced { tenant: TenantId, generation: Generation },
    /// Nothing was written: a later controller's term has begun.
    #[error("deposed: the term is {term}")]
    Deposed { term: Term },
    #[error("there is no {kind} {id:?}")]
    NotFound { kind: &'static str, id: String },
    /// The field must be unique, and another row has this value.
    #[error("{field} {value:?} is taken")]
    AlreadyExists { field: &'static str, value: String },
    /// With what is there already it is more than one tenant may have.
    #[error("{field} would be too large together")]
    TooLarge { field: &'static str },
    /// Nothing was written: more would be kept free for the tenant than it may use.
    #[error("the memory request would be over the memory limit")]
    RequestOverLimit,
    /// Nothing was written: no tenant may be left without it.
    #[error("version {name:?} is in use: by the fleet, by a tenant, or by a rollout that runs")]
    VersionInUse { name: String },
    #[error("there is a version {name:?} already")]
    VersionTaken { name: String },
    #[error("{most} versions are kept already")]
    TooManyVersions { most: i64 },
    #[error("there is a token {name:?} already")]
    TokenNameTaken { name: String },
    #[error("{most} tokens count already")]
    TooManyTokens { most: i64 },
    #[error("{most} invitations stand already")]
    TooManyInvitations { most: i64 },
    /// Of one user.
    #[error("{most} setup requests were submitted within a day")]
    TooManySetupRequests { most: i64 },
    /// Nothing was written.
    #[error("setup request {id} is {state} already")]
    SetupRequestClosed { id: i64, state: &'static str },
    /// Nothing was written.
    #[error("{email} is a user of the cluster already")]
    UserExists { email: String },
    /// Nothing was written: who resets the password of a user of the cluster might become that user.
    #[error("{email} is a user of the cluster")]
    UserOfCluster { email: String },
    /// Nothing was written.
    #[error("there is no {kind} of this name")]
    NoVersion { kind: &'static str },
    /// Nothing was written: of the tenant that had this id not all is removed yet. The same call succeeds when it is.
    #[error("tenant {tenant} is still being deleted")]
    BeingDeleted { tenant: TenantId },
    /// Nothing was written: an operation that runs stands against it.
    #[error("{what}")]
    Conflict { operation: OperationId, what: String },
    /// Nothing was written: who answers in it is another one than the caller knew.
    #[error("chat {chat:?} is {}", match held_by { Some(holder) => format!("held by {holder}"), None => "answered by itself".to_owned() })]
    ChatChanged { chat: String, held_by: Option<String> },
    #[error("{most} codes were asked for in an hour for tenant {tenant}; the next one may be at {again_at}")]
    TooManyPairingCodes { tenant: TenantId, most: i32, again_at: OffsetDateTime },
    #[error("the session of tenant {tenant} is not connected")]
    NotConnected { tenant: TenantId },
    /// Nothing was written.
    #[error("tenant {tenant} cannot go back to the snapshot {snapshot}: {refusal}")]
    NotRestorable { tenant: TenantId, snapshot: SnapshotId, refusal: RestoreRefusal },
    /// Nothing was written.
    #[error("tenant {tenant} takes no session from elsewhere: {refusal}")]
    NotImportable { tenant: TenantId, refusal: ImportRefusal },
    /// A row holds what no version of this program writes.
    #[error("{what} in the database is not readable: {reason}")]
    Corrupt { what: &'static str, reason: String },
    /// The connection URL cannot be used.
    #[error("the database URL cannot be used")]
    Url { source: sqlx::Error },
    /// Found at the first contact: with these settings the database can be used neither now nor later. One sentence that
    /// says what to do.
    #[error("{what}")]
    Unusable { what: String },
    /// Postgres answered and will not do it: wrong password, missing table, a value that a column cannot hold.
    #[error("Postgres refused ({step})")]
    Refused { step: &'static str, source: sqlx::Error },
    /// A message holds any character, and this database does not.
    #[error(
        "the database's encoding is {encoding} and must be UTF8, or messages with other characters could not be stored: \
         create it anew with `createdb --encoding UTF8 --template template0`"
    )]
    Encoding { encoding: String },
    #[error("the migration of the database failed")]
    Migration { source: sqlx::migrate::MigrateError },
}

/// Why a snapshot cannot be gone back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefusal {
    #[error("it is none of the tenant's that are kept")]
    NotListed,
    #[error("it is damaged")]
    Damaged,
    #[error("it was passed over when the tenant went back to one before it, and is not kept any more")]
    PassedOver,
    #[error("it is of a session that has ended since by a log-out, a wipe or another link")]
    OfSessionBefore,
    #[error("the session is being forgotten")]
    BeingForgotten,
}

/// Why a session is not taken over from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    #[error("its worker is to run; stop it first (`roost worker stop`)")]
    ToRun,
    #[error("its worker is still being stopped on {node}; try again when it is")]
    NotStopped { node: NodeId },
    #[error("it has a session; --replace takes the other one in its place")]
    HasSession,
    #[error(
        "its worker was started, or its session has changed, since the import began; look at the tenant, and try again"
    )]
    Changed,
}

impl StoreError {
    /// Sorts an error of the driver by what it means to the caller.
    pub(crate) fn from_driver(step: &'static str, source: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match source {
            E::Database(ref refusal) if !will_pass(refusal.as_ref()) => Self::Refused { step, source },
            E::ColumnDecode { ref index, source: ref reason } => {
                Self::Corrupt { what: "a column", reason: format!("{index} ({step}): {reason}") }
            }
            E::Decode(ref reason) => {
                Self::Corrupt { what: "a column", reason: format!("({step}): {reason}") }
            }
            E::Database(_)
            | E::Io(_)
            | E::Tls(_)
            | E::Protocol(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::BeginFailed => Self::Unavailable { step, source },
            other => Self::Refused { step, source: other },
        }
    }

    /// A person has to change the settings: no waiting mends it.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Unusable { .. })
    }

    /// Other orders came first again and again; nothing was written.
    pub(crate) fn outrun(step: &'static str) -> Self {
        let source = std::io::Error::new(std::io::ErrorKind::WouldBlock, "other orders came first");
        Self::Unavailable { step, source: sqlx::Error::Io(source) }
    }

    pub(crate) fn no_tenant(id: &TenantId) -> Self {
        Self::NotFound { kind: "tenant", id: id.to_string() }
    }

    pub(crate) fn corrupt_id(source: InvalidId) -> Self {
        Self::Corrupt { what: "an id", reason: source.to_string() }
    }

    /// If Postgres has answered, and so written nothing of the statement: it ends with an error before its commit. A session
    /// that Postgres ends says nothing of the commit that may have come before.
    pub fn refusal(&self) -> Option<RefusalKind> {
        let (Self::Unavailable { source, .. } | Self::Refused { source, .. }) = self else { return None };
        let refusal: &PgDatabaseError = source.as_database_error()?.try_downcast_ref()?;
        matches!(refusal.severity(), PgSeverity::Error).then(|| match self {
            Self::Unavailable { .. } => RefusalKind::Passing,
            _ => kind_of(refusal.code()),
        })
    }

    /// Whether Postgres will not have a value of the statement: out of a type's range, too long for an index, against a
    /// constraint. The same statement without that value may be taken.
    pub(crate) fn is_about_values(&self) -> bool {
        let Self::Refused { source: sqlx::Error::Database(refusal), .. } = self else { return false };
        let code = refusal.code();
        // Data exception, integrity constraint violation, program limit exceeded.
        code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
    }

    /// The name of the check that was violated, if that is what went wrong.
    pub(crate) fn check_violation(&self) -> Option<&str> {
        match self {
            Self::Refused { source: sqlx::Error::Database(refusal), .. } if refusal.is_check_violation() => {
                refusal.constraint()
            }
            _ => None,
        }
    }

    /// Whether it is that what it names is not there, or that what it takes away is used.
    pub(crate) fn is_foreign_key_violation(&self) -> bool {
        matches!(self, Self::Refused { source: sqlx::Error::Database(refusal), .. } if refusal.is_foreign_key_violation())
    }

    /// The name of the unique constraint that was violated, if that is what went wrong.
    pub(crate) fn unique_violation(&self) -> Option<&str> {
        match self {
            Self::Refused { source: sqlx::Error::Database(refusal), .. } if refusal.is_unique_violation() => {
                refusal.constraint()
            }
            _ => None,
        }
    }
}

/// Whether Postgres refused for a reason that passes by itself: it is starting, stopping, full, without quorum, or it
/// gave this statement up for another one's sake (its own time limits included).
fn will_pass(refusal: &dyn DatabaseError) -> bool {
    let Some(refusal) = refusal.try_downcast_ref::<PgDatabaseError>() else { return false };
    let code = refusal.code();
    let class = code.get(..2).unwrap_or_default();
    // A statement that does not fit the session: not ended by a pooler, which would be fatal.
    if code == "08P01" && matches!(refusal.severity(), PgSeverity::Error) {
        return false;
    }
    // Connection, insufficient resources, operator intervention, system error.
    matches!(class, "08" | "53" | "57" | "58")
        // Serialization failure, deadlock, lock timeout, a transaction that idled, a server that has become read-only.
        || matches!(code, "40001" | "40P01" | "55P03" | "25P03" | "25006")
}

/// Of a refusal that does not pass by itself, by its SQLSTATE.
fn kind_of(code: &str) -> RefusalKind {
    match (code.get(..2).unwrap_or_default(), code) {
        // A value out of range, a character that is none, a row that is too large, a check, a null.
        ("22" | "54", _) | (_, "23514" | "23502") => RefusalKind::Value,
        // What else is unique or referred to; who may not.
        ("23" | "28", _) | (_, "42501") => RefusalKind::Precondition,
        _ => RefusalKind::Fault,
    }
}
