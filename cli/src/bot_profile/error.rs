//! Why a profile cannot be sent.

use std::{io, path::PathBuf};

/// Why a directory is not taken for a bot's profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error(
        "{dir} is no profile of whatsapp-web.js: give the directory that has `Default` in it (LocalAuth's dataPath/session, or \
         dataPath/session-CLIENTID)", dir = .dir.display()
    )]
    NotAProfile { dir: PathBuf },
    #[error("{dir} is in use by process {pid}: stop the bot first", dir = .dir.display())]
    InUse { dir: PathBuf, pid: String },
    #[error(
        "{lock} says that process {pid} on {host} uses the profile: stop the bot there first; if it has ended, or this is a copy of \
         a profile of before, remove that link", lock = .lock.display()
    )]
    InUseElsewhere { lock: PathBuf, host: String, pid: String },
    #[error("the database {database} is not whole: {reason}; copy the profile anew, with its bot stopped", database = .database.display())]
    Torn { database: PathBuf, reason: String },
    #[error("{what} has {bytes} bytes, and {limit} is the most that is taken")]
    TooLarge { what: String, bytes: u64, limit: u64 },
    #[error("{path} has changed while it was sent: stop the bot first", path = .path.display())]
    Changed { path: PathBuf },
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

impl ProfileError {
    pub(super) fn unreadable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Unreadable { path, source }
    }
}
