//! The scripted coordinator's tenants.

use roost_proto::{
    error::{ApiError, ErrorCode, Violation},
    v1::{tenant_service_server::TenantService, *},
};
use tonic::{Request, Response, Status};

use super::{Answer, Script, apply::apply, at, settings, unknown, workers::worker};

pub(super) fn tenant(id: &str) -> Result<Tenant, Status> {
    let menu = MenuItem {
        title: "Rooms".into(),
        reply: "From 40,000 a night".into(),
        keywords: vec!["room".into()],
    };
    let lodge = Tenant {
        id: "lodge".into(),
        display_name: "Safari Lodge".into(),
        phone: "+255700000001".into(),
        template: Template::Booking as i32,
        language: Language::En as i32,
        status: TenantStatus::Active as i32,
        texts: Some(BusinessTexts {
            greeting: "Karibu {business}!\nHow can we help?".into(),
            menu: vec![menu],
            ..Default::default()
        }),
        reply_limit_per_minute: Some(10),
        answer_within: Some(prost_types::Duration { seconds: 86_400, nanos: 0 }),
        resend_policy: ResendPolicy::Resend as i32,
        restart_schedule: Some(RestartSchedule {
            cron: "0 4 * * *".into(),
            time_zone: "Africa/Nairobi".into(),
            jitter: Some(prost_types::Duration { seconds: 1_800, nanos: 0 }),
        }),
        qr_rotations: None,
        memory_request_bytes: None,
        memory_limit_bytes: Some(512 << 20),
        cpu_limit_millicores: Some(0),
        process_limit: None,
        browser: Some(BrowserSettings {
            time_zone: "Africa/Nairobi".into(),
            languages: vec!["sw-TZ".into(), "sw".into()],
            ..BrowserSettings::default()
        }),
        proxy: Some(Proxy { url: "socks5://proxy.example:1080".into(), has_credentials: true }),
        timing: Some(WorkerTiming {
            stale_after: Some(prost_types::Duration { seconds: 120, nanos: 0 }),
            max_crashes: Some(5),
            ..Default::default()
        }),
        log_level: Some(TenantLogLevel { level: LogLevel::Warn.into(), ..Default::default() }),
        labels: [("plan".into(), "pro".into())].into(),
        metadata: [("contract".into(), "2026-17".into())].into(),
        create_time: at(0),
        update_time: at(60),
    };
    let shop = Tenant {
        id: "shop".into(),
        display_name: "Duka la Asha".into(),
        phone: "+255700000002".into(),
        template: Template::Ecommerce as i32,
        language: Language::Sw as i32,
        status: TenantStatus::QrPending as i32,
        texts: None,
        reply_limit_per_minute: Some(0),
        restart_schedule: None,
        qr_rotations: Some(0),
        browser: None,
        proxy: None,
        log_level: None,
        labels: Default::default(),
        metadata: Default::default(),
        ..lodge.clone()
    };
    match id {
        "lodge" => Ok(lodge),
        "shop" => Ok(shop),
        _ => Err(unknown("tenant", id)),
    }
}

pub fn moved() -> Move {
    Move {
        tenant_id: "lodge".into(),
        from_node_id: "node-1".into(),
        to_node_id: "node-2".into(),
        reason: "node-1 has let go of it; it is ready there".into(),
        time: at(2),
    }
}

fn placement(tenant_id: String) -> PlacementExplanation {
    let candidate = |node_id: &str, fits, reason: &str| Candidate {
        node_id: node_id.into(),
        fits,
        reason: reason.into(),
    };
    PlacementExplanation {
        tenant_id,
        node_id: "node-2".into(),
        pinned_node_id: String::new(),
        summary: "lodge is on node-2 since it was moved there from node-1".into(),
        candidates: vec![
            candidate("node-2", true, "it has it"),
            candidate("node-1", false, "it is cordoned"),
        ],
        triggers: vec!["the loss of node-2".into(), "a drain of node-2".into()],
        history: vec![moved()],
    }
}

