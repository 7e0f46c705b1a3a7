//! MessageService.

use roost_proto::{error::ErrorCode, v1};
use roost_store::{Fence, NewInbound};
use time::OffsetDateTime;

use crate::api::harness::{Api, api, fields, next, refused};

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
    let all = v1::ListMessagesRequest::default();
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
async fn a_chat_without_its_tenant_is_refused() {
    let api = api().await;
    let request =
        v1::ListMessagesRequest { chat_id: "255700000011@c.us".into(), direction: 9, ..Default::default() };
    let error = refused(api.messages().list_messages(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["direction", "tenant_id"]);
    let request = v1::WatchMessagesRequest { tenant_id: "A".into(), backlog: 1_001 };
    let error = refused(api.messages().watch_messages(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["tenant_id", "backlog"]);
}

#[tokio::test]
async fn tail_begins_with_the_backlog_and_follows_the_log() {
    let api = api().await;
    let (asha, juma) = two_tenants(&api).await;
    receive(&api, &asha, "255700000011@c.us", &["a1", "a2", "a3"]).await;
    let request = |tenant: &str, backlog| v1::WatchMessagesRequest { tenant_id: tenant.into(), backlog };
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
    assert_eq!(bodies(&api, v1::ListMessagesRequest::default()).await.0, ["c1", "b1"]);
    receive(&api, &asha, "255700000011@c.us", &["a1", "a2"]).await;
    assert_eq!(bodies(&api, v1::ListMessagesRequest::default()).await.0, ["c1", "b1"], "they came again");
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
