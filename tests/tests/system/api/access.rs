//! Tokens, what their roles may call, and the audit.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::{StreamExt, stream};
use roost_coordinator::app::access::calls::CALLS;
use roost_model::Role;
use roost_proto::{
    error::ErrorCode,
    v1::{
        self, access_service_client::AccessServiceClient, cluster_service_client::ClusterServiceClient,
        message_service_client::MessageServiceClient, worker_service_client::WorkerServiceClient,
    },
};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::api::{
    any_call::{call, code, request_about},
    harness::{Api, SOON, TOKEN, WHY, api, error_of, fields, next, paced_api, refused},
};

/// After which a token that was revoked lets nobody in, and its streams have ended.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

fn wire_role(role: Role) -> v1::Role {
    v1::Role::from_str_name(&format!("ROLE_{}", role.as_str().to_uppercase())).unwrap()
}

async fn token(api: &Api, name: &str, role: Role, tenant: &str) -> v1::CreateTokenResponse {
    let request = v1::CreateTokenRequest {
        name: name.into(),
        role: wire_role(role).into(),
        tenant_id: tenant.into(),
        lifetime: None,
    };
    AccessServiceClient::new(api.authed(TOKEN)).create_token(request).await.unwrap().into_inner()
}

async fn secret(api: &Api, role: Role, tenant: &str) -> String {
    token(api, role.as_str(), role, tenant).await.secret
}

/// A call is answered as for another id, whatever stands in its place.
fn same_but_for(answer: &Result<(), Status>, id: &str) -> (Code, String, Vec<u8>) {
    let Err(status) = answer else { return (Code::Ok, String::new(), Vec::new()) };
    let details = String::from_utf8_lossy(status.details()).replace(id, "?????");
    (status.code(), status.message().replace(id, "?????"), details.into_bytes())
}

#[tokio::test]
async fn each_role_may_make_the_calls_of_the_table_and_no_others() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut asked = Vec::new();
    for role in Role::ALL {
        let token = secret(&api, role, if role.is_of_a_tenant() { "asha" } else { "" }).await;
        let ours = CALLS.iter().filter(|call| call.path.starts_with("/roost."));
        asked.extend(ours.map(|call| (role, token.clone(), call)));
    }
    // Some wait for a node that there is not.
    let answers = stream::iter(&asked).map(async |(role, token, known)| {
        let own = known.subject.tenant().filter(|_| role.is_of_a_tenant()).map(|field| (field, "asha"));
        let deadline = Instant::now() + SOON;
        loop {
            let answer = call(&api, token, known.path, request_about(known.path, own)).await;
            // A busy machine's database may be late for some of so many at once.
            if code(&answer) != Code::Unavailable || Instant::now() > deadline {
                return (role, known, answer);
            }
        }
    });
    let mut answers = pin!(answers.buffer_unordered(8));
    while let Some((role, known, answer)) = answers.next().await {
        let told = code(&answer);
        assert_ne!(told, Code::Unauthenticated, "{role:?} {}", known.path);
        let is_denied = told == Code::PermissionDenied;
        assert_eq!(is_denied, !known.roles.contains(role), "{role:?} {}: {answer:?}", known.path);
        if is_denied {
            let error = error_of(&answer.unwrap_err());
            assert!(error.message.contains(role.as_str()), "{}", error.message);
        }
    }
}

#[tokio::test]
async fn whoever_is_of_one_tenant_is_told_of_another_what_is_told_of_none() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("other", 2).await;
    let mut asked = BTreeSet::new();
    for role in Role::ALL.into_iter().filter(|role| role.is_of_a_tenant()) {
        let token = secret(&api, role, "asha").await;
        for known in CALLS.iter().filter(|call| call.roles.contains(&role)) {
            let Some(field) = known.subject.tenant() else { continue };
            let about = async |id: &'static str| {
                call(&api, &token, known.path, request_about(known.path, Some((field, id)))).await
            };
            let (other, nobody) = (about("other").await, about("nobdy").await);
            assert_eq!(code(&other), Code::NotFound, "{} {other:?}", known.path);
            assert_eq!(same_but_for(&other, "other"), same_but_for(&nobody, "nobdy"), "{}", known.path);
            // Nor does saying nothing mean all of them.
            let nothing = call(&api, &token, known.path, Vec::new()).await;
            assert_eq!(code(&nothing), Code::InvalidArgument, "{} {nothing:?}", known.path);
            asked.insert(known.path);
        }
    }
    assert!(asked.len() >= 12, "{asked:?}");
}

