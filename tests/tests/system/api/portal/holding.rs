//! Chats that members take over in the portal, and callers of the API.

use roost_proto::{
    error::ErrorCode,
    v1::{self, chat_service_client::ChatServiceClient},
};

use super::{
    audit,
    browser::{Page, signed_in},
};
use crate::api::harness::{Api, TOKEN, api, error_of};

const CHAT: &str = "/t/asha/chats/255600000001%40c%2Eus";

async fn written_to(api: &Api) {
    let pool = sqlx::PgPool::connect(&api.database_url).await.unwrap();
    for sql in [
        "insert into chats (tenant_id, chat_id) values ('asha', '255600000001@c.us')",
        "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id)
            values ('asha', 'IN', '255600000001@c.us', 'Is there fish?', 'm1')",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
}

async fn queued(api: &Api) -> Vec<(String, String)> {
    let pool = sqlx::PgPool::connect(&api.database_url).await.unwrap();
    sqlx::query_as("select said_by, body from bm_out order by id").fetch_all(&pool).await.unwrap()
}

fn version(page: &Page) -> &str {
    field(page, "version")
}

fn field<'a>(page: &'a Page, name: &str) -> &'a str {
    let (_, rest) = page.text.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
    rest.split('"').next().expect("a value")
}

#[tokio::test]
async fn of_two_members_who_take_a_chat_one_answers_in_it_and_the_other_sees_who() {
    let api = api().await;
    api.tenant("asha", 1).await;
    written_to(&api).await;
    let mut owner = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let mut staff = signed_in(&api, "asha", "juma@duka.example", v1::Role::Staff).await;
    let page = owner.get(CHAT).await;
    assert!(page.text.contains("Answered by itself") && !page.text.contains("name=\"text\""), "{page:?}");
    let (token, seen) = (page.form_token(), version(&page).to_owned());
    let hold = format!("{CHAT}/hold");
    let old = [("order", "take-over"), ("version", &seen), ("form_token", "0")];
    assert_eq!(owner.post(&hold, &old).await.status, 403);
    let taken = [("order", "take-over"), ("version", &seen), ("form_token", &token)];
    assert_eq!(owner.post(&hold, &taken).await.location(), Some(CHAT));

    let theirs = staff.get(CHAT).await.form_token();
    let late = [("order", "take-over"), ("version", seen.as_str()), ("form_token", theirs.as_str())];
    let refused = staff.post(&hold, &late).await;
    assert!(refused.status == 409 && refused.text.contains("asha@duka.example has this"), "{refused:?}");
    let not_his = [("text", "mine"), ("key", "1"), ("form_token", theirs.as_str())];
    let refused = staff.post(&format!("{CHAT}/say"), &not_his).await;
    assert!(refused.status == 409 && refused.text.contains("quicker"), "{refused:?}");

    let page = owner.get(CHAT).await;
    assert!(page.text.contains("You have this conversation"), "{page:?}");
    let key = field(&page, "key").to_owned();
    let say = [("text", "There <b>is</b>.\r\nFresh."), ("key", &key), ("form_token", &token)];
    for _ in 0..2 {
        assert_eq!(owner.post(&format!("{CHAT}/say"), &say).await.location(), Some(CHAT));
    }
    let empty = [("text", " "), ("key", "2"), ("form_token", token.as_str())];
    let refused = owner.post(&format!("{CHAT}/say"), &empty).await;
    assert!(refused.status == 400 && refused.text.contains("4,096 characters"), "{refused:?}");
    let said = ("user asha@duka.example".to_owned(), "There <b>is</b>.\nFresh.".to_owned());
    assert_eq!(queued(&api).await, [said], "a form that is sent twice says it once");
    let page = staff.get(CHAT).await;
    assert!(page.text.contains("There &lt;b&gt;is") && page.text.contains("Is being sent"), "{page:?}");

    let version = version(&page).to_owned();
    let release = [("order", "release"), ("version", &version), ("form_token", &theirs)];
    assert_eq!(staff.post(&hold, &release).await.status, 303, "anybody gives it back who could have it");
    assert!(owner.get(CHAT).await.text.contains("Answered by itself"));
    let hers = audit(&api, "user asha@duka.example").await;
    let calls: Vec<_> = hers.iter().rev().map(|(call, result)| (call.as_str(), result.as_str())).collect();
    assert_eq!(calls[0], ("ChatService/TakeOverChat", "OK"));
    assert_eq!(calls[1], ("ChatService/SendChatMessage", "OK"));
    let his = audit(&api, "user juma@duka.example").await;
    assert!(his.contains(&("ChatService/TakeOverChat".into(), "FAILED_PRECONDITION".into())), "{his:?}");
    for path in ["/t/asha/chats/1%40c%2Eus", "/t/none/chats/255600000001%40c%2Eus"] {
        let order = [("order", "take-over"), ("version", "0"), ("form_token", token.as_str())];
        assert_eq!(owner.post(&format!("{path}/hold"), &order).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_caller_of_the_api_takes_a_chat_as_a_person_does() {
    let api = api().await;
    api.tenant("asha", 1).await;
    written_to(&api).await;
    let mut chats = ChatServiceClient::new(api.authed(TOKEN));
    let (tenant_id, chat_id) = ("asha".to_owned(), "255600000001@c.us".to_owned());
    let get = v1::GetChatRequest { tenant_id: tenant_id.clone(), chat_id: chat_id.clone() };
    let free = chats.get_chat(get.clone()).await.unwrap().into_inner();
    assert_eq!((free.held_by.as_str(), free.version), ("", 0));
    let said = v1::SendChatMessageRequest {
        tenant_id: tenant_id.clone(),
        chat_id: chat_id.clone(),
        body: "Karibu!".into(),
        idempotency_key: String::new(),
    };
    let refused = chats.send_chat_message(said.clone()).await.unwrap_err();
    assert_eq!(error_of(&refused).code, ErrorCode::FailedPrecondition);
    let take = v1::TakeOverChatRequest { tenant_id, chat_id, version: 0 };
    let taken = chats.take_over_chat(take).await.unwrap().into_inner();
    assert!(taken.held_by.starts_with("token file") && taken.hold_time.is_some(), "{taken:?}");
    assert!(!chats.send_chat_message(said.clone()).await.unwrap().into_inner().idempotency_key.is_empty());
    assert_eq!(queued(&api).await.len(), 1);
    let wrong = v1::SendChatMessageRequest { body: "x".repeat(4_097), ..said };
    let refused = chats.send_chat_message(wrong).await.unwrap_err();
    assert_eq!(error_of(&refused).violations[0].field, "body");
    let unknown = v1::GetChatRequest { chat_id: "1@c.us".into(), ..get };
    assert_eq!(error_of(&chats.get_chat(unknown).await.unwrap_err()).code, ErrorCode::NotFound);
}
