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
        bytes: None,
    };
    api.store.set_snapshot(&fence, &snapshot).await.unwrap();
    assert_eq!(get().await.snapshot_time.unwrap().seconds, snapshot.at.unix_timestamp());
}

#[tokio::test]
async fn a_code_is_given_in_every_form_until_it_expires_and_never_after() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    let get = async |format: v1::QrFormat| {
        let request = v1::DrawQrCodeRequest { tenant_id: "asha".into(), format: format as i32 };
        api.sessions().draw_qr_code(request).await
    };
    let none = refused(get(v1::QrFormat::Png).await);
    assert_eq!(none.code, ErrorCode::FailedPrecondition);
    assert!(none.message.contains("`roost worker start asha`"), "{}", none.message);
    api.store.set_qr(&fence, Some(code("2@first"))).await.unwrap();
    let forms = [
        (v1::QrFormat::Text, "2@first", "text/plain; charset=utf-8"),
        (v1::QrFormat::PngDataUri, "data:image/png;base64,AAAA", "text/plain; charset=utf-8"),
        (v1::QrFormat::Png, "\0\0\0", "image/png"),
        (v1::QrFormat::Unspecified, "\0\0\0", "image/png"),
        (v1::QrFormat::Svg, "<svg ", "image/svg+xml"),
    ];
    for (format, content, content_type) in forms {
        let given = get(format).await.unwrap().into_inner();
        assert!(String::from_utf8_lossy(&given.content).contains(content), "{format:?}");
        assert_eq!(given.content_type, content_type);
        assert!(given.expire_time.is_some());
    }

    let expired = QrCode { expires_at: OffsetDateTime::now_utc() - Duration::seconds(1), ..code("2@late") };
    api.store.set_qr(&fence, Some(expired)).await.unwrap();
    assert!(refused(get(v1::QrFormat::Text).await).message.contains("has expired"));
    let request = || v1::GetSessionRequest { tenant_id: "asha".into() };
    let session = api.sessions().get_session(request()).await.unwrap().into_inner();
    assert_eq!((session.status(), session.qr), (v1::SessionStatus::QrReady, None));
    let watch = v1::WatchSessionRequest { tenant_id: "asha".into() };
    let mut watch = api.sessions().watch_session(watch).await.unwrap().into_inner();
    assert_eq!(next(&mut watch).await.unwrap().qr, None);
    api.store.report(&fence, &connected()).await.unwrap();
    assert!(refused(get(v1::QrFormat::Svg).await).message.contains("nothing to scan"));
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
async fn a_session_goes_back_to_a_snapshot_that_is_listed_and_to_no_other() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    let list = async || {
        let request = v1::ListSessionSnapshotsRequest { tenant_id: "asha".into() };
        api.sessions().list_session_snapshots(request).await.unwrap().into_inner().snapshots
    };
    assert_eq!(list().await, []);
    for sequence in 1..=3 {
        let (generation, manifest, at) = (fence.generation, "m".into(), OffsetDateTime::now_utc());
        let taken =
            SnapshotPointer { manifest, generation, sequence, clean: sequence == 2, at, bytes: Some(7) };
        api.store.set_snapshot(&fence, &taken).await.unwrap();
    }
    let id = |sequence: i64| format!("{}-{sequence}", fence.generation);
    let listed = list().await;
    let ids: Vec<_> = listed.iter().map(|snapshot| snapshot.id.clone()).collect();
    assert_eq!(ids, [id(3), id(2), id(1)]);
    assert!(listed[0].newest && !listed[1].newest && listed[1].clean && !listed[0].clean);
    let newest = &listed[0];
    assert_eq!((newest.state(), newest.size_bytes), (v1::SnapshotState::Kept, 7));
    assert_eq!(newest.node_id, api.worker("asha").await.node_id);
    assert!(newest.take_time.is_some());

    let restore = async |tenant_id: &str, snapshot_id: String| {
        let (tenant_id, requested_by) = (tenant_id.into(), "asha".into());
        let order =
            v1::RestoreSessionSnapshotRequest { tenant_id, snapshot_id, requested_by, ..Default::default() };
        api.sessions().restore_session_snapshot(order).await
    };
    let wrong = refused(restore("asha", "the last".into()).await);
    assert_eq!(fields(&wrong, ErrorCode::InvalidArgument), ["snapshot_id"]);
    let unknown = refused(restore("asha", id(9)).await);
    assert_eq!(unknown.code, ErrorCode::NotFound);
    assert!(unknown.message.contains("roost session snapshots asha"), "{}", unknown.message);
    assert_eq!(refused(restore("nobody", id(1)).await).code, ErrorCode::NotFound);

    let before = api.worker("asha").await;
    let after = restore("asha", id(1)).await.unwrap().into_inner();
    assert_eq!(
        (after.restarts, after.session_status()),
        (before.restarts + 1, v1::SessionStatus::Disconnected)
    );
    assert!(list().await[2].restore_ordered);
    let why = "it cannot be read";
    api.store.not_restored(&fence, id(1).parse().unwrap(), why).await.unwrap();
    let damaged = refused(restore("asha", id(1)).await);
    assert_eq!(damaged.code, ErrorCode::FailedPrecondition);
    assert!(damaged.message.contains("it is damaged"), "{}", damaged.message);
    let events = api.cluster().list_events(v1::ListEventsRequest::default()).await.unwrap().into_inner();
    let told = |kind| events.events.iter().any(|event| event.kind() == kind && event.requested_by == "asha");
    assert!(told(v1::EventKind::SessionRestoreOrdered) && told(v1::EventKind::SessionRestoreFailed));

    api.store.clear_snapshot(&fence).await.unwrap();
    assert_eq!(list().await[0].state(), v1::SnapshotState::Forgotten);
    let before_log_out = refused(restore("asha", id(3)).await);
    assert_eq!(before_log_out.code, ErrorCode::FailedPrecondition);
    assert!(before_log_out.message.contains("has ended since"), "{}", before_log_out.message);
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
