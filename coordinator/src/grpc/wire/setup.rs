//! Businesses that are to be set up.

use roost_proto::v1;
use roost_store::{SetupRequest, SetupState};

use super::{language, template, texts, timestamp};

pub fn setup_request(row: SetupRequest) -> v1::SetupRequest {
    let (review_time, reviewed_by) = row.reviewed.unzip();
    v1::SetupRequest {
        id: row.id,
        email: row.email,
        state: setup_state(row.state).into(),
        display_name: row.wanted.display_name,
        phone: row.wanted.phone,
        template: template(row.wanted.template).into(),
        language: language(row.wanted.language).into(),
        texts: Some(texts(row.wanted.texts)),
        submit_time: Some(timestamp(row.submitted_at)),
        review_time: review_time.map(timestamp),
        reviewed_by: reviewed_by.unwrap_or_default(),
        reason: row.reason,
        tenant_id: row.tenant.map(Into::into).unwrap_or_default(),
    }
}

fn setup_state(state: SetupState) -> v1::SetupRequestState {
    match state {
        SetupState::Submitted => v1::SetupRequestState::Submitted,
        SetupState::Reviewing => v1::SetupRequestState::Reviewing,
        SetupState::Approved => v1::SetupRequestState::Approved,
        SetupState::Active => v1::SetupRequestState::Active,
        SetupState::Rejected => v1::SetupRequestState::Rejected,
    }
}
