//! MessageService.

use std::time::{Duration, Instant};

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};
use roost_store::{Completion, Fence, NewInbound, NewOutbound};
use time::OffsetDateTime;

use crate::api::harness::{Api, SOON, WHY, api, fields, next, refused};

async fn receive(api: &Api, fence: &Fence, chat: &str, bodies: &[&str]) {
    let messages: Vec<_> = bodies
        .iter()
        .map(|body| NewInbound {
            whatsapp_id: format!("false_{chat}_{body}"),
            chat: chat.into(),
            sender: chat.into(),
            body: (*body).into(),
            received_at: OffsetDateTime::now_utc(),
            undecoded: None,
        })
        .collect();
    api.store.admit(fence, &messages).await.unwrap();
}

async fn two_tenants(api: &Api) -> (Fence, Fence) {
    api.node("n1").await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    (api.placed("asha").await, api.placed("juma").await)
}

async fn bodies(api: &Api, request: v1::ListMessagesRequest) -> (Vec<String>, String) {
    let page = api.messages().list_messages(request).await.unwrap().into_inner();
    (page.messages.into_iter().map(|message| message.body).collect(), page.next_page_token)
}

#[tokio::test]
async fn messages_are_listed_newest_first_and_by_tenant_chat_and_direction() {
    let api = api().await;
    let (asha, juma) = two_tenants(&api).await;
    receive(&api, &asha, "255700000011@c.us", &["a1", "a2", "a3"]).await;
    receive(&api, &asha, "255700000012@c.us", &["b1"]).await;
    receive(&api, &juma, "255700000011@c.us", &["c1"]).await;
    let all = v1::ListMessagesRequest { reason: WHY.into(), ..Default::default() };
    assert_eq!(bodies(&api, all.clone()).await.0, ["c1", "b1", "a3", "a2", "a1"]);
    let of_asha = v1::ListMessagesRequest { tenant_id: "asha".into(), ..all.clone() };
    assert_eq!(bodies(&api, of_asha.clone()).await.0, ["b1", "a3", "a2", "a1"]);
    let one_chat =
        v1::ListMessagesRequest { chat_id: "255700000011@c.us".into(), page_size: 2, ..of_asha.clone() };
    let (first, token) = bodies(&api, one_chat.clone()).await;
    assert_eq!(first, ["a3", "a2"]);
    let (second, token) = bodies(&api, v1::ListMessagesRequest { page_token: token, ..one_chat }).await;
    assert_eq!((second, token), (vec!["a1".to_owned()], String::new()));
    let sent = v1::ListMessagesRequest { direction: v1::Direction::Out.into(), ..of_asha };
    assert!(bodies(&api, sent).await.0.is_empty());
}

#[tokio::test]
async fn a_message_that_is_too_old_is_listed_with_its_state_and_the_reason() {
    let api = api().await;
    let (asha, _) = two_tenants(&api).await;
    let chat = "255700000011@c.us";
    let old = NewInbound {
        whatsapp_id: "old".into(),
        chat: chat.into(),
        sender: chat.into(),
        body: "old".into(),
        received_at: OffsetDateTime::now_utc() - time::Duration::days(2),
        undecoded: None,
    };
    api.store.admit(&asha, &[old]).await.unwrap();
    receive(&api, &asha, chat, &["new"]).await;
    let too_old = v1::MessageState::TooOld;
    for tenant_id in ["", "asha"] {
        let request = v1::ListMessagesRequest {
            reason: WHY.into(),
            tenant_id: tenant_id.into(),
            state: too_old.into(),
            ..Default::default()
        };
        let messages = api.messages().list_messages(request).await.unwrap().into_inner().messages;
        let [message] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!((message.body.as_str(), message.state()), ("old", too_old));
        assert!(message.state_reason.contains("is not answered"), "{message:?}");
    }
    let of_juma = v1::ListMessagesRequest {
        reason: WHY.into(),
        tenant_id: "juma".into(),
        state: too_old.into(),
        ..Default::default()
    };
    assert!(bodies(&api, of_juma).await.0.is_empty());
    let all = v1::ListMessagesRequest { reason: WHY.into(), ..Default::default() };
    assert_eq!(bodies(&api, all).await.0, ["new", "old"]);
}

