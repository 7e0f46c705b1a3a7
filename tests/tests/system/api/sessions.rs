//! SessionService.

use roost_cluster::ledger::EventKind;
use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};
use roost_store::{QrCode, SessionStatus, SnapshotPointer, StatusReport, TenantStatus, WorkerStatus};
use time::{Duration, OffsetDateTime};

use crate::api::harness::{SOON, api, error_of, fields, next, refused};

fn code(text: &str) -> QrCode {
    let expires_at = OffsetDateTime::now_utc() + Duration::seconds(20);
    QrCode { text: text.into(), data_uri: "data:image/png;base64,AAAA".into(), expires_at }
}

fn connected() -> StatusReport {
    StatusReport {
        tenant_status: Some(TenantStatus::Active),
        session_status: Some(SessionStatus::Connected),
        worker_status: Some(WorkerStatus::Running),
        ..StatusReport::default()
    }
}

#[tokio::test]
async fn the_code_is_shown_while_it_waits_to_be_scanned() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    let get = || async {
        api.sessions()
            .get_session(v1::GetSessionRequest { tenant_id: "asha".into() })
            .await
            .unwrap()
            .into_inner()
    };
    let before = get().await;
    assert_eq!((before.status(), before.qr), (v1::SessionStatus::Disconnected, None));
    api.store.set_qr(&fence, Some(code("2@first"))).await.unwrap();
    let waiting = get().await;
    assert_eq!(waiting.status(), v1::SessionStatus::QrReady);
    let qr = waiting.qr.unwrap();
    assert_eq!((qr.text.as_str(), qr.data_uri.as_str()), ("2@first", "data:image/png;base64,AAAA"));
    assert!(qr.expire_time.is_some());
    assert_eq!(api.tenant_status("asha").await, v1::TenantStatus::QrPending);
    api.store.report(&fence, &connected()).await.unwrap();
    let linked = get().await;
    assert_eq!((linked.status(), linked.qr), (v1::SessionStatus::Connected, None));
    assert!(linked.connect_time.is_some() && linked.snapshot_time.is_none());
    let snapshot = SnapshotPointer {
        manifest: "m".into(),
        generation: fence.generation,
        sequence: 1,
        clean: true,
        at: OffsetDateTime::now_utc(),
    };
    api.store.set_snapshot(&fence, &snapshot).await.unwrap();
    assert_eq!(get().await.snapshot_time.unwrap().seconds, snapshot.at.unix_timestamp());
}

#[tokio::test]
async fn watch_follows_the_codes_until_the_tenant_goes() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    let request = v1::WatchSessionRequest { tenant_id: "asha".into() };
    let mut watch = api.sessions().watch_session(request).await.unwrap().into_inner();
    assert_eq!(next(&mut watch).await.unwrap().qr, None);
    for text in ["2@first", "2@second"] {
        api.store.set_qr(&fence, Some(code(text))).await.unwrap();
        assert_eq!(next(&mut watch).await.unwrap().qr.unwrap().text, text);
    }
    api.store.report(&fence, &connected()).await.unwrap();
    assert_eq!(next(&mut watch).await.unwrap().status(), v1::SessionStatus::Connected);
    api.delete("asha").await;
    assert_eq!(error_of(&next(&mut watch).await.unwrap_err()).code, ErrorCode::NotFound);
}

#[tokio::test]
async fn logout_needs_a_session_that_is_connected() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let logout = || async { api.sessions().logout(v1::LogoutRequest { tenant_id: "asha".into() }).await };
    assert_eq!(refused(logout().await).code, ErrorCode::FailedPrecondition);
    let fence = api.placed("asha").await;
    api.store.report(&fence, &connected()).await.unwrap();
    let carry_out = async {
        let asked = || async { api.store.worker_spec(&fence.tenant).await.unwrap().forget_session };
        wait_until("the node is asked", SOON, asked).await.unwrap();
        api.store.clear_snapshot(&fence).await.unwrap();
        api.store.set_qr(&fence, Some(code("2@next"))).await.unwrap();
    };
    let (answer, ()) = tokio::join!(logout(), carry_out);
    let session = answer.unwrap().into_inner();
    assert_eq!((session.status(), session.logout_problem.as_str()), (v1::SessionStatus::QrReady, ""));
}

#[tokio::test]
async fn logout_answers_what_went_wrong() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    api.store.report(&fence, &connected()).await.unwrap();
    let mut sessions = api.sessions();
    let logout = sessions.logout(v1::LogoutRequest { tenant_id: "asha".into() });
    let carry_out = async {
        let asked = || async { api.store.worker_spec(&fence.tenant).await.unwrap().forget_session };
        wait_until("the node is asked", SOON, asked).await.unwrap();
        api.store.record_event(&fence, EventKind::LogoutFailed, "no answer").await.unwrap();
        api.store.set_qr(&fence, Some(code("2@next"))).await.unwrap();
    };
    let (answer, ()) = tokio::join!(logout, carry_out);
    assert_eq!(answer.unwrap().into_inner().logout_problem, "no answer");
    let listed = api.cluster().list_events(v1::ListEventsRequest::default()).await.unwrap().into_inner();
    assert!(listed.events.iter().any(|event| event.kind() == v1::EventKind::LogoutFailed));
}

#[tokio::test]
async fn snapshots_that_are_nobodys_are_listed_by_page_and_removed_by_order() {
    let api = api().await;
    let uids = [1, 2, 3].map(uuid::Uuid::from_u128);
    api.store.sort_snapshots(&uids).await.unwrap();
    let (mut listed, mut page_token) = (vec![], String::new());
    loop {
        let request = v1::ListSnapshotOrphansRequest { page_size: 2, page_token };
        let page = api.sessions().list_snapshot_orphans(request).await.unwrap().into_inner();
        listed.extend(page.orphans);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let found: Vec<_> = listed.iter().map(|orphan| orphan.uid.clone()).collect();
    assert_eq!(found, uids.map(|uid| uid.to_string()));
    assert!(listed[0].first_seen_time.is_some() && listed[0].removal_ordered_by.is_empty());

    let remove = async |uid: &str| {
        let request = v1::RemoveSnapshotOrphanRequest {
            uid: uid.into(),
            requested_by: "asha".into(),
            ..Default::default()
        };
        api.sessions().remove_snapshot_orphan(request).await
    };
    let ordered = remove(&found[1]).await.unwrap().into_inner();
    assert_eq!((ordered.uid.as_str(), ordered.removal_ordered_by.as_str()), (found[1].as_str(), "asha"));
    let unknown = refused(remove(&uuid::Uuid::from_u128(9).to_string()).await);
    assert_eq!(unknown.code, ErrorCode::NotFound);
    assert_eq!(fields(&refused(remove("x").await), ErrorCode::InvalidArgument), ["uid"]);
}
