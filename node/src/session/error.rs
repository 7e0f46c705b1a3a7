//! Why a session could not be saved or brought back.

use std::io;
use std::path::PathBuf;

use roost_engine::EngineError;
use roost_model::ids::Generation;
use roost_secrets::SecretFileError;

use super::s3::{S3ConfigError, answer};

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("{step} failed at {}", path.display())]
    Disk {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another process of this machine uses the profile.
    #[error("the profile at {} is in use{}", path.display(), holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse { path: PathBuf, holder: Option<u32> },
    /// Browsers would find it out one by one, and not say it as well.
    #[error("the browsers' user {user} may not pass through {}: open it to others (chmod o+x), keep the state \
        elsewhere, or run browsers as another user (--browser-user)", path.display())]
    Closed { path: PathBuf, user: String },
    #[error("{step} failed in the object store")]
    Store {
        step: &'static str,
        #[source]
        source: object_store::Error,
    },
    #[error("the snapshot has no object {object}")]
    Missing { object: String },
    /// Torn or altered: its key is here and does not open it.
    #[error("the object {object} is damaged")]
    Sealed { object: String },
    /// It may be whole.
    #[error("the object {object} was encrypted with {key}, which is not in --snapshot-key-file")]
    UnknownKey { object: String, key: String },
    /// It may be whole.
    #[error(
        "the object {object} is of version {version}, which this program does not know: a newer one has written it"
    )]
    UnknownVersion { object: String, version: u32 },
    /// It decrypts, but what it holds is not what the manifest says.
    #[error("the object {object} is not what its manifest says: {reason}")]
    Corrupt { object: String, reason: String },
    /// A browser would throw this database away.
    #[error("the database {} is not whole: {reason}", database.display())]
    Torn { database: PathBuf, reason: String },
    /// Nothing of it is saved.
    #[error("{what} has {bytes} bytes, and {limit} is the most that is saved")]
    TooLarge { what: String, bytes: u64, limit: u64 },
    /// A later owner has saved already; this one is deposed (I2).
    #[error("generation {ours} cannot save a snapshot: generation {newest} has")]
    Superseded { ours: Generation, newest: Generation },
    #[error(transparent)]
    KeyFile(#[from] SecretFileError),
    #[error("the snapshot key {reason}")]
    Key { reason: String },
    #[error("the object store {given:?} is neither a directory, nor a file:// URL, nor s3://BUCKET/PREFIX")]
    UnknownStore { given: String },
    #[error(transparent)]
    S3(#[from] S3ConfigError),
    /// Snapshots of two owners could take each other's place.
    #[error("sessions are not safe in the object store: {0}; use another server, or another version of it")]
    Unfit(#[from] Unfit),
    #[error("the object store has not shown yet that sessions are safe in it")]
    Unproven,
    #[error(transparent)]
    Page(#[from] EngineError),
    /// The profile has no session yet: nothing to save.
    #[error("the profile at {} holds no session", path.display())]
    Empty { path: PathBuf },
}

impl SessionError {
    /// Whether it shows that something of the session is damaged, if it is so when asked again: not what cannot be read for now,
    /// or not with the keys that are here.
    pub fn shows_damage(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Sealed { .. } | Self::Corrupt { .. } | Self::Torn { .. } => true,
            Self::Disk { .. }
            | Self::InUse { .. }
            | Self::Closed { .. }
            | Self::Store { .. }
            | Self::UnknownKey { .. }
            | Self::UnknownVersion { .. }
            | Self::TooLarge { .. }
            | Self::Superseded { .. }
            | Self::KeyFile(_)
            | Self::Key { .. }
            | Self::UnknownStore { .. }
            | Self::S3(_)
            | Self::Unfit(_)
            | Self::Unproven
            | Self::Page(_)
            | Self::Empty { .. } => false,
        }
    }

    /// The object store answers, and no waiting makes it usable.
    pub fn shows_wrong_store(&self) -> bool {
        match self {
            Self::Unfit(_) => true,
            Self::Store { source, .. } => answer::is_of_settings(source),
            _ => false,
        }
    }

    /// For `map_err` on disk operations.
    pub(super) fn disk(step: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { step, path, source }
    }

    /// For `map_err` on the object store; an object that is not there has a name of its own.
    pub(super) fn store(step: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| match answer::explained(source) {
            object_store::Error::NotFound { path, .. } => Self::Missing { object: path },
            source => Self::Store { step, source },
        }
    }
}

/// What a store must do and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "it puts an object where there is one although asked to put it only where there is none (If-None-Match)"
    )]
    PutsOver,
    #[error("it does not know how to put an object only where there is none (If-None-Match)")]
    NoPutIfAbsent,
    #[error("it replaces an object although asked to replace only another version of it (If-Match)")]
    ReplacesAnother,
    #[error("it does not replace an object of which the version is given (If-Match)")]
    NoReplace,
    #[error("what was put is not what is read at once")]
    NotRead,
    #[error("what was put is not listed at once")]
    NotListed,
    #[error("what was removed is still there")]
    NotRemoved,
}