#[tokio::test]
async fn a_token_that_is_revoked_lets_nobody_in_and_ends_its_streams() {
    let api = api().await;
    let (kept, gone) =
        (token(&api, "kept", Role::Viewer, "").await, token(&api, "gone", Role::Viewer, "").await);
    let watch = async |secret: &str| {
        let mut client = ClusterServiceClient::new(api.authed(secret));
        client
            .watch_events(v1::WatchEventsRequest { backlog: 0, ..Default::default() })
            .await
            .unwrap()
            .into_inner()
    };
    let (mut open, mut stays) = (watch(&gone.secret).await, watch(&kept.secret).await);
    let id = gone.token.unwrap().id;
    let mut admin = AccessServiceClient::new(api.authed(TOKEN));
    let revoked = admin.revoke_token(v1::RevokeTokenRequest { id }).await.unwrap().into_inner();
    assert!(revoked.revoke_time.is_some() && revoked.revoked_by.starts_with("token file "), "{revoked:?}");
    let begun = Instant::now();
    let ended = loop {
        match next(&mut open).await {
            Ok(_event) => {}
            Err(status) => break error_of(&status),
        }
    };
    assert_eq!(ended.code, ErrorCode::Unauthenticated, "{ended:?}");
    assert!(begun.elapsed() < REVOKED_WITHIN, "{:?}", begun.elapsed());
    tokio::time::sleep_until(begun + REVOKED_WITHIN).await;
    let mut caller = AccessServiceClient::new(api.authed(&gone.secret));
    let error = refused(caller.get_caller(v1::GetCallerRequest {}).await);
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    assert!(error.message.contains("was revoked"), "{}", error.message);
    // Twice is the same as once; and others go on.
    let again = admin.revoke_token(v1::RevokeTokenRequest { id }).await.unwrap().into_inner();
    assert_eq!(again.revoke_time, revoked.revoke_time);
    let pause = v1::PauseFailoverRequest { requested_by: "asha".into(), reason: "a test".into() };
    ClusterServiceClient::new(api.authed(TOKEN)).pause_failover(pause).await.unwrap();
    next(&mut stays).await.unwrap();
}

#[tokio::test]
async fn a_tokens_end_and_its_tenants_end_are_its_bearers_end() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let made = token(&api, "soon", Role::Owner, "asha").await;
    let worker = async |secret: &str| {
        let mut client = WorkerServiceClient::new(api.authed(secret));
        client.get_worker(v1::GetWorkerRequest { tenant_id: "asha".into() }).await
    };
    assert!(worker(&made.secret).await.is_ok());
    let mut database = PgConnection::connect(&api.database_url).await.unwrap();
    let lapse = "update access_tokens set expires_at = now() where name = 'soon'";
    sqlx::query(lapse).execute(&mut database).await.unwrap();
    let error = until_refused(|| worker(&made.secret)).await;
    assert!(error.message.contains("lapsed at"), "{}", error.message);
    let other = token(&api, "other", Role::Owner, "asha").await;
    assert!(worker(&other.secret).await.is_ok());
    api.tenants().delete_tenant(v1::DeleteTenantRequest { id: "asha".into() }).await.unwrap();
    let error = until_refused(|| worker(&other.secret)).await;
    assert!(error.message.contains("is not known"), "{}", error.message);
}

