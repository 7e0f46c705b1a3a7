//! The scripted coordinator's versions and their rollouts.

use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{version_service_server::VersionService, *},
};
use tonic::{Request, Response, Status, async_trait};

use super::{Answer, Script, at, unknown};

const PAGE: &str = "2.3000.1048";

pub fn page() -> Version {
    Version {
        name: PAGE.into(),
        kind: VersionKind::Page.into(),
        size_bytes: 1_096_086,
        expire_time: at(600),
        create_time: at(0),
        created_by: "asha".into(),
        is_fleets: true,
        tenants: 2,
        warning: "it expires in 6 d 3 h; roll out another one before that".into(),
    }
}

fn library() -> Version {
    Version {
        name: "4.6.1".into(),
        kind: VersionKind::Library.into(),
        size_bytes: 518_065,
        create_time: at(60),
        created_by: "juma".into(),
        ..Version::default()
    }
}

#[async_trait]
impl VersionService for Script {
    async fn create_version(&self, request: Request<CreateVersionRequest>) -> Answer<Version> {
        let CreateVersionRequest { name, kind, content, expire_time, requested_by } = request.into_inner();
        let size_bytes = i64::try_from(content.len()).unwrap();
        let made = Version {
            name,
            kind,
            size_bytes,
            expire_time,
            created_by: requested_by,
            create_time: at(90),
            ..Version::default()
        };
        Ok(Response::new(made))
    }

    async fn list_versions(&self, _: Request<ListVersionsRequest>) -> Answer<ListVersionsResponse> {
        Ok(Response::new(ListVersionsResponse { versions: vec![library(), page()] }))
    }

    async fn delete_version(&self, request: Request<DeleteVersionRequest>) -> Answer<DeleteVersionResponse> {
        match request.into_inner().name.as_str() {
            PAGE => {
                let message = format!(
                    "version {PAGE:?} is in use: by the fleet, by a tenant, or by a rollout that runs"
                );
                Err(ApiError::new(ErrorCode::FailedPrecondition, message).about("version", PAGE).into())
            }
            _ => Ok(Response::new(DeleteVersionResponse {})),
        }
    }

    async fn pin_version(&self, request: Request<PinVersionRequest>) -> Answer<PinVersionResponse> {
        Ok(Response::new(PinVersionResponse { changed: request.into_inner().name != PAGE }))
    }

    async fn plan_rollout(&self, request: Request<PlanRolloutRequest>) -> Answer<RolloutPlan> {
        known(&request.into_inner().version)?;
        Ok(Response::new(RolloutPlan {
            candidates: 6,
            tenant_ids: vec!["shop".into(), "duka".into(), "fish".into()],
            control_tenant_ids: vec!["lodge".into(), "soko".into(), "mtoni".into()],
            missed_percent: 73,
        }))
    }

    async fn start_rollout(&self, request: Request<StartRolloutRequest>) -> Answer<Operation> {
        let given = request.into_inner();
        known(&given.version)?;
        let rollout = Rollout {
            kind: VersionKind::Library.into(),
            version: given.version,
            selector: given.selector,
            max_concurrent: given.max_concurrent,
            watch_for: given.watch_for,
            give_up_after: given.give_up_after.or(Some(prost_types::Duration { seconds: 3_600, nanos: 0 })),
            least_acknowledged: given.least_acknowledged,
        };
        Ok(Response::new(Operation {
            id: 21,
            kind: OperationKind::Rollout.into(),
            state: OperationState::Running.into(),
            total_tenants: 3,
            requested_by: given.requested_by,
            reason: given.reason,
            start_time: at(0),
            rollout: Some(rollout),
            ..Operation::default()
        }))
    }
}

fn known(version: &str) -> Result<(), Status> {
    if version == "4.6.1" { Ok(()) } else { Err(unknown("version", version)) }
}
