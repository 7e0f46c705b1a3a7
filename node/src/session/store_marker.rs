//! Which object store this is: a sealed object at its top says so. It is made once, for the database that had no store yet; what
//! was found in a store without it, or with another, is not the sessions of this cluster. Being sealed, it also shows that the
//! node has the key.

use object_store::{PutMode, UpdateVersion};
use roost_model::causes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{SessionError, SnapshotStore};

const MARKER: &str = "marker";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreMarker {
    pub id: Uuid,
    /// The database for which the store was taken into use.
    pub database: Uuid,
}

impl SnapshotStore {
    /// None where there is none.
    pub async fn marker(&self) -> Result<Option<StoreMarker>, SessionError> {
        Ok(self.read_marker().await?.map(|(marker, _)| marker))
    }

    async fn read_marker(&self) -> Result<Option<(StoreMarker, UpdateVersion)>, SessionError> {
        match self.objects().get_version(MARKER).await {
            Err(SessionError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok((content, version)) => match serde_json::from_slice(&content) {
                Ok(marker) => Ok(Some((marker, version))),
                Err(error) => Err(SessionError::Corrupt {
                    object: MARKER.to_owned(),
                    reason: causes(&error).to_string(),
                }),
            },
        }
    }

    /// Where there is none; of two who do this at a time both get the one that there is then.
    pub async fn make_marker(&self, database: Uuid) -> Result<StoreMarker, SessionError> {
        let marker = StoreMarker { id: Uuid::now_v7(), database };
        match self.put_marker(&marker, PutMode::Create).await {
            Err(error @ SessionError::Store { source: object_store::Error::AlreadyExists { .. }, .. }) => {
                self.marker().await?.ok_or(error)
            }
            made => made.map(|()| marker),
        }
    }

    /// Under the key that is current now. Another one that has come in its place stays.
    pub async fn seal_marker_anew(&self, marker: &StoreMarker) -> Result<(), SessionError> {
        match self.read_marker().await? {
            Some((found, version)) if found == *marker => {
                self.put_marker(marker, PutMode::Update(version)).await
            }
            _ => Ok(()),
        }
    }

    async fn put_marker(&self, marker: &StoreMarker, mode: PutMode) -> Result<(), SessionError> {
        let content = serde_json::to_vec(marker).map_err(|error| SessionError::Corrupt {
            object: MARKER.to_owned(),
            reason: causes(&error).to_string(),
        })?;
        self.objects().put(MARKER, content, mode).await
    }
}
