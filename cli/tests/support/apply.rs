//! What the scripted coordinator makes of declared tenants: lodge changes, shop is as declared, all others are new.

use roost_proto::{
    error::{ApiError, Violation},
    v1::*,
};
use tonic::{Response, Status};

use super::Answer;

pub(super) fn apply(request: ApplyTenantsRequest) -> Answer<ApplyTenantsResponse> {
    let mut tenants = Vec::new();
    for (index, declaration) in request.declarations.into_iter().enumerate() {
        let tenant = declaration.tenant.unwrap_or_default();
        if tenant.phone == "0700" {
            return Err(refusal(index));
        }
        let (change, fields) = match tenant.id.as_str() {
            "lodge" => (TenantChange::Changed, changes()),
            "shop" => (TenantChange::Unchanged, vec![]),
            _ => (TenantChange::Created, vec![]),
        };
        let more_fields = if fields.is_empty() { 0 } else { 2 };
        tenants.push(AppliedTenant { id: tenant.id, change: change.into(), fields, more_fields });
    }
    tenants.extend(request.delete_ids.into_iter().map(|id| AppliedTenant {
        id,
        change: TenantChange::Deleted.into(),
        ..Default::default()
    }));
    Ok(Response::new(ApplyTenantsResponse { apply_id: "a-1".into(), tenants }))
}

fn changes() -> Vec<FieldChange> {
    let change = |path: &str, before: &str, after: &str| FieldChange {
        path: path.into(),
        before: before.into(),
        after: after.into(),
    };
    vec![
        change("reply_limit_per_minute", "10", "20"),
        change("texts.greeting", "", "Karibu {business}!\nHabari"),
        change("labels.plan", "pro", ""),
        change("desired_state", "stopped", "running"),
    ]
}

fn refusal(index: usize) -> Status {
    let description = "is not E.164; it takes '+' and 8 to 15 digits".to_owned();
    ApiError::invalid(vec![Violation { field: format!("declarations[{index}].tenant.phone"), description }])
        .into()
}
