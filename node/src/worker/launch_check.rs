//! What a launch needs, what can stand in its way, and how it is called off.

use roost_cluster::lease_deadline::Standing;
use roost_engine::EngineError;
use roost_store::StoreError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fault::Failure;
use crate::session::SessionError;

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("the session could not be made ready")]
    Session(#[from] SessionError),
    #[error("the database could not be told of the session")]
    Store(#[from] StoreError),
    #[error("the node's lease ran out before the browser was launched")]
    NoStanding,
    #[error("the launch was called off")]
    CalledOff,
    #[error("the session can only be opened by a browser that starts with it")]
    Cold,
    /// Nothing is launched.
    #[error(transparent)]
    Way(EngineError),
    #[error("the browser could not be launched")]
    Engine(#[from] EngineError),
}

impl LaunchError {
    /// What has failed, for whose fault it is.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Session(error) => of_session(error),
            Self::Store(_) => Failure::Store,
            Self::NoStanding | Self::CalledOff | Self::Cold => Failure::Node,
            Self::Way(error) | Self::Engine(error) => of_engine(error),
        }
    }

    pub fn is_called_off(&self) -> bool {
        matches!(self, Self::CalledOff | Self::Engine(EngineError::Cancelled))
    }
}

/// Only what is proven to be damaged is the tenant's: what cannot be read may be there, or under another key.
fn of_session(error: &SessionError) -> Failure {
    match error {
        SessionError::Missing { .. }
        | SessionError::Corrupt { .. }
        | SessionError::Sealed { .. }
        | SessionError::Torn { .. }
        | SessionError::Empty { .. } => Failure::Session,
        SessionError::Store { .. }
        | SessionError::Unfit(_)
        | SessionError::Unproven
        | SessionError::UnknownKey { .. }
        | SessionError::UnknownVersion { .. }
        | SessionError::Superseded { .. } => Failure::Store,
        SessionError::Disk { .. }
        | SessionError::TooLarge { .. }
        | SessionError::InUse { .. }
        | SessionError::Closed { .. }
        | SessionError::KeyFile(_)
        | SessionError::Key { .. }
        | SessionError::UnknownStore { .. }
        | SessionError::S3(_) => Failure::Node,
        SessionError::Page(error) => of_engine(error),
    }
}

fn of_engine(error: &EngineError) -> Failure {
    match error {
        EngineError::Unreachable { .. } => Failure::SiteAway,
        EngineError::Proxy { .. } => Failure::ProxyAway,
        EngineError::TimedOut { .. } => Failure::SlowBrowser,
        EngineError::Spawn { .. }
        | EngineError::ForeignLibrary { .. }
        | EngineError::NoVersion { .. }
        | EngineError::Cancelled
        | EngineError::Gone
        | EngineError::NotUnlinked { .. }
        | EngineError::NoPairingCode { .. }
        | EngineError::NoPicture
        | EngineError::PictureTooLarge { .. }
        | EngineError::Ended { .. }
        | EngineError::NoSandbox { .. }
        | EngineError::Refused { .. }
        | EngineError::Page { .. }
        | EngineError::NoDocument { .. }
        | EngineError::Malformed { .. }
        | EngineError::Process { .. } => Failure::Browser,
    }
}

/// Ends a launch that is under way.
#[derive(Debug, Clone, Default)]
pub(super) struct CallOff {
    /// Before its browser starts.
    pub start: CancellationToken,
    /// Wherever it has got to.
    pub browser: CancellationToken,
}

impl CallOff {
    /// Does not wait for `step` any more once the launch is called off.
    pub async fn or<T>(&self, step: impl Future<Output = T>) -> Result<T, LaunchError> {
        tokio::select! {
            biased;
            () = self.start.cancelled() => Err(LaunchError::CalledOff),
            done = step => Ok(done),
        }
    }
}

/// Whether the node may begin something; waits while that is open.
pub(super) async fn may_launch(standing: &mut watch::Receiver<Standing>) -> bool {
    let decided = standing.wait_for(|standing| *standing != Standing::SoftStop).await;
    decided.is_ok_and(|standing| *standing == Standing::Good)
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use roost_engine::ProxyProblem;

    use super::*;

    fn session(error: SessionError) -> Failure {
        LaunchError::from(error).failure()
    }

    fn engine(error: EngineError) -> Failure {
        LaunchError::from(error).failure()
    }

    #[test]
    fn what_stands_in_the_way_of_a_launch_is_its_owners() {
        let object = || "x".to_owned();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let away = object_store::Error::Generic { store: "x", source: "timed out".into() };
        assert_eq!(session(SessionError::Store { step: "reading", source: away }), Failure::Store);
        let unknown = SessionError::UnknownKey { object: object(), key: "k".into() };
        assert_eq!(session(unknown), Failure::Store, "it may be whole");
        assert_eq!(session(SessionError::Sealed { object: object() }), Failure::Session);
        let refused = StoreError::Corrupt { what: "x", reason: "x".into() };
        assert_eq!(LaunchError::from(refused).failure(), Failure::Store);
        let disk = SessionError::Disk { step: "writing", path: "/x".into(), source: full() };
        assert_eq!(session(disk), Failure::Node);
        assert_eq!(LaunchError::NoStanding.failure(), Failure::Node);
        let damage = SessionError::Corrupt { object: object(), reason: "x".into() };
        assert_eq!(session(damage), Failure::Session);
        assert_eq!(session(SessionError::Missing { object: object() }), Failure::Session);
        assert_eq!(engine(EngineError::Unreachable { reason: "x".into() }), Failure::SiteAway);
        let proxy = EngineError::Proxy { proxy: "http://h:1".into(), problem: ProxyProblem::Credentials };
        assert_eq!(LaunchError::Way(proxy).failure(), Failure::ProxyAway);
        let slow = EngineError::TimedOut { step: "attaching", limit: Duration::from_secs(20) };
        assert_eq!(engine(slow), Failure::SlowBrowser);
        assert_eq!(engine(EngineError::Ended { reason: "x".into() }), Failure::Browser);
    }
}
