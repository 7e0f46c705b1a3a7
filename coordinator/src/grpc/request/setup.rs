//! Setup requests as they are judged, and as they are made by a form of the portal.

use roost_proto::{error::ApiError, v1};
use roost_store::{SetupState, SetupVerdict, WantedBusiness};

use super::{Checks, Text, new_tenant};

const REASON: Text = Text::lines(1, 500);

/// What is to become of which request.
pub fn rejected(request: v1::RejectSetupRequestRequest) -> Result<(i64, SetupVerdict), ApiError> {
    let mut checks = Checks::default();
    let id = checks.setup_request_id(request.id);
    let reason = checks.text("reason", &REASON, request.reason);
    match (id, reason) {
        (Some(id), Some(reason)) => Ok((id, SetupVerdict::Rejected { reason })),
        _ => Err(checks.refusal()),
    }
}

/// What a business is to be, held to what any tenant is held to.
pub fn wanted_business(tenant: v1::Tenant) -> Result<WantedBusiness, ApiError> {
    let request = v1::CreateTenantRequest { tenant_id: String::new(), tenant: Some(tenant) };
    let new = new_tenant(request)?;
    Ok(WantedBusiness {
        display_name: new.display_name,
        phone: new.phone,
        template: new.template,
        language: new.language,
        texts: new.texts,
    })
}

pub fn setup_state(given: v1::SetupRequestState) -> Option<SetupState> {
    match given {
        v1::SetupRequestState::Unspecified => None,
        v1::SetupRequestState::Submitted => Some(SetupState::Submitted),
        v1::SetupRequestState::Reviewing => Some(SetupState::Reviewing),
        v1::SetupRequestState::Approved => Some(SetupState::Approved),
        v1::SetupRequestState::Active => Some(SetupState::Active),
        v1::SetupRequestState::Rejected => Some(SetupState::Rejected),
    }
}

impl Checks {
    pub fn setup_request_id(&mut self, given: i64) -> Option<i64> {
        let id = (given > 0)
            .then_some(given)
            .ok_or_else(|| "is required: the number of a setup request".to_owned());
        self.take("id", id)
    }
}
