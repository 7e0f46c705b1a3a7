//! Chats that people take over: one has it, nothing is answered meanwhile, and what is said goes out once.

use roost_store::{Line, LineState, Saying, StoreError};

use super::support::{Db, answer, message};

fn saying(by: &str, key: &str) -> Saying {
    let (chat, body, whatsapp_id) = ("c".to_owned(), format!("said by {by}"), format!("true_c_{key}"));
    Saying { chat, body, by: by.into(), key: format!("{by} {key}"), whatsapp_id }
}

fn holder(error: &StoreError) -> Option<&str> {
    match error {
        StoreError::ChatChanged { held_by, .. } => held_by.as_deref(),
        other => panic!("{other}"),
    }
}

async fn lines(db: &Db, tenant: &roost_model::ids::TenantId) -> Vec<Line> {
    let mut lines = db.store.chat_lines(tenant, "c", None, 100).await.unwrap();
    lines.reverse();
    lines.extend(db.store.unsent_lines(tenant, "c").await.unwrap());
    lines
}

#[tokio::test]
async fn of_two_who_take_a_chat_one_has_it_and_the_other_is_told_who() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let tenant = &fence.tenant;
    let unknown = db.store.chat_hold(tenant, "c").await.unwrap_err();
    assert!(matches!(unknown, StoreError::NotFound { kind: "chat", .. }), "{unknown}");
    db.store.admit(&fence, &[message("m1", "c")]).await.unwrap();
    let seen = db.store.chat_hold(tenant, "c").await.unwrap();
    assert_eq!((seen.held, seen.version), (None, 0));

    let taken = db.store.take_chat(tenant, "c", "asha", 0).await.unwrap();
    assert_eq!((taken.held.map(|(holder, _)| holder).as_deref(), taken.version), (Some("asha"), 1));
    let late = db.store.take_chat(tenant, "c", "juma", 0).await.unwrap_err();
    assert_eq!(holder(&late), Some("asha"));
    assert_eq!(db.store.take_chat(tenant, "c", "asha", 0).await.unwrap().version, 1, "it is hers already");
    let not_his = db.store.say_in_chat(tenant, &saying("juma", "1")).await.unwrap_err();
    assert_eq!(holder(&not_his), Some("asha"));

    let from_her = db.store.take_chat(tenant, "c", "juma", 1).await.unwrap();
    assert_eq!(from_her.version, 2);
    let late = db.store.release_chat(tenant, "c", 1).await.unwrap_err();
    assert_eq!(holder(&late), Some("juma"));
    assert_eq!(db.store.release_chat(tenant, "c", 2).await.unwrap().held, None);
    assert_eq!(db.store.release_chat(tenant, "c", 2).await.unwrap().version, 3, "it is nobody's already");
    let nobodys = db.store.say_in_chat(tenant, &saying("juma", "1")).await.unwrap_err();
    assert_eq!(holder(&nobodys), None);
}

#[tokio::test]
async fn what_comes_into_a_held_chat_and_what_was_under_way_is_not_answered() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let tenant = &fence.tenant;
    db.store.admit(&fence, &[message("m1", "c"), message("m2", "c"), message("d1", "d")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    let queued = db.store.complete(&fence, &[answer(&pending[0])]).await.unwrap();
    db.store.take_chat(tenant, "c", "asha", 0).await.unwrap();

    let admitted = db.store.admit(&fence, &[message("m3", "c"), message("d2", "d")]).await.unwrap();
    assert_eq!(
        admitted.iter().map(|it| (it.fresh, it.waits)).collect::<Vec<_>>(),
        [(true, false), (true, true)]
    );
    let again = db.store.admit(&fence, &[message("m3", "c")]).await.unwrap();
    assert!(!again[0].fresh && !again[0].waits, "delivered again it is known");
    let after = db.store.complete(&fence, &[answer(&pending[1]), answer(&pending[2])]).await.unwrap();
    assert_eq!(after.iter().map(|reply| reply.chat.as_str()).collect::<Vec<_>>(), ["d"]);
    let repeated = db.store.complete(&fence, &[answer(&pending[1])]).await.unwrap();
    assert!(repeated.is_empty(), "{repeated:?}");

    let reason = "asha has the chat".to_owned();
    let states: Vec<_> = lines(&db, tenant).await.into_iter().map(|line| line.state).collect();
    let held = LineState::Held { reason };
    assert_eq!(states, [LineState::Answered, held.clone(), held, LineState::Sending]);
    db.store.mark_sent(&fence, &[queued[0].id], &[]).await.unwrap();
    assert_eq!(
        lines(&db, tenant).await.last().map(|line| &line.state),
        Some(&LineState::Sent),
        "it was under way"
    );
    assert_eq!(
        db.text("select string_agg(distinct body || chat_id, '') from bm_in where state = 'HELD'").await,
        ""
    );

    db.store.release_chat(tenant, "c", 1).await.unwrap();
    let admitted = db.store.admit(&fence, &[message("m4", "c")]).await.unwrap();
    assert!(admitted[0].waits && !admitted[0].first_in_chat);
}

#[tokio::test]
async fn what_a_person_says_is_queued_once_and_sent_as_a_reply_is() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let tenant = &fence.tenant;
    db.store.admit(&fence, &[message("m1", "c")]).await.unwrap();
    db.store.take_chat(tenant, "c", "asha", 0).await.unwrap();
    let revision = "select spec_revision::text from worker_processes";
    let before = db.text(revision).await;
    for _ in 0..2 {
        db.store.say_in_chat(tenant, &saying("asha", "1")).await.unwrap();
    }
    db.store.say_in_chat(tenant, &saying("asha", "2")).await.unwrap();
    assert_ne!(db.text(revision).await, before, "the owner is told");
    let waiting = db.store.pending_outbound(&fence, 0, 10).await.unwrap();
    let ids: Vec<_> = waiting.iter().map(|it| (it.whatsapp_id.as_str(), it.inbound_id, it.claimed)).collect();
    assert_eq!(ids, [("true_c_1", None, false), ("true_c_2", None, false)]);
    db.store.claim(&fence, &[waiting[0].id]).await.unwrap();
    db.store.mark_sent(&fence, &[waiting[0].id], &[]).await.unwrap();
    db.store.say_in_chat(tenant, &saying("asha", "1")).await.unwrap();
    assert_eq!(
        db.store.pending_outbound(&fence, 0, 10).await.unwrap().len(),
        1,
        "sent, it is not said again"
    );
    let told: Vec<_> = lines(&db, tenant).await.into_iter().map(|line| (line.state, line.said_by)).collect();
    let her = Some("asha".to_owned());
    assert_eq!(told[1..], [(LineState::Sent, her.clone()), (LineState::Sending, her)]);
    assert_eq!(db.store.reply_window(&fence).await.unwrap().counted_ages.len(), 2, "it counts as a reply");

    db.store.bury_outbound(&fence, waiting[1].id, "no such number").await.unwrap();
    let told = lines(&db, tenant).await.pop().unwrap();
    assert_eq!(told.state, LineState::Dead { reason: "no such number".into() });
    db.store.delete_tenant(tenant).await.unwrap();
    let gone = db.store.say_in_chat(tenant, &saying("asha", "3")).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
}
