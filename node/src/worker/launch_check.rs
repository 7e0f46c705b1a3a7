//! What a launch needs, what can stand in its way, and how it is called off.

use roost_cluster::lease_deadline::Standing;
use roost_engine::EngineError;
use roost_store::{ConditionKind, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

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
    #[error("the browser could not be launched")]
    Engine(#[from] EngineError),
}

impl LaunchError {
    /// What another attempt waits for.
    pub fn waits_for(&self) -> ConditionKind {
        match self {
            Self::Session(SessionError::Store { .. }) | Self::Store(_) => ConditionKind::WaitingForStore,
            Self::Engine(EngineError::Unreachable { .. }) => ConditionKind::WaitingForWhatsapp,
            Self::Session(_) | Self::NoStanding | Self::CalledOff | Self::Cold | Self::Engine(_) => {
                ConditionKind::Healing
            }
        }
    }

    pub fn is_called_off(&self) -> bool {
        matches!(self, Self::CalledOff | Self::Engine(EngineError::Cancelled))
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
    use roost_model::ids::{Generation, TenantId};

    use super::*;

    #[test]
    fn each_failure_of_a_launch_waits_for_what_stood_in_its_way() {
        use ConditionKind::{Healing, WaitingForStore, WaitingForWhatsapp};

        let source = object_store::Error::Generic { store: "files", source: "gone".into() };
        let object_store = SessionError::Store { step: "reading", source };
        let damaged = SessionError::Sealed { object: "x".into() };
        let database = StoreError::Fenced { tenant: TenantId::new("x").unwrap(), generation: Generation(1) };
        let site = EngineError::Unreachable { reason: "net::ERR_NAME_NOT_RESOLVED".into() };
        let failures = [
            (LaunchError::Session(object_store), WaitingForStore),
            (LaunchError::Store(database), WaitingForStore),
            (LaunchError::Engine(site), WaitingForWhatsapp),
            (LaunchError::Session(damaged), Healing),
            (LaunchError::Engine(EngineError::Gone), Healing),
            (LaunchError::NoStanding, Healing),
            (LaunchError::CalledOff, Healing),
            (LaunchError::Cold, Healing),
        ];
        for (failure, waits_for) in failures {
            assert_eq!(failure.waits_for(), waits_for, "{failure}");
        }
    }
}
