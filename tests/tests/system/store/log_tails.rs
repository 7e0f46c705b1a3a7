//! The ends of workers' logs: of the last owners of each tenant, each owner's its own.

use roost_model::ids::{Generation, TenantId};
use roost_store::LogTail;

use crate::store::support::{Db, message, node, tenant};

fn tail(id: &str, generation: i64, lines: &str) -> LogTail {
    LogTail { tenant: tenant(id), generation: Generation(generation), lines: lines.into() }
}

impl Db {
    async fn save_tails(&self, on: &str, tails: &[LogTail]) {
        self.store.save_log_tails(&node(on), tails).await.unwrap();
    }

    async fn tails(&self, id: &TenantId) -> Vec<(i64, String, String)> {
        let tails = self.store.log_tails(id).await.unwrap();
        let shown = tails
            .into_iter()
            .map(|tail| (tail.generation.0, tail.node.to_string(), String::from_utf8(tail.lines).unwrap()));
        shown.collect()
    }
}

fn kept(generation: i64, on: &str, lines: &str) -> (i64, String, String) {
    (generation, on.to_owned(), lines.to_owned())
}

#[tokio::test]
async fn each_owner_keeps_its_own_tail_and_what_comes_late_touches_no_later_one() {
    let db = Db::new().await;
    let (asha, duka) = (db.owned("asha").await.tenant, db.owned("duka").await.tenant);
    db.save_tails("n1", &[tail("asha", 1, "a"), tail("duka", 2, "b"), tail("nobody", 3, "c")]).await;
    db.save_tails("n2", &[tail("asha", 5, "d")]).await;
    db.save_tails("n1", &[tail("asha", 1, "late")]).await;
    assert_eq!(db.tails(&asha).await, [kept(5, "n2", "d"), kept(1, "n1", "late")]);
    assert_eq!(db.tails(&duka).await, [kept(2, "n1", "b")]);

    for generation in 6..20 {
        db.save_tails("n3", &[tail("asha", generation, "x")]).await;
        assert!(db.tails(&asha).await.len() <= 4, "the last three, and one more for a moment");
    }
    db.save_tails("n1", &[tail("asha", 1, "much too late")]).await;
    let generations: Vec<i64> =
        db.tails(&asha).await.into_iter().map(|(generation, ..)| generation).collect();
    assert_eq!(generations, [19, 18, 17, 16]);

    db.store.delete_tenant(&asha).await.unwrap();
    assert!(db.tails(&asha).await.is_empty() && !db.tails(&duka).await.is_empty());
    db.save_tails("n3", &[tail("asha", 20, "x")]).await;
    assert!(db.tails(&asha).await.is_empty());
}

#[tokio::test]
async fn what_waits_of_a_tenant_is_counted() {
    let db = Db::new().await;
    let fence = db.owned("asha").await;
    db.owned("duka").await;
    let waiting = [message("m1", "c1"), message("m2", "c2")];
    db.store.admit(&fence, &waiting).await.unwrap();
    let depths = db.store.queue_depths(&fence.tenant).await.unwrap();
    assert_eq!((depths.inbound, depths.outbound), (2, 0));
    assert_eq!(db.store.queue_depths(&tenant("duka")).await.unwrap(), Default::default());
}
