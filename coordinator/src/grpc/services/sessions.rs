//! SessionService.

use futures::StreamExt;
use roost_proto::v1::{self, import_session_request::Part, session_service_server::SessionService};
use roost_store::{SnapshotId, SnapshotOrphan};
use tonic::{Request, Response, Status, Streaming, async_trait};
use uuid::Uuid;

use super::{access::caller, members::portal_of};
use crate::{
    app::{self, App, people::PortalAddress},
    grpc::{
        answers::{Answers, answers, fill_page},
        request::{Checks, List, page, profile_part, tenant_id},
        wire,
    },
};

pub struct Sessions {
    pub app: App,
    pub portal: Option<PortalAddress>,
}

#[async_trait]
impl SessionService for Sessions {
    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let session = self.app.get_session(&id).await?;
        Ok(Response::new(wire::session(session)))
    }

    async fn draw_qr_code(
        &self,
        request: Request<v1::DrawQrCodeRequest>,
    ) -> Result<Response<v1::DrawQrCodeResponse>, Status> {
        let request = request.get_ref();
        let mut checks = Checks::default();
        let id = checks.tenant_id("tenant_id", &request.tenant_id);
        let format = checks.optional_enum("format", request.format);
        let (Some(id), Some(format)) = (id, format) else { return Err(checks.refusal().into()) };
        let form = wire::qr_form(format.unwrap_or_default());
        Ok(Response::new(wire::qr_picture(self.app.qr_code(&id, form).await?)))
    }

    type WatchSessionStream = Answers<v1::Session>;

    async fn watch_session(
        &self,
        request: Request<v1::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        Ok(Response::new(answers(self.app.watch_session(id).await?, wire::session)))
    }

    async fn create_scan_link(
        &self,
        request: Request<v1::CreateScanLinkRequest>,
    ) -> Result<Response<v1::CreateScanLinkResponse>, Status> {
        let by = caller(&request)?;
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let portal = portal_of(self.portal.as_ref())?;
        let (link, until) = self.app.create_scan_link(&id, &by).await?;
        let (url, expire_time) = (portal.scan_link(&link), Some(wire::timestamp(until)));
        Ok(Response::new(v1::CreateScanLinkResponse { url, expire_time }))
    }

    async fn request_pairing_code(
        &self,
        request: Request<v1::RequestPairingCodeRequest>,
    ) -> Result<Response<v1::PairingCode>, Status> {
        let request = request.get_ref();
        let mut checks = Checks::default();
        let id = checks.tenant_id("tenant_id", &request.tenant_id);
        let phone = checks.optional_phone("phone_number", &request.phone_number);
        let (Some(id), Some(phone)) = (id, phone) else { return Err(checks.refusal().into()) };
        Ok(Response::new(wire::pairing_code(self.app.pairing_code(&id, phone).await?)))
    }

    async fn resume_linking(
        &self,
        request: Request<v1::ResumeLinkingRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        Ok(Response::new(wire::session(self.app.resume_linking(&id).await?)))
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Result<Response<v1::Session>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let (session, problem) = self.app.logout(&id).await?;
        Ok(Response::new(v1::Session {
            logout_problem: problem.unwrap_or_default(),
            ..wire::session(session)
        }))
    }

    async fn list_session_snapshots(
        &self,
        request: Request<v1::ListSessionSnapshotsRequest>,
    ) -> Result<Response<v1::ListSessionSnapshotsResponse>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let listed = self.app.list_session_snapshots(&id).await?;
        let snapshots = listed.into_iter().map(wire::session_snapshot).collect();
        Ok(Response::new(v1::ListSessionSnapshotsResponse { snapshots }))
    }

    async fn restore_session_snapshot(
        &self,
        request: Request<v1::RestoreSessionSnapshotRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let id = checks.tenant_id("tenant_id", &request.tenant_id);
        let parsed = request.snapshot_id.parse::<SnapshotId>().map_err(|error| error.to_string());
        let snapshot = checks.take("snapshot_id", parsed);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(id), Some(snapshot), Some(by)) = (id, snapshot, by) else {
            return Err(checks.refusal().into());
        };
        Ok(Response::new(wire::worker(self.app.restore_session_snapshot(&id, snapshot, &by).await?)))
    }

    type ImportSessionStream = Answers<v1::ImportSessionResponse>;

    async fn import_session(
        &self,
        request: Request<Streaming<v1::ImportSessionRequest>>,
    ) -> Result<Response<Self::ImportSessionStream>, Status> {
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|request| request.part);
        let mut checks = Checks::default();
        let import = match first {
            Some(Part::Profile(profile)) => checks.import(profile),
            _other => checks.take("profile", Err("is required, and comes first".to_owned())),
        };
        let import = import.ok_or_else(|| checks.refusal())?;
        let parts = parts.map(|part| match part {
            Ok(request) => request.part.and_then(profile_part).ok_or(app::Error::ImportBrokenOff),
            Err(_broken) => Err(app::Error::ImportBrokenOff),
        });
        Ok(Response::new(answers(self.app.import_session(import, parts)?, wire::session_import)))
    }

    async fn list_snapshot_orphans(
        &self,
        request: Request<v1::ListSnapshotOrphansRequest>,
    ) -> Result<Response<v1::ListSnapshotOrphansResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let size = checks.page_size(request.page_size);
        let read = |token: &str| token.parse().ok();
        let after = checks.page_token(List::SnapshotOrphans, &[], &request.page_token, read);
        let (Some(size), Some(after)) = (size, after) else { return Err(checks.refusal().into()) };
        let fetch = |after: Option<Uuid>, limit| self.app.list_snapshot_orphans(after, limit);
        let item = |row: SnapshotOrphan| (row.uid, wire::snapshot_orphan(row));
        let page = fill_page(size, after, fetch, item).await?;
        let next = page.last.map(|last| page::encode(List::SnapshotOrphans, &[], &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListSnapshotOrphansResponse { orphans: page.items, next_page_token }))
    }

    async fn remove_snapshot_orphan(
        &self,
        request: Request<v1::RemoveSnapshotOrphanRequest>,
    ) -> Result<Response<v1::SnapshotOrphan>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let wrong =
            |_| format!("{:?} is no uid: they are as `roost snapshot orphans` lists them", request.uid);
        let uid = checks.take("uid", Uuid::parse_str(&request.uid).map_err(wrong));
        let by = checks.by(request.requested_by, request.reason);
        let (Some(uid), Some(by)) = (uid, by) else { return Err(checks.refusal().into()) };
        Ok(Response::new(wire::snapshot_orphan(self.app.remove_snapshot_orphan(uid, &by).await?)))
    }
}