#[tonic::async_trait]
impl TenantService for Script {
    async fn create_tenant(&self, request: Request<CreateTenantRequest>) -> Answer<Tenant> {
        let CreateTenantRequest { tenant, tenant_id } = request.into_inner();
        let given = tenant.unwrap_or_default();
        let wrong = |field: &str, description: &str| Violation {
            field: field.into(),
            description: description.into(),
        };
        let mut violations = vec![];
        if given.display_name.is_empty() {
            violations.push(wrong("tenant.display_name", "is empty; it takes 1 to 200 characters"));
        }
        if !given.phone.starts_with('+') {
            violations.push(wrong("tenant.phone", "is not E.164; it takes '+' and 8 to 15 digits"));
        }
        if !violations.is_empty() {
            return Err(ApiError::invalid(violations).into());
        }
        if given.phone == "+255700000001" {
            let taken = "the phone number +255700000001 belongs to another tenant";
            return Err(ApiError::new(ErrorCode::AlreadyExists, taken).into());
        }
        let made = Tenant {
            id: tenant_id,
            status: TenantStatus::New as i32,
            create_time: at(0),
            update_time: at(0),
            ..given
        };
        Ok(Response::new(made))
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Answer<Tenant> {
        tenant(&request.into_inner().id).map(Response::new)
    }

    /// One tenant a page, so that the client has to walk.
    async fn list_tenants(&self, request: Request<ListTenantsRequest>) -> Answer<ListTenantsResponse> {
        let request = request.into_inner();
        let (id, next) = match (request.selector.as_str(), request.page_token.as_str()) {
            ("plan=pro", _) => ("lodge", ""),
            (_, "") => ("lodge", "2"),
            _ => ("shop", ""),
        };
        Ok(Response::new(ListTenantsResponse { tenants: vec![tenant(id)?], next_page_token: next.into() }))
    }

    /// As an owner does, whom `update_tenant` is not for.
    async fn update_template_settings(
        &self,
        request: Request<UpdateTemplateSettingsRequest>,
    ) -> Answer<Tenant> {
        let UpdateTemplateSettingsRequest { tenant, update_mask } = request.into_inner();
        self.update_tenant(Request::new(UpdateTenantRequest { tenant, update_mask })).await
    }

    async fn preview_template(
        &self,
        request: Request<PreviewTemplateRequest>,
    ) -> Answer<PreviewTemplateResponse> {
        let PreviewTemplateRequest { tenant_id, tenant: tried, messages } = request.into_inner();
        let name = tried.map_or(tenant(&tenant_id)?.display_name, |tried| tried.display_name);
        let answered = |message: String| PreviewedMessage {
            replies: vec![format!("{name} says: {message}\n1. Rooms")],
            message,
        };
        let messages = messages.into_iter().map(answered).collect();
        Ok(Response::new(PreviewTemplateResponse { messages }))
    }

    async fn update_tenant(&self, request: Request<UpdateTenantRequest>) -> Answer<Tenant> {
        let UpdateTenantRequest { tenant: given, update_mask } = request.into_inner();
        let given = given.unwrap_or_default();
        let mut changed = tenant(&given.id)?;
        for path in update_mask.unwrap_or_default().paths {
            match path.as_str() {
                "display_name" => changed.display_name.clone_from(&given.display_name),
                "texts" => changed.texts.clone_from(&given.texts),
                "reply_limit_per_minute" => changed.reply_limit_per_minute = given.reply_limit_per_minute,
                "answer_within" => changed.answer_within = given.answer_within,
                "restart_schedule" => changed.restart_schedule.clone_from(&given.restart_schedule),
                "memory_request_bytes" => changed.memory_request_bytes = given.memory_request_bytes,
                "memory_limit_bytes" => changed.memory_limit_bytes = given.memory_limit_bytes,
                "cpu_limit_millicores" => changed.cpu_limit_millicores = given.cpu_limit_millicores,
                "process_limit" => changed.process_limit = given.process_limit,
                "timing" => changed.timing = given.timing,
                "log_level" => changed.log_level = given.log_level,
                "resend_policy" => changed.resend_policy = given.resend_policy,
                other => {
                    let Some(name) = other.strip_prefix("labels.") else {
                        return Err(Status::invalid_argument(format!("unexpected path {other}")));
                    };
                    changed.labels.remove(name);
                    changed
                        .labels
                        .extend(given.labels.get(name).map(|value| (name.to_owned(), value.clone())));
                }
            }
        }
        Ok(Response::new(changed))
    }

    async fn plan_settings_update(
        &self,
        request: Request<PlanSettingsUpdateRequest>,
    ) -> Answer<SettingsPlan> {
        settings::plan_update(request.into_inner())
    }

    async fn start_settings_update(&self, request: Request<StartSettingsUpdateRequest>) -> Answer<Operation> {
        settings::start_update(request.into_inner())
    }

    async fn plan_settings_undo(&self, request: Request<PlanSettingsUndoRequest>) -> Answer<SettingsPlan> {
        settings::plan_undo(request.into_inner().id)
    }

    async fn start_settings_undo(&self, request: Request<StartSettingsUndoRequest>) -> Answer<Operation> {
        settings::start_undo(request.into_inner())
    }

    async fn delete_tenant(&self, request: Request<DeleteTenantRequest>) -> Answer<()> {
        tenant(&request.into_inner().id).map(|_| Response::new(()))
    }

    async fn apply_tenants(&self, request: Request<ApplyTenantsRequest>) -> Answer<ApplyTenantsResponse> {
        apply(request.into_inner())
    }

    async fn pin_tenant(&self, request: Request<PinTenantRequest>) -> Answer<Worker> {
        let PinTenantRequest { tenant_id, node_id, .. } = request.into_inner();
        Ok(Response::new(Worker { pinned_node_id: node_id, ..worker(&tenant_id)? }))
    }

    async fn unpin_tenant(&self, request: Request<UnpinTenantRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn explain_placement(
        &self,
        request: Request<ExplainPlacementRequest>,
    ) -> Answer<PlacementExplanation> {
        tenant(&request.into_inner().tenant_id).map(|tenant| Response::new(placement(tenant.id)))
    }
}
