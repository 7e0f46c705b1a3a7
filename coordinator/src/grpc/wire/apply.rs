//! What has become of declared tenants.

use roost_proto::{
    error::{ApiError, ErrorCode, Violation},
    v1,
};
use roost_store::{AppliedTenant, FieldChange, Problem, RefusedField, TenantChange};

/// As many changes of a tenant as are told.
const MOST_FIELDS: usize = 32;

pub fn applied_tenant(applied: AppliedTenant) -> v1::AppliedTenant {
    let (change, mut fields) = match applied.change {
        TenantChange::Unchanged => (v1::TenantChange::Unchanged, Vec::new()),
        TenantChange::Noted => (v1::TenantChange::Noted, Vec::new()),
        TenantChange::Created => (v1::TenantChange::Created, Vec::new()),
        TenantChange::Changed(fields) => (v1::TenantChange::Changed, fields),
        TenantChange::Deleted => (v1::TenantChange::Deleted, Vec::new()),
    };
    let more_fields = i32::try_from(fields.len().saturating_sub(MOST_FIELDS)).unwrap_or(i32::MAX);
    fields.truncate(MOST_FIELDS);
    v1::AppliedTenant {
        id: applied.id.into(),
        change: change.into(),
        fields: fields.into_iter().map(field_change).collect(),
        more_fields,
    }
}

pub(super) fn field_change(change: FieldChange) -> v1::FieldChange {
    let FieldChange { path, before, after } = change;
    v1::FieldChange { path, before, after }
}

/// Why nothing of a request was done.
pub fn refused_fields(refused: Vec<RefusedField>) -> ApiError {
    let waits = refused.iter().all(|field| field.problem == Problem::BeingDeleted);
    let violation = |RefusedField { index, field, problem }| Violation {
        field: format!("declarations[{index}].tenant.{field}"),
        description: match problem {
            Problem::NeededByNew => "is required: there is no such tenant yet".to_owned(),
            Problem::TakenBy(owner) => format!("is the phone of tenant {owner}; give that one another first"),
            Problem::NothingKept => {
                "is to keep credentials that this tenant has not; give them (proxy_file in a file of tenants)"
                    .to_owned()
            }
            Problem::BeingDeleted => {
                "is that of a tenant that is still being deleted; try again when its messages are removed"
                    .to_owned()
            }
        },
    };
    let error = ApiError::invalid(refused.into_iter().map(violation).collect());
    if waits { ApiError { code: ErrorCode::FailedPrecondition, ..error } } else { error }
}