#[tokio::test]
async fn a_chat_without_its_tenant_is_refused() {
    let api = api().await;
    let request = v1::ListMessagesRequest {
        reason: WHY.into(),
        chat_id: "255700000011@c.us".into(),
        direction: 9,
        ..Default::default()
    };
    let error = refused(api.messages().list_messages(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["direction", "tenant_id"]);
    let request = v1::WatchMessagesRequest { reason: WHY.into(), tenant_id: "A".into(), backlog: 1_001 };
    let error = refused(api.messages().watch_messages(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["tenant_id", "backlog"]);
}

#[tokio::test]
async fn tail_begins_with_the_backlog_and_follows_the_log() {
    let api = api().await;
    let (asha, juma) = two_tenants(&api).await;
    receive(&api, &asha, "255700000011@c.us", &["a1", "a2", "a3"]).await;
    let request = |tenant: &str, backlog| v1::WatchMessagesRequest {
        reason: WHY.into(),
        tenant_id: tenant.into(),
        backlog,
    };
    let mut tail = api.messages().watch_messages(request("asha", 2)).await.unwrap().into_inner();
    let mut without_backlog = api.messages().watch_messages(request("", 0)).await.unwrap().into_inner();
    for body in ["a2", "a3"] {
        assert_eq!(next(&mut tail).await.unwrap().body, body);
    }
    receive(&api, &asha, "255700000011@c.us", &["a4"]).await;
    receive(&api, &juma, "255700000011@c.us", &["c1"]).await;
    let message = next(&mut tail).await.unwrap();
    assert_eq!((message.body.as_str(), message.direction()), ("a4", v1::Direction::In));
    assert_eq!(message.chat_id, "255700000011@c.us");
    for body in ["a4", "c1"] {
        assert_eq!(next(&mut without_backlog).await.unwrap().body, body);
    }
}

/// However many follow the log, one reads it.
#[tokio::test]
async fn many_tails_read_the_log_as_often_as_one() {
    let api = api().await;
    let (asha, _) = two_tenants(&api).await;
    let mut tails = vec![];
    for number in 0..40 {
        let tenant_id = if number % 2 == 0 { "asha".to_owned() } else { String::new() };
        let request = v1::WatchMessagesRequest { reason: WHY.into(), tenant_id, backlog: 0 };
        tails.push(api.messages().watch_messages(request).await.unwrap().into_inner());
    }
    let readings = async || -> i64 {
        let sql =
            "select (idx_scan + seq_scan)::bigint from pg_stat_user_tables where relname = 'message_logs'";
        sqlx::query_scalar(sql).fetch_one(api.store.pool()).await.unwrap()
    };
    // Each connection tells its statistics once in a second, and one that was idle later: those of the beginning may come in any round. Were
    // there a reading for each tail, there would be too many in all of them.
    let mut seen = readings().await;
    let mut too_many = vec![];
    let is_shared = loop {
        let begun = Instant::now();
        let is_long = || begun.elapsed() >= Duration::from_secs(2);
        wait_until("the log is read", SOON, async || is_long() && readings().await >= seen + 8)
            .await
            .unwrap();
        let (now, took) = (readings().await, begun.elapsed().as_secs_f64());
        let read = (now - seen) as f64;
        if read < 8.0 * (took + 2.0) {
            break true;
        }
        too_many.push(format!("{read} readings in {took:.1} s"));
        if too_many.len() == 8 {
            break false;
        }
        seen = now;
    };
    assert!(is_shared, "{too_many:?}");
    receive(&api, &asha, "255700000011@c.us", &["a1"]).await;
    for tail in &mut tails {
        assert_eq!(next(tail).await.unwrap().body, "a1");
    }
}

#[tokio::test]
async fn a_chat_is_erased_by_order_and_the_history_says_so_without_its_number() {
    let api = api().await;
    let (asha, juma) = two_tenants(&api).await;
    receive(&api, &asha, "255700000011@c.us", &["a1", "a2"]).await;
    receive(&api, &asha, "255700000012@c.us", &["b1"]).await;
    receive(&api, &juma, "255700000011@c.us", &["c1"]).await;
    let order = v1::EraseChatRequest {
        tenant_id: "asha".into(),
        chat_id: "255700000011@c.us".into(),
        requested_by: "juma".into(),
        reason: "the customer asked for it".into(),
    };
    let erase = async |order: &v1::EraseChatRequest| api.messages().erase_chat(order.clone()).await;
    // Two lines of the log, and two messages that wait.
    assert_eq!(erase(&order).await.unwrap().into_inner().erased_rows, 4);
    assert_eq!(
        bodies(&api, v1::ListMessagesRequest { reason: WHY.into(), ..Default::default() }).await.0,
        ["c1", "b1"]
    );
    receive(&api, &asha, "255700000011@c.us", &["a1", "a2"]).await;
    assert_eq!(
        bodies(&api, v1::ListMessagesRequest { reason: WHY.into(), ..Default::default() }).await.0,
        ["c1", "b1"],
        "they came again"
    );
    assert_eq!(erase(&order).await.unwrap().into_inner().erased_rows, 0);

    let filter = v1::ListEventsRequest { tenant_id: "asha".into(), ..Default::default() };
    let events = api.cluster().list_events(filter).await.unwrap().into_inner().events;
    let told = events.iter().filter(|event| event.kind() == v1::EventKind::ChatErased).nth(1).unwrap();
    assert_eq!(told.text, "a chat of tenant asha is erased (4 rows)");
    assert_eq!((told.requested_by.as_str(), told.reason.as_str()), ("juma", "the customer asked for it"));

    let nobody = v1::EraseChatRequest { tenant_id: "nobody".into(), ..order };
    assert_eq!(refused(erase(&nobody).await).code, ErrorCode::NotFound);
    let error = refused(erase(&v1::EraseChatRequest::default()).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["tenant_id", "chat_id"]);
}

/// Two messages and a reply that were given up.
async fn given_up(api: &Api, fence: &Fence) {
    receive(api, fence, "255700000011@c.us", &["a1", "a2", "a3"]).await;
    let pending = api.store.pending_inbound(fence, 0, 10).await.unwrap();
    let reply = NewOutbound {
        seq: 0,
        whatsapp_id: "reply".into(),
        chat: "255700000011@c.us".into(),
        body: "karibu".into(),
        counted: true,
        claimed: false,
    };
    let answer = Completion { inbound_id: pending[2].id, replies: vec![reply], suppressed: None };
    let replies = api.store.complete(fence, &[answer]).await.unwrap();
    api.store.bury_outbound(fence, replies[0].id, "no such account").await.unwrap();
    for message in &pending[..2] {
        api.store.bury_inbound(fence, message.id, "no answer").await.unwrap();
    }
}

#[tokio::test]
async fn dead_letters_are_listed_shown_and_redriven_within_their_bounds() {
    let api = api().await;
    let (asha, juma) = two_tenants(&api).await;
    given_up(&api, &asha).await;
    given_up(&api, &juma).await;
    let list = async |request: v1::ListDeadLettersRequest| {
        api.messages().list_dead_letters(request).await.unwrap().into_inner()
    };
    let of_asha =
        v1::ListDeadLettersRequest { reason: WHY.into(), tenant_id: "asha".into(), ..Default::default() };
    let first = list(v1::ListDeadLettersRequest { page_size: 2, ..of_asha.clone() }).await;
    let token = first.next_page_token.clone();
    let rest = list(v1::ListDeadLettersRequest { page_size: 2, page_token: token, ..of_asha.clone() }).await;
    assert_eq!(
        (first.dead_letters.len(), rest.dead_letters.len(), rest.next_page_token.as_str()),
        (2, 1, "")
    );
    assert_eq!(
        list(v1::ListDeadLettersRequest { reason: WHY.into(), ..Default::default() })
            .await
            .dead_letters
            .len(),
        6
    );
    let replies = v1::ListDeadLettersRequest { direction: v1::Direction::Out.into(), ..of_asha.clone() };
    let reply = list(replies).await.dead_letters.remove(0);
    let one = api
        .messages()
        .get_dead_letter(v1::GetDeadLetterRequest { reason: WHY.into(), id: reply.id.clone() })
        .await;
    assert_eq!(one.unwrap().into_inner(), reply);
    assert_eq!(
        (reply.body.as_str(), reply.reason.as_str(), reply.redrivable),
        ("karibu", "no such account", true)
    );

    let redrive = async |request: v1::RedriveDeadLettersRequest| {
        api.messages().redrive_dead_letters(request).await.unwrap().into_inner()
    };
    let two = v1::RedriveDeadLettersRequest { tenant_id: "asha".into(), limit: 2, ..Default::default() };
    let planned = redrive(v1::RedriveDeadLettersRequest { dry_run: true, ..two.clone() }).await;
    assert_eq!((planned.ids.len(), planned.more), (2, true));
    assert_eq!(list(of_asha.clone()).await.dead_letters.len(), 3, "a dry run does nothing");
    assert_eq!(redrive(two).await, planned);
    let left = list(of_asha.clone()).await.dead_letters.remove(0).id;
    let these = v1::RedriveDeadLettersRequest {
        ids: vec![planned.ids[0].clone(), left.clone()],
        ..Default::default()
    };
    let redriven = redrive(these).await;
    assert_eq!((redriven.ids, redriven.more), (vec![left], false), "the other one is none any more");
    assert_eq!(list(of_asha).await.dead_letters, []);
    let filter = v1::ListEventsRequest { tenant_id: "asha".into(), ..Default::default() };
    let events = api.cluster().list_events(filter).await.unwrap().into_inner().events;
    let told: Vec<_> =
        events.iter().filter(|event| event.kind() == v1::EventKind::DeadLettersRedriven).collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].text, "dead letters of tenant asha are tried again (2)");
}

