//! What Postgres refuses, by what a caller can do about it.

use roost_cluster::ledger::RefusalKind;
use roost_store::TenantPatch;

use crate::store::support::{Db, new_tenant, refuse_changes_of_tenants};

#[tokio::test]
async fn a_refusal_is_sorted_by_what_can_be_done_about_it() {
    let db = Db::new().await;
    let id = db.store.create_tenant(new_tenant("duka")).await.unwrap().id;
    let expected = [
        (RefusalKind::Passing, ["57014", "55P03", "40001", "40P01", "25006", "53100"].as_slice()),
        (RefusalKind::Value, &["22001", "22003", "23514", "23502", "54000"]),
        (RefusalKind::Precondition, &["23503", "23P01", "42501"]),
        (RefusalKind::Fault, &["42P01", "42601", "XX000", "P0001"]),
    ];
    for (kind, codes) in expected {
        for code in codes {
            refuse_changes_of_tenants(&db.store, code).await;
            let refused = db.store.update_tenant(&id, TenantPatch::default()).await.unwrap_err();
            assert_eq!(refused.refusal(), Some(kind), "{code}: {refused:?}");
        }
    }
}
