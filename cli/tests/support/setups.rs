//! What the scripted coordinator is asked for.

use roost_proto::v1::{setup_service_server::SetupService, *};
use tonic::{Request, Response, async_trait};

use super::{Answer, Script, at, unknown};

const LINK: &str = "http://127.0.0.1:7118/welcome/roost_bm90IGEgcmVhbCBsaW5rLCBvbmx5IG9uZSBvZiB0aGUgdGVzdHM";

fn submitted() -> SetupRequest {
    SetupRequest {
        id: 7,
        email: "asha@duka.example".into(),
        state: SetupRequestState::Submitted.into(),
        display_name: "Duka la Mama Asha".into(),
        phone: "+255700000001".into(),
        template: Template::Ecommerce.into(),
        language: Language::Sw.into(),
        texts: Some(BusinessTexts { greeting: "Karibu!".into(), ..BusinessTexts::default() }),
        submit_time: at(60),
        ..SetupRequest::default()
    }
}

fn judged(id: i64, change: impl FnOnce(SetupRequest) -> SetupRequest) -> Answer<SetupRequest> {
    if id != 7 {
        return Err(unknown("setup request", &id.to_string()));
    }
    let looked_at = SetupRequest { review_time: at(120), reviewed_by: "token ci".into(), ..submitted() };
    Ok(Response::new(change(looked_at)))
}

#[async_trait]
impl SetupService for Script {
    async fn invite_applicant(&self, _: Request<InviteApplicantRequest>) -> Answer<InviteApplicantResponse> {
        Ok(Response::new(InviteApplicantResponse { url: LINK.into() }))
    }

    async fn list_setup_requests(
        &self,
        request: Request<ListSetupRequestsRequest>,
    ) -> Answer<ListSetupRequestsResponse> {
        let rejected = SetupRequest {
            id: 6,
            state: SetupRequestState::Rejected.into(),
            review_time: at(30),
            reviewed_by: "token ci".into(),
            reason: "the number is not on WhatsApp".into(),
            ..submitted()
        };
        let wanted = request.into_inner().state;
        let mut setup_requests = vec![submitted(), rejected];
        setup_requests.retain(|request| wanted == 0 || request.state == wanted);
        Ok(Response::new(ListSetupRequestsResponse { setup_requests, next_page_token: String::new() }))
    }

    async fn get_setup_request(&self, request: Request<GetSetupRequestRequest>) -> Answer<SetupRequest> {
        judged(request.into_inner().id, |_| submitted())
    }

    async fn review_setup_request(
        &self,
        request: Request<ReviewSetupRequestRequest>,
    ) -> Answer<SetupRequest> {
        let state = SetupRequestState::Reviewing.into();
        judged(request.into_inner().id, |request| SetupRequest { state, ..request })
    }

    async fn approve_setup_request(
        &self,
        request: Request<ApproveSetupRequestRequest>,
    ) -> Answer<SetupRequest> {
        let ApproveSetupRequestRequest { id, tenant_id } = request.into_inner();
        let state = SetupRequestState::Approved.into();
        let tenant_id = if tenant_id.is_empty() { "duka-la-mama-asha-7".into() } else { tenant_id };
        judged(id, |request| SetupRequest { state, tenant_id, ..request })
    }

    async fn reject_setup_request(
        &self,
        request: Request<RejectSetupRequestRequest>,
    ) -> Answer<SetupRequest> {
        let RejectSetupRequestRequest { id, reason } = request.into_inner();
        let state = SetupRequestState::Rejected.into();
        judged(id, |request| SetupRequest { state, reason, ..request })
    }
}
