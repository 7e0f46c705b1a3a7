//! How connections are made: as the URL says, with the password that a file says when each is made.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use roost_model::causes;
use roost_secrets::WatchedFiles;
use sqlx::{PgPool, postgres::PgConnectOptions};

use crate::StoreError;

/// Cheap to clone; all clones share one look at the file.
#[derive(Clone)]
pub(crate) struct Connecting(Arc<Inner>);

struct Inner {
    /// Without the file's password.
    url: PgConnectOptions,
    password: Option<Mutex<Password>>,
}

struct Password {
    file: PathBuf,
    watched: WatchedFiles,
    options: PgConnectOptions,
    /// Whether the pool makes its connections with another one.
    is_untold: bool,
}

impl Connecting {
    pub fn new(url: PgConnectOptions, password_file: Option<PathBuf>) -> Result<Self, StoreError> {
        let password = password_file.map(|file| {
            let watched = WatchedFiles::new(vec![file.clone()]);
            let options = with_password(&url, &file).map_err(|error| StoreError::Unusable {
                what: format!("--database-password-file is not usable: {error}"),
            })?;
            Ok(Mutex::new(Password { file, watched, options, is_untold: false }))
        });
        Ok(Self(Arc::new(Inner { url, password: password.transpose()? })))
    }

    /// For a connection that is made now.
    pub fn options(&self) -> PgConnectOptions {
        match &self.0.password {
            None => self.0.url.clone(),
            Some(password) => {
                let mut password = password.lock();
                self.look(&mut password);
                password.options.clone()
            }
        }
    }

    /// Has a pool make its next connections with a password that has changed.
    pub fn tell(&self, pool: &PgPool) {
        if let Some(password) = &self.0.password {
            let mut password = password.lock();
            self.look(&mut password);
            if std::mem::take(&mut password.is_untold) {
                pool.set_connect_options(password.options.clone());
            }
        }
    }

    /// A file that cannot be read changes nothing.
    fn look(&self, password: &mut Password) {
        if !password.watched.have_changed() {
            return;
        }
        match with_password(&self.0.url, &password.file) {
            Ok(options) => {
                password.options = options;
                password.is_untold = true;
            }
            Err(error) => {
                tracing::warn!(error = %causes(&error), "the database's password cannot be read anew, the one of before goes on");
            }
        }
    }
}

fn with_password(
    url: &PgConnectOptions,
    file: &std::path::Path,
) -> Result<PgConnectOptions, roost_secrets::SecretFileError> {
    let text = roost_secrets::read(file)?;
    // A line end is an editor's.
    Ok(url.clone().password(text.trim_end_matches(['\r', '\n'])))
}
