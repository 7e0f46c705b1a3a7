//! ImportSession: a profile comes, is checked, sealed and stored as a snapshot, and recorded as its tenant's.
//!
//! ```text
//!   profile ──► may it be? ──► accepted ──► files ... end ──► looked at ──► stored ──► recorded ──► imported
//!               (database,      (a turn)    \____ the caller may leave ____/   \___ goes on without him ___/
//!                origin)
//! ```

use std::time::Duration;

use roost_engine::web::PageUrl;
use roost_model::{
    causes,
    ids::{NodeId, TenantId},
};
use roost_proto::{
    error::{ApiError, ErrorCode},
    internal::{
        ImportAccepted, ImportSessionRequest, ImportSessionResponse, ImportedSnapshot, ProfileDescription,
        ProfileEnd, ProfileFile, import_session_request::Part, import_session_response,
    },
};
use roost_store::{ImportCheck, ImportOrder, ImportTicket, Requester, SnapshotId, Store, StoreError};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{
    blocking::run_blocking,
    session::{
        ImportError, ImportedAs, Imports, ReceivedProfile, SessionError, SnapshotRef, SnapshotStore,
        WholeProfile,
    },
};

/// From one part to the next: an import keeps others from their turn.
const NEXT_PART_WITHIN: Duration = Duration::from_secs(60);
const DIGEST_CHARS: usize = 64;

pub(super) type Answers = ReceiverStream<Result<ImportSessionResponse, Status>>;
type Answer = mpsc::Sender<Result<ImportSessionResponse, Status>>;

/// What a node imports sessions with. Cheap to clone.
#[derive(Clone)]
pub struct SessionImporter {
    pub node: NodeId,
    pub store: Store,
    pub snapshots: SnapshotStore,
    pub imports: Imports,
    /// Whose sessions its browsers open; none without browsers.
    pub page: Option<PageUrl>,
}

impl SessionImporter {
    pub(super) fn import(&self, mut parts: Streaming<ImportSessionRequest>) -> Answers {
        let (answer, answers) = mpsc::channel(1);
        let importer = self.clone();
        tokio::spawn(async move {
            let received = tokio::select! {
                received = importer.receive(&mut parts, &answer) => received,
                // What has come goes with it.
                () = answer.closed() => return,
            };
            let done = match received {
                Ok(Some(import)) => importer.finish(import).await,
                Ok(None) => return,
                Err(error) => Err(error),
            };
            // A caller that has left needs none.
            let _left = answer.send(done.map_err(Status::from)).await;
        });
        ReceiverStream::new(answers)
    }

    /// None when there is nothing to do.
    async fn receive(
        &self,
        parts: &mut Streaming<ImportSessionRequest>,
        answer: &Answer,
    ) -> Result<Option<Import>, ApiError> {
        let Part::Profile(profile) = next(parts).await? else {
            return Err(malformed("an import begins with the description of its profile"));
        };
        let order = order(&profile)?;
        let database = self.database(&profile)?;
        let ticket = match self.store.check_import(&order).await.map_err(of_store)? {
            ImportCheck::Ready(ticket) => ticket,
            ImportCheck::DoneBefore(snapshot) => {
                let _left = answer.send(Ok(imported(snapshot, true))).await;
                return Ok(None);
            }
        };
        if profile.validate_only {
            let _left = answer.send(Ok(accepted(database))).await;
            return Ok(None);
        }
        let receiving = self.imports.receive(database.clone()).await.map_err(of_session)?;
        let _left = answer.send(Ok(accepted(database))).await;
        let whole = receive_files(receiving, parts).await?;
        Ok(Some(Import { order, ticket, clean: profile.clean, whole }))
    }

    /// What Chromium calls the databases of the page, if the profile has them.
    fn database(&self, profile: &ProfileDescription) -> Result<String, ApiError> {
        let Some(page) = &self.page else {
            let why = "this cluster's nodes have no browsers (--engine null): there is no session to import";
            return Err(ApiError::new(ErrorCode::FailedPrecondition, why));
        };
        let database = page.database();
        if profile.databases.contains(&database) {
            return Ok(database);
        }
        let has = match profile.databases.as_slice() {
            [] => "no site".to_owned(),
            some => some.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
        };
        let why = format!(
            "the profile has sessions of {has}, and this cluster's page is {} ({database}): import one of that site",
            page.origin()
        );
        Err(ApiError::new(ErrorCode::FailedPrecondition, why).about("tenant", &profile.tenant_id))
    }

    async fn finish(&self, import: Import) -> Result<ImportSessionResponse, ApiError> {
        let Import { order, ticket, clean, whole } = import;
        let (uid, generation, session) = (ticket.uid, ticket.import_generation, ticket.imported_session());
        let stored = whole.store(&self.snapshots, ImportedAs { uid, generation, session, clean }).await;
        let snapshot = stored.map_err(of_session)?;
        let id = SnapshotId { generation: snapshot.generation, sequence: snapshot.sequence };
        match self.store.record_import(&order, &ticket, &snapshot.clone().into(), &self.node).await {
            Ok(()) => {
                tracing::info!(tenant = %order.tenant, snapshot = %id, by = order.by.name, "a session is imported");
                Ok(imported(id, false))
            }
            Err(error) => {
                // Of one whose outcome is unknown the record may name it.
                if let StoreError::NotImportable { .. } = error {
                    self.withdraw(&snapshot).await;
                }
                Err(of_store(error))
            }
        }
    }

