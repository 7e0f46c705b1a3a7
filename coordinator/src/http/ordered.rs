//! What a face other than gRPC orders, as the call of the API that it is: held to the same table, and written in the same audit.

use std::net::IpAddr;

use roost_model::{
    causes,
    ids::{NodeId, TenantId},
};
use roost_proto::error::ApiError;
use roost_store::{AuditEntry, Requester};
use tonic::Code;

use crate::{
    app::{
        Error,
        access::{Access, Caller, audit, calls},
    },
    grpc::code_name,
};

/// Who does what, from where.
pub struct Asked<'a> {
    pub access: &'a Access,
    pub caller: &'a Caller,
    pub origin: IpAddr,
    /// By its name in gRPC.
    pub call: &'a str,
    /// What it is about, if that is a tenant or a node.
    pub tenant: Option<&'a TenantId>,
    pub node: Option<&'a NodeId>,
    /// What the caller says of himself, and why.
    pub by: Requester,
}

/// Of a face that tells less than the API does.
pub fn told_as<W>(told: impl FnOnce(&Error) -> W) -> impl FnOnce(Error) -> (Code, W) {
    |error| {
        let told = told(&error);
        (ApiError::from(error).code.grpc(), told)
    }
}

/// Carries it out if the caller may; `told` is its code and what is told of it else. None: the caller may not, or looks at what a business
/// and its customers say and does not say why.
pub async fn ordered<T, W>(
    asked: Asked<'_>,
    order: impl Future<Output = Result<T, Error>>,
    told: impl FnOnce(Error) -> (Code, W),
) -> Option<Result<T, W>> {
    let Asked { access, caller, origin, call, tenant, node, by } = asked;
    let call = calls::find(call)?;
    let entry = AuditEntry {
        tenant: tenant.cloned(),
        node: node.cloned(),
        requested_by: by.name,
        reason: by.reason,
        ..audit::entry(call, caller, origin)
    };
    let is_foreign = tenant.is_some_and(|tenant| caller.is_foreign_to(tenant));
    let says_why = !entry.is_look || !entry.reason.trim().is_empty();
    let may = call.roles.contains(&caller.grant().role()) && !is_foreign && says_why;
    let (code, answer) = match may {
        false => (Code::PermissionDenied, None),
        true => match order.await {
            Ok(done) => (Code::Ok, Some(Ok(done))),
            Err(error) => {
                let (code, told) = told(error);
                (code, Some(Err(told)))
            }
        },
    };
    if !may || audit::is_audited(call, caller) {
        let entry = AuditEntry { result: code_name(code).to_owned(), ..entry };
        if let Err(error) = access.audit(&entry).await {
            tracing::error!(error = %causes(&error), ?entry, "an order is not in the audit");
        }
    }
    answer
}