async fn until_refused<T, F>(asked: impl Fn() -> F) -> roost_proto::error::ApiError
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let deadline = Instant::now() + SOON;
    loop {
        match asked().await {
            Err(status) if status.code() == Code::Unauthenticated => return error_of(&status),
            _ => assert!(Instant::now() < deadline, "it is still let in"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_token_is_told_once_and_kept_as_its_digest() {
    let api = api().await;
    let made = token(&api, "ci", Role::Operator, "").await;
    let mut database = PgConnection::connect(&api.database_url).await.unwrap();
    let kept: String = sqlx::query_scalar("select to_jsonb(a)::text from access_tokens a")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert!(!kept.contains(&made.secret[6..]), "{kept}");
    let mut admin = AccessServiceClient::new(api.authed(TOKEN));
    let again =
        v1::CreateTokenRequest { name: "ci".into(), role: v1::Role::Viewer.into(), ..Default::default() };
    assert_eq!(refused(admin.create_token(again.clone()).await).code, ErrorCode::AlreadyExists);
    let lost = v1::CreateTokenRequest {
        tenant_id: "nobody".into(),
        role: v1::Role::Staff.into(),
        name: "x".into(),
        ..again.clone()
    };
    assert_eq!(refused(admin.create_token(lost).await).code, ErrorCode::NotFound);
    let wrong = refused(admin.create_token(v1::CreateTokenRequest::default()).await);
    assert_eq!(fields(&wrong, ErrorCode::InvalidArgument), ["name", "role"]);
    assert_eq!(
        refused(admin.revoke_token(v1::RevokeTokenRequest { id: 77 }).await).code,
        ErrorCode::NotFound
    );
    // A name is free again when its token counts no more.
    let id = made.token.unwrap().id;
    admin.revoke_token(v1::RevokeTokenRequest { id }).await.unwrap();
    admin.create_token(again).await.unwrap();
    let list = async |show_ended, page_token: &str| {
        let request = v1::ListTokensRequest { page_size: 1, page_token: page_token.into(), show_ended };
        AccessServiceClient::new(api.authed(TOKEN)).list_tokens(request).await.unwrap().into_inner()
    };
    let counted = list(false, "").await;
    assert_eq!((counted.tokens.len(), counted.next_page_token.as_str()), (1, ""));
    let first = list(true, "").await;
    let second = list(true, &first.next_page_token).await;
    assert_eq!((first.tokens[0].role, second.tokens[0].id), (v1::Role::Viewer as i32, id));
}

async fn audit(api: &Api, tenant: &str) -> Vec<v1::AuditEntry> {
    let request = v1::ListAuditEntriesRequest { tenant_id: tenant.into(), ..Default::default() };
    let mut admin = AccessServiceClient::new(api.authed(TOKEN));
    admin.list_audit_entries(request).await.unwrap().into_inner().entries
}

#[tokio::test]
async fn orders_and_refusals_and_looks_at_content_are_in_the_audit_and_stay_there() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let (operator, owner) = (secret(&api, Role::Operator, "").await, secret(&api, Role::Owner, "asha").await);
    let erase = v1::EraseChatRequest {
        tenant_id: "asha".into(),
        chat_id: "254700000009@c.us".into(),
        requested_by: "juma".into(),
        reason: "the customer asked".into(),
    };
    let messages = |token: &str| MessageServiceClient::new(api.authed(token));
    messages(&operator).erase_chat(erase).await.unwrap();
    let list = v1::ListMessagesRequest { reason: WHY.into(), tenant_id: "asha".into(), ..Default::default() };
    messages(&operator).list_messages(list.clone()).await.unwrap();
    // What is its own is no matter of the audit.
    messages(&owner).list_messages(list).await.unwrap();
    let mut workers = WorkerServiceClient::new(api.authed(&owner));
    workers.get_worker(v1::GetWorkerRequest { tenant_id: "asha".into() }).await.unwrap();
    let force = v1::ForceRestartWorkerRequest { tenant_id: "asha".into(), wipe_session: false };
    assert_eq!(refused(workers.force_restart_worker(force).await).code, ErrorCode::PermissionDenied);
    let told: Vec<_> = audit(&api, "asha")
        .await
        .into_iter()
        .map(|entry| (entry.caller, entry.call, entry.result, entry.requested_by, entry.reason, entry.origin))
        .collect();
    let entry = |caller: &str, call: &str, result: &str, by: &str, why: &str| {
        (
            caller.to_owned(),
            call.to_owned(),
            result.to_owned(),
            by.to_owned(),
            why.to_owned(),
            "127.0.0.1".to_owned(),
        )
    };
    let (by, why) = ("juma", "the customer asked");
    assert_eq!(
        told[..3],
        [
            entry("token owner", "WorkerService/ForceRestartWorker", "PERMISSION_DENIED", "", ""),
            entry("token operator", "MessageService/ListMessages", "OK", "", WHY),
            entry("token operator", "MessageService/EraseChat", "OK", by, why),
        ]
    );
    // Above them what the test itself has done with its file's token: the tenant and its tokens.
    assert!(told[3..].iter().all(|entry| entry.0.starts_with("token file ")), "{told:?}");
    let mut database = PgConnection::connect(&api.database_url).await.unwrap();
    for change in ["update audit_log set caller = 'nobody'", "delete from audit_log", "truncate audit_log"] {
        let refused = sqlx::query(change).execute(&mut database).await.unwrap_err().to_string();
        assert!(refused.contains("added to and never changed"), "{refused}");
    }
    api.tenants().delete_tenant(v1::DeleteTenantRequest { id: "asha".into() }).await.unwrap();
    assert_eq!(audit(&api, "asha").await.len(), told.len() + 1);
}

#[tokio::test]
async fn whoever_runs_the_cluster_says_why_he_looks_and_the_tenant_can_read_it() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let operator = secret(&api, Role::Operator, "").await;
    let (owner, other) = (secret(&api, Role::Owner, "asha").await, secret(&api, Role::Staff, "juma").await);
    let messages = |token: &str| MessageServiceClient::new(api.authed(token));
    let list = |tenant: &str, reason: &str| v1::ListMessagesRequest {
        tenant_id: tenant.into(),
        reason: reason.into(),
        ..Default::default()
    };
    for silent in ["", "  "] {
        let error = refused(messages(&operator).list_messages(list("asha", silent)).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["reason"]);
    }
    let watch = v1::WatchMessagesRequest { tenant_id: "asha".into(), ..Default::default() };
    assert_eq!(
        fields(&refused(messages(&operator).watch_messages(watch).await), ErrorCode::InvalidArgument),
        ["reason"]
    );
    let shot = v1::TakeScreenshotRequest { tenant_id: "asha".into(), ..Default::default() };
    let mut inspection =
        v1::worker_inspection_service_client::WorkerInspectionServiceClient::new(api.authed(&operator));
    assert_eq!(
        fields(&refused(inspection.take_screenshot(shot).await), ErrorCode::InvalidArgument),
        ["reason"]
    );
    let letter = v1::GetDeadLetterRequest { id: "in-7".into(), ..Default::default() };
    assert_eq!(
        fields(&refused(messages(&operator).get_dead_letter(letter).await), ErrorCode::InvalidArgument),
        ["reason"]
    );
    // Its own people need no reason, and are in no such list.
    messages(&owner).list_messages(list("asha", "")).await.unwrap();

    let pool = sqlx::PgPool::connect(&api.database_url).await.unwrap();
    let dead = "insert into bm_in (tenant_id, whatsapp_id, whatsapp_digest, chat_id, sender, body, first_in_chat, state, last_error)
        values ('asha', 'm1', message_digest('m1'), '255700000011@c.us', '', 'fish', true, 'DEAD', 'gone') returning id";
    let dead: i64 = sqlx::query_scalar(dead).fetch_one(&pool).await.unwrap();
    messages(&operator).list_messages(list("asha", "the owner asked")).await.unwrap();
    messages(&operator).list_messages(list("juma", "his matter")).await.unwrap();
    messages(&operator).list_messages(list("", "all at once")).await.unwrap();
    let letter = v1::GetDeadLetterRequest { id: format!("in-{dead}"), reason: "it was given up".into() };
    messages(&operator).get_dead_letter(letter).await.unwrap();

    let looks = async |token: &str, tenant: &str, page_size, page_token: String| {
        let request = v1::ListLooksRequest { tenant_id: tenant.into(), page_size, page_token };
        let mut access = v1::access_service_client::AccessServiceClient::new(api.authed(token));
        access.list_looks(request).await.map(tonic::Response::into_inner)
    };
    let reasons =
        |page: &v1::ListLooksResponse| page.looks.iter().map(|look| look.reason.clone()).collect::<Vec<_>>();
    let first = looks(&owner, "asha", 2, String::new()).await.unwrap();
    assert_eq!(reasons(&first), ["it was given up", "all at once"]);
    assert_eq!((first.looks[1].tenant_id.as_str(), first.looks[0].caller.as_str()), ("", "token operator"));
    let rest = looks(&owner, "asha", 2, first.next_page_token).await.unwrap();
    assert_eq!(reasons(&rest), ["the owner asked"]);
    assert_eq!(
        reasons(&looks(&other, "juma", 0, String::new()).await.unwrap()),
        ["all at once", "his matter"]
    );
    assert_eq!(
        error_of(&looks(&other, "asha", 0, String::new()).await.unwrap_err()).code,
        ErrorCode::NotFound
    );

    let mut browser = crate::api::portal::signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let page = browser.get("/t/asha/looks").await;
    assert!(
        page.status == 200 && page.text.contains("the owner asked") && !page.text.contains("his matter"),
        "{page:?}"
    );
}

#[tokio::test]
async fn a_caller_that_calls_too_often_or_holds_too_much_is_told_when_to_come_again_and_nobody_else_is() {
    let api = paced_api(5).await;
    api.tenant("asha", 1).await;
    let (owner, staff) = (secret(&api, Role::Owner, "asha").await, secret(&api, Role::Staff, "asha").await);
    let get = async |token: &str| {
        let mut workers = WorkerServiceClient::new(api.authed(token));
        workers.get_worker(v1::GetWorkerRequest { tenant_id: "asha".into() }).await
    };
    let refused_of = async |token: &str| {
        for _ in 0..100 {
            if let Err(status) = get(token).await {
                return error_of(&status);
            }
        }
        panic!("100 calls were answered in no time");
    };
    let error = refused_of(&owner).await;
    assert_eq!(error.code, ErrorCode::Exhausted);
    let wait = error.unavailable.expect("a time").retry_after;
    assert!(wait <= Duration::from_millis(200), "{wait:?}");
    get(&staff).await.unwrap();
    // The same in HTTP, of the same caller.
    let addr = api.coordinator.http_addr().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = async || {
        let request = client.get(format!("http://{addr}/v1/tenants/asha/worker")).bearer_auth(&owner);
        request.send().await.unwrap()
    };
    let answer = async {
        loop {
            let answer = asked().await;
            if answer.status() == 429 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(SOON, answer).await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "1");
    tokio::time::sleep(wait).await;
    let again = async || get(&owner).await.is_ok();
    roost_devcluster::wait_until("the caller is answered again", SOON, again).await.unwrap();
}

#[tokio::test]
async fn the_streams_of_one_tenants_caller_are_bounded_until_they_end() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let (owner, staff) = (secret(&api, Role::Owner, "asha").await, secret(&api, Role::Staff, "asha").await);
    let watch = async |token: &str| {
        let mut messages = MessageServiceClient::new(api.authed(token));
        let request = v1::WatchMessagesRequest { tenant_id: "asha".into(), ..Default::default() };
        messages.watch_messages(request).await
    };
    let mut open = Vec::new();
    let error = loop {
        match watch(&owner).await {
            Ok(stream) => open.push(stream),
            Err(status) => break error_of(&status),
        }
    };
    assert_eq!((open.len(), error.code), (64, ErrorCode::Exhausted));
    watch(&staff).await.unwrap();
    open.pop();
    let again = async || watch(&owner).await.is_ok();
    roost_devcluster::wait_until("a place is free again", SOON, again).await.unwrap();
}