#[tokio::test]
async fn dead_letters_of_nobody_and_orders_without_a_choice_are_refused() {
    let api = api().await;
    let unknown = api
        .messages()
        .get_dead_letter(v1::GetDeadLetterRequest { reason: WHY.into(), id: "out-7".into() })
        .await;
    assert_eq!(refused(unknown).code, ErrorCode::NotFound);
    let malformed =
        api.messages().get_dead_letter(v1::GetDeadLetterRequest { reason: WHY.into(), id: "7".into() }).await;
    assert_eq!(fields(&refused(malformed), ErrorCode::InvalidArgument), ["id"]);
    let redrive = async |request| refused(api.messages().redrive_dead_letters(request).await);
    let nothing = v1::RedriveDeadLettersRequest::default();
    assert_eq!(fields(&redrive(nothing.clone()).await, ErrorCode::InvalidArgument), ["ids"]);
    let both = v1::RedriveDeadLettersRequest {
        tenant_id: "asha".into(),
        ids: vec!["in-7".into()],
        ..nothing.clone()
    };
    assert_eq!(fields(&redrive(both).await, ErrorCode::InvalidArgument), ["ids"]);
    let wrong = v1::RedriveDeadLettersRequest { ids: vec!["in-7".into(), "7".into()], ..nothing.clone() };
    assert_eq!(fields(&redrive(wrong).await, ErrorCode::InvalidArgument), ["ids"]);
    let much = v1::RedriveDeadLettersRequest { tenant_id: "asha".into(), limit: 1_001, ..nothing.clone() };
    assert_eq!(fields(&redrive(much).await, ErrorCode::InvalidArgument), ["limit"]);
    let nobody = v1::RedriveDeadLettersRequest { tenant_id: "nobody".into(), ..nothing };
    assert_eq!(redrive(nobody).await.code, ErrorCode::NotFound);
    let list =
        v1::ListDeadLettersRequest { reason: WHY.into(), tenant_id: "nobody".into(), ..Default::default() };
    assert_eq!(refused(api.messages().list_dead_letters(list).await).code, ErrorCode::NotFound);
}
