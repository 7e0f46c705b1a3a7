//! One profile on its way to the coordinator.

use std::{
    fs::File,
    io::{Read, Take},
    path::PathBuf,
};

use roost_proto::{
    client::Transport,
    v1::{
        ImportAccepted, ImportSessionRequest, ImportSessionResponse, ImportedSession, ProfileDescription,
        ProfileEnd, ProfileFile, import_session_request::Part, import_session_response,
        session_service_client::SessionServiceClient,
    },
};
use tokio::{
    sync::mpsc,
    task::{JoinError, spawn_blocking},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    bot_profile::{self, BotProfile, ProfileError},
    failure::Failure,
    views::ImportView,
};

/// Of a file, in one message; the API takes 1 MiB.
const CHUNK: usize = 256 << 10;
/// Messages that wait to be sent.
const WAITING: usize = 4;

/// How profiles are sent.
#[derive(Clone)]
pub struct Sender {
    pub client: SessionServiceClient<Transport>,
    pub replace: bool,
    pub plan: bool,
    pub requested_by: String,
    pub reason: String,
}

impl Sender {
    /// The session in the profile that is meant by this directory.
    pub async fn send_from(self, tenant: String, dir: PathBuf) -> Result<ImportView, Failure> {
        let whose = tenant.clone();
        let profile = on_disk(move || BotProfile::read(&bot_profile::locate(&dir, &whose)?)).await?;
        self.send(tenant, profile).await
    }

    async fn send(mut self, tenant: String, profile: BotProfile) -> Result<ImportView, Failure> {
        let description = ProfileDescription {
            tenant_id: tenant.clone(),
            databases: profile.databases.clone(),
            clean: profile.clean,
            digest: profile.digest.clone(),
            replace: self.replace,
            validate_only: self.plan,
            requested_by: self.requested_by.clone(),
            reason: self.reason.clone(),
        };
        let (parts, sent) = mpsc::channel(WAITING);
        // There is room for the first.
        parts.try_send(request(Part::Profile(description))).ok();
        let mut answers = self.client.import_session(ReceiverStream::new(sent)).await?.into_inner();
        let accepted = match next(&mut answers).await? {
            import_session_response::Part::Accepted(accepted) => accepted,
            import_session_response::Part::Imported(ImportedSession { snapshot_id: snapshot, .. }) => {
                return Ok(ImportView::done_before(tenant, snapshot));
            }
        };
        let plan = self.plan;
        // It ends when the call does.
        let sending = on_disk(move || {
            let ImportAccepted { database, max_file_bytes, max_total_bytes } = accepted;
            let limit = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
            profile.check(&database, limit(max_file_bytes), limit(max_total_bytes))?;
            let (files, bytes) = profile.session_of(&database);
            if !plan {
                send_files(&profile, &files, bytes, &parts)?;
            }
            Ok(bytes)
        });
        if plan {
            return Ok(ImportView::ready(tenant, sending.await?));
        }
        let answer = async {
            let answer = next(&mut answers).await;
            // Whoever goes on sending to a coordinator that has refused would wait for ever.
            drop(answers);
            answer
        };
        let (sent, answer) = tokio::join!(sending, answer);
        // What this side has met is the reason for what the other one says of it.
        let bytes = sent?;
        match answer? {
            import_session_response::Part::Imported(ImportedSession { snapshot_id: snapshot, .. }) => {
                Ok(ImportView::imported(tenant, bytes, snapshot))
            }
            import_session_response::Part::Accepted(_) => Err(unexpected()),
        }
    }
}

/// Does what waits for the disk.
pub async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProfileError> + Send + 'static,
) -> Result<T, Failure> {
    let panicked = |error: JoinError| Failure::Input { what: "the profile".into(), source: error.into() };
    Ok(spawn_blocking(work).await.map_err(panicked)??)
}

/// Until all is sent, or nobody takes more, who then says why.
fn send_files(
    profile: &BotProfile,
    files: &[bot_profile::ProfileFile],
    bytes: u64,
    parts: &mpsc::Sender<ImportSessionRequest>,
) -> Result<(), ProfileError> {
    for file in files {
        let path = profile.dir.join(&file.path);
        let unreadable = |source| ProfileError::Unreadable { path: path.clone(), source };
        let mut content = File::open(&path).map_err(unreadable)?.take(file.bytes);
        let size_bytes = i64::try_from(file.bytes).unwrap_or(i64::MAX);
        let mut next = Part::File(ProfileFile { path: file.path.clone(), size_bytes });
        let mut left = file.bytes;
        loop {
            if parts.blocking_send(request(next)).is_err() {
                return Ok(());
            }
            let chunk = chunk(&mut content).map_err(unreadable)?;
            left -= chunk.len() as u64;
            if chunk.is_empty() {
                break;
            }
            next = Part::Content(chunk);
        }
        if left > 0 {
            return Err(ProfileError::Changed { path });
        }
    }
    let files = i32::try_from(files.len()).unwrap_or(i32::MAX);
    let end = ProfileEnd { files, size_bytes: i64::try_from(bytes).unwrap_or(i64::MAX) };
    parts.blocking_send(request(Part::End(end))).ok();
    Ok(())
}

fn chunk(from: &mut Take<File>) -> std::io::Result<Vec<u8>> {
    let mut chunk = Vec::new();
    from.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

fn request(part: Part) -> ImportSessionRequest {
    ImportSessionRequest { part: Some(part) }
}

async fn next(
    answers: &mut Streaming<ImportSessionResponse>,
) -> Result<import_session_response::Part, Failure> {
    answers.message().await?.and_then(|answer| answer.part).ok_or_else(unexpected)
}

fn unexpected() -> Failure {
    Failure::Refused("the coordinator ended the import without an answer; the same command goes on, or says that it is done".into())
}
