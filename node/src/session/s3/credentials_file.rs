//! Keys in a file of the form that Amazon's programs read. It may be written anew while the node runs: the next look takes what is
//! in it then.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use object_store::{CredentialProvider, aws::AwsCredential};
use parking_lot::Mutex;

use super::error::S3ConfigError;
use crate::blocking::run_blocking;

/// From one look to the next, if there are calls.
const EVERY: Duration = Duration::from_secs(30);
const SECTION: &str = "default";
const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

#[derive(Debug)]
pub(super) struct CredentialsFile {
    path: PathBuf,
    last: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl CredentialsFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::new(None) }
    }
}

#[async_trait]
impl CredentialProvider for CredentialsFile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let last = self.last.lock().clone();
        if let Some((read_at, credential)) = last
            && read_at.elapsed() < EVERY
        {
            return Ok(credential);
        }
        let path = self.path.clone();
        let credential = run_blocking(move || read(&path)).await;
        let credential = Arc::new(
            credential.map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?,
        );
        *self.last.lock() = Some((Instant::now(), credential.clone()));
        Ok(credential)
    }
}

/// The section `[default]`, or what stands before any section.
pub(super) fn read(path: &Path) -> Result<AwsCredential, S3ConfigError> {
    let text = roost_secrets::read(path)?;
    let mut is_ours = true;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_ours = section.trim_end_matches(']').trim() == SECTION;
        } else if let (true, Some((key, value))) = (is_ours, line.split_once('=')) {
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match key.trim() {
                ID => id = value,
                SECRET => secret = value,
                TOKEN => token = value,
                _ => {}
            }
        }
    }
    let missing = |key| S3ConfigError::IncompleteFile { path: path.to_owned(), key };
    let key_id = id.ok_or_else(|| missing(ID))?;
    Ok(AwsCredential { key_id, secret_key: secret.ok_or_else(|| missing(SECRET))?, token })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::OpenOptionsExt};

    use super::*;

    fn write(path: &Path, text: &str) {
        use std::io::Write;
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn only_the_default_section_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        let text = "# ours\n[other]\naws_access_key_id=them\n\n[default]\naws_access_key_id = us\n\
                    aws_secret_access_key = se=same\nregion = x\n[last]\naws_session_token = t\n";
        write(&path, text);
        let read = read(&path).unwrap();
        assert_eq!((read.key_id.as_str(), read.secret_key.as_str(), read.token), ("us", "se=same", None));
    }

    #[tokio::test]
    async fn what_is_in_the_file_now_is_taken_at_the_next_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        write(&path, "aws_access_key_id=a\naws_secret_access_key=x");
        let file = CredentialsFile::new(path.clone());
        assert_eq!(file.get_credential().await.unwrap().key_id, "a");
        write(&path, "aws_access_key_id=b\naws_secret_access_key=x");
        assert_eq!(file.get_credential().await.unwrap().key_id, "a", "it is not read for every call");
        if let Some((read_at, _)) = &mut *file.last.lock() {
            *read_at -= EVERY;
        }
        assert_eq!(file.get_credential().await.unwrap().key_id, "b");
    }
}
