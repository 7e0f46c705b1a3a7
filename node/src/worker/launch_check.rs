//! What a launch needs, and what can stand in its way.

use roost_cluster::lease_deadline::Standing;
use roost_engine::EngineError;
use tokio::sync::watch;

use crate::session::SessionError;

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("the session could not be made ready")]
    Session(#[from] SessionError),
    #[error("the node's lease ran out before the browser was launched")]
    NoStanding,
    #[error("the session can only be opened by a browser that starts with it")]
    Cold,
    #[error("the browser could not be launched")]
    Engine(#[from] EngineError),
}

/// Whether the node may begin something; waits while that is open.
pub(super) async fn may_launch(standing: &mut watch::Receiver<Standing>) -> bool {
    let decided = standing.wait_for(|standing| *standing != Standing::SoftStop).await;
    decided.is_ok_and(|standing| *standing == Standing::Good)
}
