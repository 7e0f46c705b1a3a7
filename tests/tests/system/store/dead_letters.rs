//! What was given up is listed by what is dead alone, and goes back into its queue by order.

use std::time::Duration;

use roost_store::{DeadLetter, DeadLetterFilter, DeadLetterId, Direction, EventFilter, Fence};

use crate::store::support::{Db, answer, by, message};

/// A message that was given up, a reply that was, one that was never understood, and two that were answered.
async fn given_up(db: &Db, id: &str) -> Fence {
    let fence = db.owned(id).await;
    let batch: Vec<_> = ["m1", "m2", "m3"].map(|m| message(m, "c")).to_vec();
    db.store.admit(&fence, &batch).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    db.store.bury_inbound(&fence, pending[0].id, "no answer").await.unwrap();
    let replies = db.store.complete(&fence, &[answer(&pending[1]), answer(&pending[2])]).await.unwrap();
    db.store.claim(&fence, &[replies[0].id]).await.unwrap();
    db.store.bury_outbound(&fence, replies[0].id, "no such account").await.unwrap();
    db.store.mark_sent(&fence, &[replies[1].id], &[]).await.unwrap();
    let strange = roost_store::NewInbound { undecoded: Some("strange".into()), ..message("m4", "c") };
    db.store.admit(&fence, &[strange]).await.unwrap();
    fence
}

impl Db {
    async fn dead(&self, filter: &DeadLetterFilter) -> Vec<DeadLetter> {
        self.store.list_dead_letters(filter, None, 100).await.unwrap()
    }
}

fn of(fence: &Fence) -> DeadLetterFilter {
    DeadLetterFilter { tenant: Some(fence.tenant.clone()), ..DeadLetterFilter::default() }
}

fn texts(letters: &[DeadLetter]) -> Vec<String> {
    letters.iter().map(|letter| format!("{} {}: {}", letter.tenant, letter.body, letter.reason)).collect()
}

#[tokio::test]
async fn the_dead_are_listed_by_tenant_and_page_with_their_reasons() {
    let db = Db::new().await;
    let (juma, asha) = (given_up(&db, "juma").await, given_up(&db, "asha").await);
    let all = db.dead(&DeadLetterFilter::default()).await;
    let tenants: Vec<_> = all.iter().map(|letter| letter.tenant.as_str()).collect();
    assert_eq!(tenants, ["asha", "asha", "asha", "juma", "juma", "juma"]);
    let mut said = texts(&db.dead(&of(&juma)).await);
    said.sort();
    let expected = ["body of m1: no answer", "body of m4: strange", "echo: body of m2: no such account"];
    assert_eq!(said, expected.map(|text| format!("juma {text}")));

    let mut paged: Vec<DeadLetter> = Vec::new();
    loop {
        let after = paged.last().map(|letter| (letter.tenant.clone(), letter.id));
        let page = db.store.list_dead_letters(&DeadLetterFilter::default(), after.as_ref(), 1).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let replies = DeadLetterFilter { direction: Some(Direction::Out), ..of(&asha) };
    assert_eq!(texts(&db.dead(&replies).await), ["asha echo: body of m2: no such account"]);
    let redrivable = DeadLetterFilter { redrivable: true, ..of(&asha) };
    assert_eq!(db.dead(&redrivable).await.len(), 2, "what was not understood is not");
}

#[tokio::test]
async fn a_redrive_puts_back_what_is_dead_tells_the_owner_and_is_noted() {
    let db = Db::new().await;
    let fence = given_up(&db, "juma").await;
    let other = given_up(&db, "asha").await;
    let letters = db.dead(&of(&fence)).await;
    let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    let spec = async |fence: &Fence| db.store.worker_spec(&fence.tenant).await.unwrap().spec_revision;
    let (before, of_other) = (spec(&fence).await, spec(&other).await);
    let redriven = db.store.redrive(&ids, &by("asha", "the account is back")).await.unwrap();
    let expected: Vec<_> =
        letters.iter().filter(|letter| letter.redrivable).map(|letter| letter.id).collect();
    assert_eq!(redriven, expected);
    assert!(spec(&fence).await > before && spec(&other).await == of_other);
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    assert_eq!(pending.iter().map(|m| (m.whatsapp_id.as_str(), m.attempts)).collect::<Vec<_>>(), [("m1", 0)]);
    let unsent = db.store.pending_outbound(&fence, 0, 10).await.unwrap();
    assert_eq!(
        unsent.iter().map(|r| (r.whatsapp_id.as_str(), r.attempts)).collect::<Vec<_>>(),
        [("reply-m2", 0)]
    );
    assert_eq!(unsent[0].due_in, Duration::ZERO);
    assert!(!unsent[0].claimed && unsent[0].redriven, "sent once by order, and looked for before");
    let event = db.store.list_events(&EventFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!(event.text, "dead letters of tenant juma are tried again (2)");
    assert_eq!((event.requested_by.as_str(), event.reason.as_str()), ("asha", "the account is back"));

    assert_eq!(db.store.redrive(&ids, &by("", "")).await.unwrap(), [], "they are not dead any more");
    assert_eq!(texts(&db.dead(&of(&fence)).await), ["juma body of m4: strange"]);
    assert_eq!(db.dead(&of(&other)).await.len(), 3);
    let nobody = DeadLetterId { direction: Direction::Out, id: 1_000_000 };
    assert_eq!(db.store.dead_letters(&[nobody]).await.unwrap(), []);
}

#[tokio::test]
async fn the_list_costs_what_is_dead_and_not_what_is_kept() {
    let db = Db::new().await;
    let fence = given_up(&db, "juma").await;
    db.execute(
        "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state, done_at)
        select 'juma', sha256(n::text::bytea), '', '', '', '', false, 'DONE', now() from generate_series(1, 20000) n",
    )
    .await;
    db.execute(
        "insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body, state)
        select 'juma', 1000 + n, '', '', '', 'SENT' from generate_series(1, 20000) n",
    )
    .await;
    db.execute("analyze bm_in; analyze bm_out").await;
    let plan: Vec<String> = sqlx::query_scalar(
        "explain select * from dead_letters where (tenant_id, id, direction) > ('juma', 0, 'IN') and tenant_id <= 'juma'
        order by tenant_id, id, direction limit 101",
    )
    .fetch_all(db.store.pool())
    .await
    .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("bm_in_dead") && plan.contains("bm_out_dead"), "{plan}");
    assert_eq!(db.dead(&of(&fence)).await.len(), 3);
}
