//! What a snapshot consists of. The manifest is sealed as the blobs are: it tells how large a session is and when it was
//! last used.

use roost_model::{
    causes,
    ids::{Generation, SessionNumber},
};
use roost_store::SnapshotPointer;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::SessionError;

/// Names a snapshot; this is what the pointer row in Postgres holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRef {
    /// The object, `<uid>/manifests/<generation>-<sequence>.json`.
    pub manifest: String,
    pub generation: Generation,
    pub sequence: i64,
    /// Taken from a browser that had closed by itself.
    pub clean: bool,
    pub taken_at: OffsetDateTime,
}

impl From<SnapshotPointer> for SnapshotRef {
    fn from(pointer: SnapshotPointer) -> Self {
        let SnapshotPointer { manifest, generation, sequence, clean, at } = pointer;
        Self { manifest, generation, sequence, clean, taken_at: at }
    }
}

impl From<SnapshotRef> for SnapshotPointer {
    fn from(reference: SnapshotRef) -> Self {
        let SnapshotRef { manifest, generation, sequence, clean, taken_at } = reference;
        Self { manifest, generation, sequence, clean, at: taken_at }
    }
}

/// The content of a manifest object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub version: u32,
    pub uid: Uuid,
    pub generation: Generation,
    pub sequence: i64,
    /// Of which session of the tenant it is; those of before sessions had numbers are of the first.
    #[serde(default = "SessionNumber::first")]
    pub session: SessionNumber,
    pub clean: bool,
    #[serde(with = "time::serde::timestamp::milliseconds")]
    pub taken_at: OffsetDateTime,
    pub files: Vec<FileEntry>,
    /// JSON of [`roost_engine::LocalStorage`]. The files of a clean snapshot hold it too; there it is for a browser that has
    /// opened its own files before these came.
    pub local_storage: Option<FileEntry>,
}

/// A file: its blobs one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    /// Relative to the browser's user data directory, with '/'.
    pub path: String,
    pub size: u64,
    pub sha256: String,
    /// Names of blobs of the manifest's own generation.
    pub blobs: Vec<String>,
}

/// The form described here; a reader refuses others.
pub(super) const VERSION: u32 = 1;

impl Manifest {
    pub(super) fn encode(&self) -> Result<Vec<u8>, SessionError> {
        serde_json::to_vec(self)
            .map_err(|error| self.corrupt(format!("it cannot be written: {}", causes(&error))))
    }

    /// Refuses a manifest that is not the one named.
    pub(super) fn decode(name: &ManifestName, plain: &[u8]) -> Result<Self, SessionError> {
        let corrupt = |reason| SessionError::Corrupt { object: name.object(), reason };
        let manifest: Self =
            serde_json::from_slice(plain).map_err(|error| corrupt(causes(&error).to_string()))?;
        if manifest.version != VERSION {
            return Err(corrupt(format!("version {} is not known", manifest.version)));
        }
        if manifest.name() != *name {
            return Err(corrupt(format!("it says that it is {}", manifest.name().object())));
        }
        Ok(manifest)
    }

    pub(super) fn name(&self) -> ManifestName {
        ManifestName { uid: self.uid, generation: self.generation, sequence: self.sequence }
    }

    pub(super) fn reference(&self) -> SnapshotRef {
        SnapshotRef {
            manifest: self.name().object(),
            generation: self.generation,
            sequence: self.sequence,
            clean: self.clean,
            taken_at: self.taken_at,
        }
    }

    /// Every blob it needs.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &str> {
        self.files.iter().chain(&self.local_storage).flat_map(|file| file.blobs.iter().map(String::as_str))
    }

    fn corrupt(&self, reason: String) -> SessionError {
        SessionError::Corrupt { object: self.name().object(), reason }
    }
}

const MANIFEST: &str = ".json";

/// Which snapshot of which tenant. The derived order within a tenant is age, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ManifestName {
    pub uid: Uuid,
    pub generation: Generation,
    pub sequence: i64,
}

impl ManifestName {
    pub(super) fn object(&self) -> String {
        format!("{}{}", self.stem(), MANIFEST)
    }

    /// `None` for an object that is no manifest.
    pub(super) fn parse(object: &str) -> Option<Self> {
        Self::parse_with(object, MANIFEST)
    }

    pub(super) fn stem(&self) -> String {
        format!("{}/manifests/{}-{}", self.uid, self.generation, self.sequence)
    }

    /// Of an object that is named like a manifest and ends like this.
    pub(super) fn parse_with(object: &str, ending: &str) -> Option<Self> {
        let (uid, name) = object.split_once("/manifests/")?;
        let (generation, sequence) = name.strip_suffix(ending)?.split_once('-')?;
        Some(Self {
            uid: uid.parse().ok()?,
            generation: Generation(generation.parse().ok()?),
            sequence: sequence.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_names_sort_by_age() {
        let name = |generation, sequence| ManifestName {
            uid: Uuid::nil(),
            generation: Generation(generation),
            sequence,
        };
        assert_eq!(ManifestName::parse(&name(12, 3).object()), Some(name(12, 3)));
        assert_eq!(ManifestName::parse("x/manifests/1-2.json"), None);
        assert_eq!(ManifestName::parse(&format!("{}/blobs/1/ab", Uuid::nil())), None);
        assert!(name(2, 9) < name(10, 1), "numbers, not text, are compared");
        assert!(name(10, 1) < name(10, 2));
    }
}
