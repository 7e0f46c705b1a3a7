//! A session that is later than its owner: what it was saved or used under is a generation that the database has not given
//! yet, so the database has gone back. Such an owner could save nothing, and its session might not be the newest.

use roost_model::{causes, ids::Generation};

use super::{LockedProfile, SessionError, SnapshotRef, SnapshotStore};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterSession {
    pub generation: Generation,
    /// The newest snapshot, if it is later; none if it cannot be read.
    pub snapshot: Option<SnapshotRef>,
}

impl LockedProfile {
    /// Looks at the profile and at the snapshots. An object store that is away is no obstacle to a start: what is there is
    /// found when the first snapshot is refused.
    pub async fn later_session(
        &self,
        snapshots: &SnapshotStore,
        ours: Generation,
    ) -> Result<Option<LaterSession>, SessionError> {
        let saved = match snapshots.manifests(self.uid()).await {
            Ok(names) => names.into_iter().next_back().filter(|name| name.generation > ours),
            Err(error @ SessionError::Store { .. }) => {
                tracing::debug!(error = %causes(&error), "whether there are later snapshots is not known");
                None
            }
            Err(error) => return Err(error),
        };
        let used = self.stamp().map(|stamp| stamp.generation).filter(|used| *used > ours);
        let Some(generation) = used.max(saved.as_ref().map(|name| name.generation)) else { return Ok(None) };
        let snapshot = match saved {
            Some(name) => snapshots.readable(&name).await?.map(|manifest| manifest.reference()),
            None => None,
        };
        Ok(Some(LaterSession { generation, snapshot }))
    }
}
