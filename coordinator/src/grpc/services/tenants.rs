//! TenantService.

use roost_model::ids::TenantId;
use roost_proto::v1::{self, tenant_service_server::TenantService};
use roost_store::{ApplyOutcome, TenantFilter};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::{App, Exchange},
    grpc::{
        answers::fill_page,
        request::{
            Checks, List, apply, new_tenant, operation_id, page, preview, settings_undo, settings_update,
            template_patch, tenant_id, tenant_patch,
        },
        services::operations::PLANNED_WORKERS,
        wire,
    },
};

pub struct Tenants {
    pub app: App,
}

#[async_trait]
impl TenantService for Tenants {
    async fn create_tenant(
        &self,
        request: Request<v1::CreateTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let new = new_tenant(request.into_inner())?;
        let tenant = self.app.create_tenant(new).await?;
        Ok(Response::new(wire::tenant(tenant)))
    }

    async fn get_tenant(
        &self,
        request: Request<v1::GetTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let id = tenant_id("id", &request.get_ref().id)?;
        let tenant = self.app.get_tenant(&id).await?;
        Ok(Response::new(wire::tenant(tenant)))
    }

    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Result<Response<v1::ListTenantsResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let status_text = request.status.to_string();
        let chosen = [status_text.as_str(), &request.selector];
        let size = checks.page_size(request.page_size);
        let after =
            checks.page_token(List::Tenants, &chosen, &request.page_token, |key| TenantId::new(key).ok());
        let status = checks.optional_enum("status", request.status);
        let selector = checks.selector(&request.selector);
        let (Some(size), Some(after), Some(status), Some(selector)) = (size, after, status, selector) else {
            return Err(checks.refusal().into());
        };
        let filter = &TenantFilter {
            status: status.and_then(wire::tenant_status_filter),
            labels: selector.labels,
            worker_status: selector.status,
            node: selector.node,
        };
        let fetch = |after, limit| self.app.list_tenants(filter, after, limit);
        let page = fill_page(size, after, fetch, |row| (row.id.clone(), wire::tenant(row))).await?;
        let next = page.last.map(|last| page::encode(List::Tenants, &chosen, last.as_str()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListTenantsResponse { tenants: page.items, next_page_token }))
    }

    async fn update_tenant(
        &self,
        request: Request<v1::UpdateTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let (id, patch) = tenant_patch(request.into_inner())?;
        let tenant = self.app.update_tenant(&id, patch).await?;
        Ok(Response::new(wire::tenant(tenant)))
    }

    async fn update_template_settings(
        &self,
        request: Request<v1::UpdateTemplateSettingsRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let (id, patch) = template_patch(request.into_inner())?;
        let tenant = self.app.update_tenant(&id, patch).await?;
        Ok(Response::new(wire::tenant(tenant)))
    }

    async fn preview_template(
        &self,
        request: Request<v1::PreviewTemplateRequest>,
    ) -> Result<Response<v1::PreviewTemplateResponse>, Status> {
        let (tenant, tried, messages) = preview(request.into_inner())?;
        let exchanges = self.app.preview_template(&tenant, tried, messages).await?;
        let told = |Exchange { message, replies }| v1::PreviewedMessage { message, replies };
        let messages = exchanges.into_iter().map(told).collect();
        Ok(Response::new(v1::PreviewTemplateResponse { messages }))
    }

    async fn plan_settings_update(
        &self,
        request: Request<v1::PlanSettingsUpdateRequest>,
    ) -> Result<Response<v1::SettingsPlan>, Status> {
        let update = settings_update(request.into_inner())?;
        let plan = self.app.plan_settings_update(&update).await?;
        Ok(Response::new(wire::settings_plan(plan, PLANNED_WORKERS)))
    }

    async fn start_settings_update(
        &self,
        request: Request<v1::StartSettingsUpdateRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let v1::StartSettingsUpdateRequest {
            settings,
            update_mask,
            selector,
            all,
            max_concurrent,
            pause_on_failure,
            requested_by,
            reason,
        } = request.into_inner();
        let mut checks = Checks::default();
        let wanted = v1::PlanSettingsUpdateRequest { settings, update_mask, selector, all };
        let update = checks.settings_update(wanted);
        let limits = checks.settings_limits(max_concurrent, pause_on_failure);
        let by = checks.by(requested_by, reason);
        let (Some(update), Some(limits), Some(by)) = (update, limits, by) else {
            return Err(checks.refusal().into());
        };
        let started = self.app.start_settings_update(update, limits, &by).await?;
        Ok(Response::new(wire::operation(started)))
    }

    async fn plan_settings_undo(
        &self,
        request: Request<v1::PlanSettingsUndoRequest>,
    ) -> Result<Response<v1::SettingsPlan>, Status> {
        let id = operation_id(request.get_ref().id)?;
        let plan = self.app.plan_settings_undo(id).await?;
        Ok(Response::new(wire::settings_plan(plan, PLANNED_WORKERS)))
    }

    async fn start_settings_undo(
        &self,
        request: Request<v1::StartSettingsUndoRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let (id, limits, by) = settings_undo(request.into_inner())?;
        let (started, left_out) = self.app.start_settings_undo(id, limits, &by).await?;
        let left_out = wire::worker_failures(left_out, PLANNED_WORKERS);
        Ok(Response::new(v1::Operation { left_out, ..wire::operation(started) }))
    }

    async fn delete_tenant(&self, request: Request<v1::DeleteTenantRequest>) -> Result<Response<()>, Status> {
        let id = tenant_id("id", &request.get_ref().id)?;
        self.app.delete_tenant(&id).await?;
        Ok(Response::new(()))
    }

    async fn apply_tenants(
        &self,
        request: Request<v1::ApplyTenantsRequest>,
    ) -> Result<Response<v1::ApplyTenantsResponse>, Status> {
        let (apply, by) = apply(request.into_inner())?;
        let applied = match self.app.apply_tenants(&apply, &by).await? {
            ApplyOutcome::Applied(applied) => applied,
            ApplyOutcome::Refused(refused) => return Err(wire::refused_fields(refused).into()),
        };
        let tenants = applied.into_iter().map(wire::applied_tenant).collect();
        Ok(Response::new(v1::ApplyTenantsResponse { apply_id: apply.id, tenants }))
    }

    async fn pin_tenant(
        &self,
        request: Request<v1::PinTenantRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let node = checks.node_id("node_id", &request.node_id);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(tenant), Some(node), Some(by)) = (tenant, node, by) else {
            return Err(checks.refusal().into());
        };
        let worker = self.app.pin_tenant(&tenant, &node, &by).await?;
        Ok(Response::new(wire::worker(worker)))
    }

    async fn unpin_tenant(
        &self,
        request: Request<v1::UnpinTenantRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(tenant), Some(by)) = (tenant, by) else { return Err(checks.refusal().into()) };
        let worker = self.app.unpin_tenant(&tenant, &by).await?;
        Ok(Response::new(wire::worker(worker)))
    }

    async fn explain_placement(
        &self,
        request: Request<v1::ExplainPlacementRequest>,
    ) -> Result<Response<v1::PlacementExplanation>, Status> {
        let tenant = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        Ok(Response::new(wire::placement_explanation(self.app.explain_placement(&tenant).await?)))
    }
}
