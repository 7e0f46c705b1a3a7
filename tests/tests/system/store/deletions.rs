//! A tenant that is deleted is gone at once, and what it leaves goes in batches that hold up nobody.

use std::time::Duration;

use roost_store::{
    DeadLetterFilter, DeletionBatch, MessageFilter, NewTenant, Requester, Store, StoreError, TenantFilter,
};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;

use crate::store::support::{Db, message, new_tenant, tenant};

/// Of `duka`: messages, of which each tenth has a row in either queue.
macro_rules! messages {
    ($messages:literal) => {
        &[
            concat!(
                "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id)
                select 'duka', 'IN', 'c' || n % 100, 'x', 'm' || n from generate_series(1, ", $messages, ") n"
            ),
            concat!(
                "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state,
                    done_at)
                select 'duka', n::text::bytea, '', 'c', 'c', 'x', false, 'DEAD', now()
                from generate_series(1, ", $messages, " / 10) n"
            ),
            concat!(
                "insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body)
                select 'duka', n, n::text, 'c', 'x' from generate_series(1, ", $messages, " / 10) n"
            ),
            "insert into bm_pending (tenant_id, direction, id) select tenant_id, 'OUT', id from bm_out",
            "insert into chats (tenant_id, chat_id) select distinct tenant_id, chat_id from message_logs",
            concat!(
                "insert into recent_replies select 'duka', now(), now() from generate_series(1, ", $messages, " / 100) n"
            ),
            concat!(
                "insert into reply_windows select 'duka', now() - n * interval '1 second'
                from generate_series(1, ", $messages, " / 100) n"
            ),
        ]
    };
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_for_every_reader_and_its_id_is_free_when_all_is_removed() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.fill(messages!(3000)).await;
    let made = db.store.get_tenant(&fence.tenant).await.unwrap();
    db.store.delete_tenant(&fence.tenant).await.unwrap();

    let missing = |outcome: Result<(), StoreError>| {
        assert!(matches!(outcome, Err(StoreError::NotFound { kind: "tenant", .. })), "{outcome:?}");
    };
    missing(db.store.get_tenant(&fence.tenant).await.map(drop));
    missing(db.store.get_worker(&fence.tenant).await.map(drop));
    missing(db.store.delete_tenant(&fence.tenant).await);
    assert_eq!(db.store.list_tenants(&TenantFilter::default(), None, 10).await.unwrap(), []);
    assert_eq!(db.store.list_messages(&MessageFilter::default(), None, 10).await.unwrap(), []);
    assert_eq!(db.store.messages_after(&MessageFilter::default(), 0, 10).await.unwrap(), []);
    assert_eq!(db.store.list_dead_letters(&DeadLetterFilter::default(), None, 10).await.unwrap(), []);
    assert!(db.store.existing_uids(&[made.uid]).await.unwrap().is_empty());
    assert_eq!(db.store.removed_uids(&[made.uid]).await.unwrap(), [made.uid]);
    let named = "select count(*) from tenants where display_name <> '' or phone <> '' or texts <> '{}'";
    assert_eq!(db.number(named).await, 0, "nothing names the customer any more");

    let again = db.store.create_tenant(new_tenant("duka")).await;
    assert!(
        matches!(&again, Err(StoreError::BeingDeleted { tenant }) if *tenant == fence.tenant),
        "{again:?}"
    );
    let phone = made.settings.phone.clone();
    db.store.create_tenant(NewTenant { phone, ..new_tenant("soko") }).await.unwrap();

    // Neither of two that are being deleted has a phone.
    db.store.delete_tenant(&tenant("soko")).await.unwrap();

    let mut batches = 0;
    loop {
        match db.store.delete_next_batch().await.unwrap() {
            DeletionBatch::Removed { rows } => {
                assert!(rows <= 4_000, "a batch is bounded: {rows}");
                batches += 1;
            }
            finished => {
                assert_eq!(finished, DeletionBatch::Finished { tenant: fence.tenant.clone() });
                break;
            }
        }
    }
    assert!(batches >= 3, "{batches} batches");
    assert_eq!(db.finish_deletions().await, [tenant("soko")]);
    assert_eq!(db.store.delete_next_batch().await.unwrap(), DeletionBatch::Nothing);
    assert_eq!(db.number("select count(*) from message_logs").await, 0);
    let again = NewTenant { phone: "+255700".into(), ..new_tenant("duka") };
    assert_ne!(db.store.create_tenant(again).await.unwrap().uid, made.uid);
}

/// Neither the first transaction nor a batch holds anything that a placement, or a write of another tenant, waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn placements_go_on_while_a_large_tenant_is_deleted() {
    let db = Db::new().await;
    db.owned("duka").await;
    let others: Vec<_> = (0..20).map(|n| format!("t{n}")).collect();
    for id in &others {
        db.owned(id).await;
    }
    db.fill(messages!(200000)).await;
    let begun = Instant::now();
    db.store.delete_tenant(&tenant("duka")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "the deletion took {:?}", begun.elapsed());

    let store = Store::connect(&db.url, 2).await.unwrap();
    let removing = tokio::spawn(async move {
        while !matches!(store.delete_next_batch().await.unwrap(), DeletionBatch::Finished { .. }) {}
    });
    let mut rounds = 0;
    while !removing.is_finished() {
        for id in &others {
            let begun = Instant::now();
            let fence = db.place(&tenant(id), "a").await;
            db.store.admit(&fence, &[message(&format!("m{rounds}"), "c")]).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(1), "{id} took {:?}", begun.elapsed());
        }
        rounds += 1;
    }
    removing.await.unwrap();
    assert!(rounds > 0);
    assert_eq!(db.number("select count(*) from message_logs where tenant_id = 'duka'").await, 0);
}

#[tokio::test]
async fn a_tenants_batches_are_one_after_the_other_and_go_on_when_their_process_has_died() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.fill(messages!(2000)).await;
    db.store.delete_tenant(&fence.tenant).await.unwrap();
    assert!(matches!(db.store.delete_next_batch().await.unwrap(), DeletionBatch::Removed { .. }));

    // The batch of another process, which never ends.
    let mut frozen = PgConnection::connect(&db.url).await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut frozen).await.unwrap();
    frozen.execute("begin; select from tenants where deleting_since is not null for update").await.unwrap();
    assert_eq!(db.store.delete_next_batch().await.unwrap(), DeletionBatch::Elsewhere);
    // Another tenant's are nobody's yet.
    db.owned("soko").await;
    db.store.delete_tenant(&tenant("soko")).await.unwrap();
    assert!(
        matches!(db.store.delete_next_batch().await.unwrap(), DeletionBatch::Finished { tenant: id } if id == tenant("soko"))
    );
    sqlx::query("select pg_terminate_backend($1, 5000)").bind(pid).execute(db.store.pool()).await.unwrap();
    assert_eq!(db.finish_deletions().await, [fence.tenant]);
}

/// An erasure that is under way has removed nothing of what is deleted meanwhile, and waits for nobody.
#[tokio::test]
async fn an_erasure_of_a_tenant_that_is_deleted_meanwhile_finds_no_tenant() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.fill(messages!(100)).await;
    db.store.delete_tenant(&fence.tenant).await.unwrap();
    let erased = db.store.erase_chat(&fence.tenant, "c1", &Requester::default()).await;
    assert!(matches!(erased, Err(StoreError::NotFound { kind: "tenant", .. })), "{erased:?}");
    assert_eq!(db.finish_deletions().await, [fence.tenant]);
}
