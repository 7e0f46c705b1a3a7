//! What is made of files, and made anew when they have changed.
//!
//! They are looked at when somebody asks for what they make, at most once a second: a handshake costs a second's first asker a
//! look at the files' times, and nothing runs meanwhile. The files are small and on the machine's own disk, so they are read where
//! they are asked for.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use roost_secrets::WatchedFiles;
use time::OffsetDateTime;

use crate::{expiry::Expiry, material::TlsFileError};

/// What the files make, and until when that holds.
pub(crate) struct Made<T> {
    pub value: Arc<T>,
    /// None of files without a certificate of one's own.
    pub expiry: Option<Expiry>,
}

type Make<T> = Box<dyn Fn() -> Result<Made<T>, TlsFileError> + Send + Sync>;

pub(crate) struct Reloaded<T> {
    make: Make<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    made: Made<T>,
    watched: WatchedFiles,
    /// Why what the files say now is not used.
    unusable: Option<String>,
    has_warned: bool,
}

impl<T> Reloaded<T> {
    pub fn open(files: Vec<PathBuf>, make: Make<T>) -> Result<Self, TlsFileError> {
        let watched = WatchedFiles::new(files);
        let made = make()?;
        let state = State { made, watched, unusable: None, has_warned: false };
        Ok(Self { make, state: Mutex::new(state) })
    }

    /// What the files say, or said when they could be used last.
    pub fn current(&self) -> Arc<T> {
        let mut state = self.state.lock();
        self.look(&mut state);
        state.made.value.clone()
    }

    /// What a person should know of the files; the log has it when it begins to be so.
    pub fn warnings(&self) -> Vec<String> {
        let mut state = self.state.lock();
        self.look(&mut state);
        let expiry = state.made.expiry.as_ref();
        let ending = expiry.and_then(|expiry| expiry.warning(OffsetDateTime::now_utc()));
        match &ending {
            Some(warning) if !state.has_warned => {
                state.has_warned = true;
                tracing::warn!(warning, "a certificate is to be replaced");
            }
            _ => {}
        }
        let unusable = state.unusable.as_ref().map(|reason| {
            format!("{reason}; what the files of TLS said before goes on until they can be used")
        });
        unusable.into_iter().chain(ending).collect()
    }

    fn look(&self, state: &mut State<T>) {
        // What cannot be used is told once, and looked at again when it changes again.
        if !state.watched.have_changed() {
            return;
        }
        match (self.make)() {
            Ok(made) => {
                state.made = made;
                state.unusable = None;
                state.has_warned = false;
                tracing::info!(files = ?state.watched.files(), "the files of TLS have changed and are in use");
            }
            Err(error) => {
                let reason = causes(&error);
                tracing::warn!(
                    error = reason,
                    "the files of TLS have changed and cannot be used, what they said before goes on"
                );
                state.unusable = Some(reason);
            }
        }
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        said.push_str(": ");
        said.push_str(&source.to_string());
        cause = source.source();
    }
    said
}
