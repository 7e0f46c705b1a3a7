//! An order of a member, as the call of the API that it is: held to the same table, and written in the same audit.

use std::net::IpAddr;

use roost_model::causes;
use roost_proto::error::ApiError;
use roost_store::AuditEntry;
use tonic::Code;

use super::{signed::Member, state::Portal};
use crate::{
    app::{
        Error,
        access::{audit, calls},
    },
    grpc::code_name,
};

/// Carries it out if he may give it; `told` is what he is told of it else. None: he may not.
pub async fn ordered<T, W>(
    portal: &Portal,
    member: &Member,
    origin: IpAddr,
    call: &str,
    order: impl Future<Output = Result<T, Error>>,
    told: impl FnOnce(&Error) -> W,
) -> Option<Result<T, W>> {
    let known = calls::find(call)?;
    let entry = audit::entry(known, member.caller(), origin);
    let (code, answer) = match member.may(call) {
        false => (Code::PermissionDenied, None),
        true => match order.await {
            Ok(done) => (Code::Ok, Some(Ok(done))),
            Err(error) => {
                let told = told(&error);
                (ApiError::from(error).code.grpc(), Some(Err(told)))
            }
        },
    };
    let entry = AuditEntry { result: code_name(code).to_owned(), ..entry };
    if let Err(error) = portal.access.audit(&entry).await {
        tracing::error!(error = %causes(&error), ?entry, "an order of the portal is not in the audit");
    }
    answer
}
