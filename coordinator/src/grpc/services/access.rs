//! AccessService.

use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{self, access_service_server::AccessService},
};
use roost_store::AuditFilter;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::{App, access::Caller},
    grpc::{
        answers::fill_page,
        request::{Checks, List, new_token, page},
        wire,
    },
};

pub struct Accesses {
    pub app: App,
}

#[async_trait]
impl AccessService for Accesses {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let by = caller(&request)?;
        let (name, grant, lifetime) = new_token(request.into_inner())?;
        let (token, secret) = self.app.create_token(name, grant, lifetime, &by).await?;
        Ok(Response::new(v1::CreateTokenResponse { token: Some(wire::token(token)), secret }))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let v1::ListTokensRequest { page_size, page_token, show_ended } = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [if show_ended { "all" } else { "" }];
        let size = checks.page_size(page_size);
        let after = checks.page_token(List::Tokens, &chosen, &page_token, |key| key.parse::<i64>().ok());
        let (Some(size), Some(after)) = (size, after) else { return Err(checks.refusal().into()) };
        let fetch = |before, limit| self.app.list_tokens(show_ended, before, limit);
        let page = fill_page(size, after, fetch, |row| (row.id, wire::token(row))).await?;
        let next = page.last.map(|last| page::encode(List::Tokens, &chosen, &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListTokensResponse { tokens: page.items, next_page_token }))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::Token>, Status> {
        let by = caller(&request)?;
        let revoked = self.app.revoke_token(request.get_ref().id, &by).await?;
        Ok(Response::new(wire::token(revoked)))
    }

    async fn get_caller(
        &self,
        request: Request<v1::GetCallerRequest>,
    ) -> Result<Response<v1::Caller>, Status> {
        Ok(Response::new(wire::caller(&caller(&request)?)))
    }

    async fn list_looks(
        &self,
        request: Request<v1::ListLooksRequest>,
    ) -> Result<Response<v1::ListLooksResponse>, Status> {
        let v1::ListLooksRequest { tenant_id, page_size, page_token } = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [tenant_id.as_str()];
        let tenant = checks.tenant_id("tenant_id", &tenant_id);
        let size = checks.page_size(page_size);
        let after = checks.page_token(List::Looks, &chosen, &page_token, |key| key.parse::<i64>().ok());
        let (Some(tenant), Some(size), Some(after)) = (tenant, size, after) else {
            return Err(checks.refusal().into());
        };
        self.app.check_tenant(Some(&tenant)).await?;
        let fetch = |before, limit| self.app.list_looks(&tenant, before, limit);
        let page = fill_page(size, after, fetch, |row| (row.id, wire::look(row))).await?;
        let next = page.last.map(|last| page::encode(List::Looks, &chosen, &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListLooksResponse { looks: page.items, next_page_token }))
    }

    async fn list_audit_entries(
        &self,
        request: Request<v1::ListAuditEntriesRequest>,
    ) -> Result<Response<v1::ListAuditEntriesResponse>, Status> {
        let v1::ListAuditEntriesRequest { page_size, page_token, tenant_id, caller } = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [tenant_id.as_str(), &caller];
        let size = checks.page_size(page_size);
        let after =
            checks.page_token(List::AuditEntries, &chosen, &page_token, |key| key.parse::<i64>().ok());
        let tenant = checks.optional_tenant_id("tenant_id", &tenant_id);
        let (Some(size), Some(after), Some(tenant)) = (size, after, tenant) else {
            return Err(checks.refusal().into());
        };
        let filter = &AuditFilter { tenant, caller: Some(caller.clone()).filter(|name| !name.is_empty()) };
        let fetch = |before, limit| self.app.list_audit(filter, before, limit);
        let page = fill_page(size, after, fetch, |row| (row.id, wire::audit_entry(row))).await?;
        let next = page.last.map(|last| page::encode(List::AuditEntries, &chosen, &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListAuditEntriesResponse { entries: page.items, next_page_token }))
    }
}

/// Put there at the door.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, ApiError> {
    let known = request.extensions().get::<Caller>().cloned();
    known.ok_or_else(|| ApiError::new(ErrorCode::Internal, "it is not known who calls: report it"))
}
