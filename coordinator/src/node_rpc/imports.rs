//! A profile on its way to the node that stores it.

use roost_model::ids::TenantId;
use roost_proto::internal::{
    ImportSessionRequest, ImportSessionResponse, ProfileDescription, ProfileEnd, ProfileFile,
    import_session_request, import_session_response,
};
use roost_store::Requester;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::{
    refusal::{NodeFailure, refusal},
    status::reason,
};

/// What is imported, and how.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub tenant: TenantId,
    /// The names of the databases in its `Default/IndexedDB`.
    pub databases: Vec<String>,
    pub clean: bool,
    pub digest: String,
    pub replace: bool,
    pub validate_only: bool,
    pub by: Requester,
}

/// What comes of the profile, one after the other.
#[derive(Debug)]
pub enum ProfilePart {
    File { path: String, bytes: u64 },
    Content(Vec<u8>),
    End { files: u32, bytes: u64 },
}

/// What a node says of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportStep {
    /// The files may be sent.
    Accepted {
        database: String,
        max_file_bytes: u64,
        max_total_bytes: u64,
    },
    Imported {
        snapshot: String,
        done_before: bool,
    },
}

/// What comes of the profile goes in here.
#[derive(Debug)]
pub struct ProfileSender(pub(super) mpsc::Sender<ImportSessionRequest>);

impl ProfileSender {
    /// Waits until the node has room. False when it takes no more, and says why in its answers.
    pub async fn send(&self, part: ProfilePart) -> bool {
        self.0.send(part.into()).await.is_ok()
    }
}

/// A node's answers to an import.
#[derive(Debug)]
pub struct NodeImport(pub(super) Streaming<ImportSessionResponse>);

impl NodeImport {
    /// None when it has said all.
    pub async fn next(&mut self) -> Result<Option<ImportStep>, NodeFailure> {
        let told = self.0.message().await.map_err(|status| failure(&status))?;
        Ok(told.and_then(|told| told.part).map(Into::into))
    }
}

fn failure(status: &Status) -> NodeFailure {
    let look = "whether the session is imported `roost session get` says";
    let broken_off = || NodeFailure::BrokenOff { reason: reason(status), look };
    refusal(status).map_or_else(broken_off, NodeFailure::Refused)
}

impl From<ImportRequest> for ImportSessionRequest {
    fn from(request: ImportRequest) -> Self {
        let ImportRequest { tenant, databases, clean, digest, replace, validate_only, by } = request;
        let Requester { name: requested_by, reason } = by;
        let tenant_id = tenant.into();
        let profile = ProfileDescription {
            tenant_id,
            databases,
            clean,
            digest,
            replace,
            validate_only,
            requested_by,
            reason,
        };
        Self { part: Some(import_session_request::Part::Profile(profile)) }
    }
}

impl From<ProfilePart> for ImportSessionRequest {
    fn from(part: ProfilePart) -> Self {
        use import_session_request::Part;
        let part = match part {
            ProfilePart::File { path, bytes } => Part::File(ProfileFile { path, size_bytes: bytes }),
            ProfilePart::Content(content) => Part::Content(content),
            ProfilePart::End { files, bytes } => Part::End(ProfileEnd { files, size_bytes: bytes }),
        };
        Self { part: Some(part) }
    }
}

impl From<import_session_response::Part> for ImportStep {
    fn from(told: import_session_response::Part) -> Self {
        use import_session_response::Part;
        match told {
            Part::Accepted(accepted) => Self::Accepted {
                database: accepted.database,
                max_file_bytes: accepted.max_file_bytes,
                max_total_bytes: accepted.max_total_bytes,
            },
            Part::Imported(imported) => {
                Self::Imported { snapshot: imported.snapshot_id, done_before: imported.done_before }
            }
        }
    }
}
