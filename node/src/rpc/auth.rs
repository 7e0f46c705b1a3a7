//! The cluster's secret, asked for on every call where no certificate has been.
//!
//! Around the whole server and not on each service, so that a service that is added later is closed too.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_proto::error::{ApiError, ErrorCode};
use roost_secrets::ClusterSecret;
use tonic::{Request, Status, service::Interceptor};

/// Between two lines of the log about callers that are refused.
const TELL_EVERY: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(super) struct SecretCheck {
    /// None where TLS lets in coordinators alone.
    secret: Option<ClusterSecret>,
    refused: Arc<Mutex<Refused>>,
}

/// What of it the log does not have yet.
#[derive(Default)]
struct Refused {
    calls: u64,
    told_at: Option<Instant>,
}

impl SecretCheck {
    pub(super) fn new(secret: Option<ClusterSecret>) -> Self {
        Self { secret, refused: Arc::default() }
    }

    fn admit(&self, authorization: Option<&str>) -> Result<(), ApiError> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let refused = |message: &str| Err(ApiError::new(ErrorCode::Unauthenticated, message));
        let given = authorization.and_then(|value| value.strip_prefix("Bearer "));
        match given {
            None => refused("there is no cluster secret: only programs of this node's cluster are answered"),
            Some(given) if secret.is(given) => Ok(()),
            Some(_) => refused(
                "the cluster secret is another than this node's: give every node and coordinator of a cluster the same \
                 --cluster-secret-file",
            ),
        }
    }

    fn note_refusal(&self) {
        let mut refused = self.refused.lock();
        refused.calls += 1;
        if refused.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            let calls = std::mem::take(&mut refused.calls);
            refused.told_at = Some(Instant::now());
            tracing::warn!(calls, "calls without this cluster's secret were refused");
        }
    }
}

impl Interceptor for SecretCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let given = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        self.admit(given).inspect_err(|_| self.note_refusal())?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn only_the_clusters_secret_is_admitted_and_a_refusal_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let (path, text) = (dir.path().join("secret"), "5".repeat(64));
        fs::write(&path, &text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let check = SecretCheck::new(Some(ClusterSecret::from_file(&path).unwrap()));
        assert_eq!(check.admit(Some(&format!("Bearer {text}"))), Ok(()));
        let wrong = format!("Bearer {}", "6".repeat(64));
        for (given, said) in [
            (None, "there is no cluster secret"),
            (Some(text.as_str()), "there is no cluster secret"),
            (Some("Bearer "), "--cluster-secret-file"),
            (Some(wrong.as_str()), "--cluster-secret-file"),
        ] {
            let error = check.admit(given).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthenticated, "{given:?}");
            assert!(error.message.contains(said), "{given:?}: {}", error.message);
        }
    }
}
