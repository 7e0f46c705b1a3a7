//! RequestPairingCode and ResumeLinking.

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};
use roost_store::{Fence, PairingAnswer, SessionStatus, StatusReport};
use time::{Duration, OffsetDateTime};
use tonic::{Response, Status};

use crate::api::harness::{Api, SOON, api, fields, refused};

async fn ask(api: &Api, phone_number: &str) -> Result<Response<v1::PairingCode>, Status> {
    let (tenant_id, phone_number) = ("asha".into(), phone_number.into());
    let request = v1::RequestPairingCodeRequest { tenant_id, phone_number };
    api.sessions().request_pairing_code(request).await
}

/// As its owner does it, once it is asked.
async fn answer(api: &Api, fence: &Fence, answer: PairingAnswer) {
    let asked = async || api.store.worker_spec(&fence.tenant).await.unwrap().pairing;
    wait_until("the node is asked", SOON, || async { asked().await.is_some() }).await.unwrap();
    let order = asked().await.unwrap();
    assert!(order.phone.bytes().all(|byte| byte.is_ascii_digit()), "{}", order.phone);
    api.store.answer_pairing(fence, order.id, &answer).await.unwrap();
}

#[tokio::test]
async fn a_code_is_for_its_caller_and_what_is_in_the_way_is_told_with_what_to_do() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let own = api.store.get_tenant(&roost_model::ids::TenantId::new("asha").unwrap()).await.unwrap();
    let own = own.settings.phone.clone();
    let stopped = refused(ask(&api, "").await);
    assert_eq!(stopped.code, ErrorCode::FailedPrecondition);
    assert!(stopped.message.contains("start its worker"), "{}", stopped.message);

    let fence = api.placed("asha").await;
    let wrong = refused(ask(&api, "0700 000 001").await);
    assert_eq!(fields(&wrong, ErrorCode::InvalidArgument), ["phone_number"]);
    let other = refused(ask(&api, "+255799999999").await);
    assert_eq!(other.code, ErrorCode::FailedPrecondition);
    assert!(other.message.contains(&own), "{}", other.message);

    let expires_at = OffsetDateTime::now_utc() + Duration::seconds(180);
    let code = PairingAnswer::Code { text: "ABCDEFGH".into(), expires_at };
    let (given, ()) = tokio::join!(ask(&api, &own), answer(&api, &fence, code));
    let given = given.unwrap().into_inner();
    assert_eq!((given.code.as_str(), given.phone_number), ("ABCDEFGH", own));
    assert_eq!(given.expire_time.unwrap().seconds, expires_at.unix_timestamp());

    let late = PairingAnswer::Code { text: "ABCDEFGH".into(), expires_at: OffsetDateTime::now_utc() };
    let (given, ()) = tokio::join!(ask(&api, ""), answer(&api, &fence, late));
    assert!(refused(given).message.contains("not given a code in time"), "one that has expired is none");
    let limited = PairingAnswer::Refused { reason: "rate-overlimit".into() };
    let (given, ()) = tokio::join!(ask(&api, ""), answer(&api, &fence, limited));
    assert!(refused(given).message.contains("rate-overlimit; wait before"));

    let fourth = refused(ask(&api, "").await);
    assert_eq!(fourth.code, ErrorCode::Exhausted);
    assert!(fourth.message.contains("3 codes were asked for"), "{}", fourth.message);

    let linked = StatusReport { session_status: Some(SessionStatus::Connected), ..StatusReport::default() };
    api.store.report(&fence, &linked).await.unwrap();
    assert!(refused(ask(&api, "").await).message.contains("is linked"));
}

#[tokio::test]
async fn whoever_asks_for_a_code_has_codes_shown_again() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    let spec = || async { api.store.worker_spec(&fence.tenant).await.unwrap() };
    let pause = || async { api.store.pause_scan(&fence, spec().await.restart_seq, "nobody").await.unwrap() };
    assert!(pause().await);
    let qr = v1::DrawQrCodeRequest { tenant_id: "asha".into(), format: 0 };
    let none = refused(api.sessions().draw_qr_code(qr).await);
    assert!(none.message.contains("`roost session resume asha`"), "{}", none.message);
    let resume = || v1::ResumeLinkingRequest { tenant_id: "asha".into() };
    let session = api.sessions().resume_linking(resume()).await.unwrap().into_inner();
    assert!(session.scan_pause_time.is_none() && !spec().await.scan_paused);
    assert!(pause().await);
    let refusal = PairingAnswer::Refused { reason: "no".into() };
    let (given, ()) = tokio::join!(ask(&api, ""), answer(&api, &fence, refusal));
    assert!(given.is_err() && !spec().await.scan_paused);

    let listed = api.cluster().list_events(v1::ListEventsRequest::default()).await.unwrap().into_inner();
    let told = |kind: v1::EventKind| listed.events.iter().filter(|event| event.kind() == kind).count();
    assert_eq!((told(v1::EventKind::ScanPaused), told(v1::EventKind::ScanResumed)), (2, 2));
    let nobody = v1::ResumeLinkingRequest { tenant_id: "nobody".into() };
    assert_eq!(refused(api.sessions().resume_linking(nobody).await).code, ErrorCode::NotFound);
}