    async fn withdraw(&self, snapshot: &SnapshotRef) {
        if let Err(error) = self.snapshots.withdraw(snapshot).await {
            tracing::warn!(error = %causes(&error), "the snapshot of an import that was refused is left");
        }
    }
}

/// All that is needed to make it true.
struct Import {
    order: ImportOrder,
    ticket: ImportTicket,
    clean: bool,
    whole: WholeProfile,
}

async fn receive_files(
    mut receiving: ReceivedProfile,
    parts: &mut Streaming<ImportSessionRequest>,
) -> Result<WholeProfile, ApiError> {
    loop {
        let part = next(parts).await?;
        let step = run_blocking(move || match part {
            Part::Profile(_) => Err(ImportError::Malformed("a second description came".to_owned())),
            Part::File(ProfileFile { path, size_bytes }) => {
                receiving.begin_file(&path, size_bytes).map(|()| Step::More(receiving))
            }
            Part::Content(content) => receiving.append(&content).map(|()| Step::More(receiving)),
            Part::End(ProfileEnd { files, size_bytes }) => receiving.end(files, size_bytes).map(Step::Whole),
        });
        match step.await.map_err(of_import)? {
            Step::More(more) => receiving = more,
            Step::Whole(whole) => return Ok(whole),
        }
    }
}

enum Step {
    More(ReceivedProfile),
    Whole(WholeProfile),
}

async fn next(parts: &mut Streaming<ImportSessionRequest>) -> Result<Part, ApiError> {
    let Ok(part) = timeout(NEXT_PART_WITHIN, parts.message()).await else {
        return Err(malformed(&format!("nothing came for {NEXT_PART_WITHIN:?}; nothing was imported")));
    };
    let broken_off = || malformed("the import broke off before its end; nothing was imported");
    part.map_err(|_broken| broken_off())?.and_then(|request| request.part).ok_or_else(broken_off)
}

fn order(profile: &ProfileDescription) -> Result<ImportOrder, ApiError> {
    let ProfileDescription { tenant_id, digest, replace, requested_by, reason, .. } = profile;
    let tenant =
        TenantId::new(tenant_id).map_err(|_| malformed(&format!("{tenant_id:?} is no tenant's id")))?;
    if digest.len() != DIGEST_CHARS || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed("the digest is not 64 hexadecimal digits"));
    }
    let by = Requester { name: requested_by.clone(), reason: reason.clone() };
    Ok(ImportOrder { tenant, digest: digest.clone(), replace: *replace, by })
}

fn accepted(database: String) -> ImportSessionResponse {
    let (max_file_bytes, max_total_bytes) = ReceivedProfile::LIMITS;
    let accepted = ImportAccepted { database, max_file_bytes, max_total_bytes };
    ImportSessionResponse { part: Some(import_session_response::Part::Accepted(accepted)) }
}

fn imported(snapshot: SnapshotId, done_before: bool) -> ImportSessionResponse {
    let imported = ImportedSnapshot { snapshot_id: snapshot.to_string(), done_before };
    ImportSessionResponse { part: Some(import_session_response::Part::Imported(imported)) }
}

fn malformed(what: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidArgument, what)
}

fn of_import(error: ImportError) -> ApiError {
    match error {
        ImportError::Malformed(what) => malformed(&what),
        ImportError::Unusable(what) => {
            ApiError::new(ErrorCode::FailedPrecondition, format!("the profile cannot be imported: {what}"))
        }
        ImportError::Session(error) => of_session(error),
    }
}

fn of_session(error: SessionError) -> ApiError {
    let said = causes(&error).to_string();
    match error {
        SessionError::Torn { .. } => ApiError::new(
            ErrorCode::FailedPrecondition,
            format!("{said}: a browser would throw it away; copy the profile anew, with its bot stopped"),
        ),
        SessionError::TooLarge { .. } => ApiError::new(ErrorCode::FailedPrecondition, said),
        SessionError::Superseded { .. } => {
            ApiError::new(ErrorCode::FailedPrecondition, format!("{said}: the worker was started meanwhile"))
        }
        _ => {
            tracing::warn!(error = %causes(&error), "a session could not be imported");
            let message = format!("a node could not store it: {said}; nothing was imported, try again");
            ApiError::unavailable("node", NEXT_PART_WITHIN, message)
        }
    }
}

fn of_store(error: StoreError) -> ApiError {
    match &error {
        StoreError::NotFound { kind, id } => {
            ApiError::new(ErrorCode::NotFound, format!("{error}; check the id")).about(kind, id)
        }
        StoreError::NotImportable { tenant, .. } => {
            ApiError::new(ErrorCode::FailedPrecondition, error.to_string()).about("tenant", tenant.as_str())
        }
        _ => {
            tracing::warn!(error = %causes(&error), "a session could not be imported for want of the database");
            let message = format!(
                "{}; whether it is imported `roost session get` says, if not try again",
                causes(&error)
            );
            ApiError::unavailable("postgres", Duration::from_secs(1), message)
        }
    }
}
