//! What a snapshot consists of. The manifest is sealed as the blobs are: it tells how large a session is and when it was
//! last used.

use roost_model::{
    causes,
    ids::{Generation, SessionNumber},
};
use roost_store::{SnapshotId, SnapshotPointer};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::SessionError;
use super::crypto::Checksum;

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
    /// Of its files; the pointer row does not have it.
    pub bytes: Option<u64>,
}

impl From<SnapshotPointer> for SnapshotRef {
    fn from(pointer: SnapshotPointer) -> Self {
        let SnapshotPointer { manifest, generation, sequence, clean, at, bytes } = pointer;
        Self { manifest, generation, sequence, clean, taken_at: at, bytes }
    }
}

impl From<SnapshotRef> for SnapshotPointer {
    fn from(reference: SnapshotRef) -> Self {
        let SnapshotRef { manifest, generation, sequence, clean, taken_at, bytes } = reference;
        Self { manifest, generation, sequence, clean, at: taken_at, bytes }
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
    /// Names of blobs, `<generation>/<hash>-<sequence>`: those of the manifest's own generation, and of the manifest that its
    /// owner began from.
    pub blobs: Vec<String>,
}

impl FileEntry {
    /// Refuses content that is not the file's.
    pub(super) fn check(&self, of: &ManifestName, content: &Checksum) -> Result<(), SessionError> {
        if content.size() == self.size && content.sha256() == self.sha256 {
            return Ok(());
        }
        let reason = format!("the file {} does not have the size and checksum recorded", self.path);
        Err(SessionError::Corrupt { object: of.object(), reason })
    }
}

/// The form described here.
pub(super) const VERSION: u32 = 2;
/// The form of before: names of blobs are without the generation, which is the manifest's. It is read, and not written.
const WITHIN_GENERATION: u32 = 1;

impl Manifest {
    pub(super) fn encode(&self) -> Result<Vec<u8>, SessionError> {
        serde_json::to_vec(self)
            .map_err(|error| self.corrupt(format!("it cannot be written: {}", causes(&error))))
    }

    /// Refuses a manifest that is not the one named.
    pub(super) fn decode(name: &ManifestName, plain: &[u8]) -> Result<Self, SessionError> {
        let corrupt = |reason| SessionError::Corrupt { object: name.object(), reason };
        let mut manifest: Self =
            serde_json::from_slice(plain).map_err(|error| corrupt(causes(&error).to_string()))?;
        match manifest.version {
            VERSION => {}
            WITHIN_GENERATION => manifest.name_generation(),
            // It may be whole, and so it is not passed over.
            version => return Err(SessionError::UnknownVersion { object: name.object(), version }),
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
            bytes: Some(self.files.iter().map(|file| file.size).sum()),
        }
    }

    /// Every blob it needs.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &str> {
        self.files.iter().chain(&self.local_storage).flat_map(|file| file.blobs.iter().map(String::as_str))
    }

    fn name_generation(&mut self) {
        self.version = VERSION;
        for blob in self.files.iter_mut().chain(&mut self.local_storage).flat_map(|file| &mut file.blobs) {
            *blob = format!("{}/{blob}", self.generation);
        }
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

    pub(super) fn is(&self, id: &SnapshotId) -> bool {
        (self.generation, self.sequence) == (id.generation, id.sequence)
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
    fn a_manifest_of_before_names_blobs_of_its_own_generation_and_an_unknown_one_is_no_damage() {
        let uid = Uuid::nil();
        let name = ManifestName { uid, generation: Generation(3), sequence: 1 };
        let text = |version: u32| {
            format!(
                r#"{{"version":{version},"uid":"{uid}","generation":3,"sequence":1,"clean":true,"taken_at":0,
                "files":[{{"path":"x","size":1,"sha256":"","blobs":["ab-1"]}}],"local_storage":null}}"#
            )
        };
        let before = Manifest::decode(&name, text(1).as_bytes()).unwrap();
        assert_eq!(before.blobs().collect::<Vec<_>>(), ["3/ab-1"]);
        assert_eq!(Manifest::decode(&name, &before.encode().unwrap()).unwrap(), before);
        let unknown = Manifest::decode(&name, text(3).as_bytes()).unwrap_err();
        assert!(!unknown.shows_damage(), "{unknown}");
    }

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
