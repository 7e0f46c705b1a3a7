//! A level of a tenant's log for a time: kept with the tenant, told to its owner, in the events, and over by itself.

use std::time::Duration;

use roost_cluster::ledger::EventKind;
use roost_model::LogLevel;
use roost_store::{EventFilter, NewTenant, StoreError, TenantPatch};
use time::OffsetDateTime;

use crate::store::support::{Db, by, new_tenant, tenant};

const TEN_MINUTES: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_tenants_own_level_is_kept_and_changed_like_its_other_settings() {
    let db = Db::new().await;
    let new = NewTenant { log_level: Some(LogLevel::Warn), ..new_tenant("duka") };
    let made = db.store.create_tenant(new).await.unwrap();
    assert_eq!(made.settings.log_level, Some(LogLevel::Warn));
    let update = async |log_level| {
        let patch = TenantPatch { log_level, ..TenantPatch::default() };
        db.store.update_tenant(&made.id, patch).await.unwrap().settings.log_level
    };
    assert_eq!(update(None).await, Some(LogLevel::Warn), "not named, not changed");
    for level in LogLevel::ALL {
        assert_eq!(update(Some(Some(level))).await, Some(level));
    }
    assert_eq!(
        db.store.worker_spec(&made.id).await.unwrap().tenant.settings.log_level,
        Some(LogLevel::Error)
    );
    assert_eq!(update(Some(None)).await, None);
}

#[tokio::test]
async fn a_level_for_a_time_is_told_to_the_owner_noted_once_and_ended_by_order() {
    let db = Db::new().await;
    let id = db.store.create_tenant(new_tenant("duka")).await.unwrap().id;
    let before = db.store.get_worker(&id).await.unwrap().spec_revision;
    let asked = OffsetDateTime::now_utc();
    let set =
        db.store.set_log_level(&id, LogLevel::Debug, TEN_MINUTES, &by("asha", "ticket 7")).await.unwrap();
    let temporary = set.temporary_log_level.unwrap();
    assert_eq!((temporary.level, set.settings.log_level), (LogLevel::Debug, None));
    let off = temporary.until - (asked + TEN_MINUTES);
    assert!(off.abs() < time::Duration::MINUTE, "until {}", temporary.until);
    let spec = db.store.worker_spec(&id).await.unwrap();
    assert!(spec.spec_revision > before && spec.tenant.temporary_log_level == Some(temporary));

    let reset = db.store.reset_log_level(&id, &by("asha", "")).await.unwrap();
    assert_eq!(reset.temporary_log_level, None);
    let told = db.store.get_worker(&id).await.unwrap().spec_revision;
    assert!(told > spec.spec_revision);
    // What does not hold is not ended.
    db.store.reset_log_level(&id, &by("asha", "")).await.unwrap();
    assert_eq!(db.store.get_worker(&id).await.unwrap().spec_revision, told);

    let mut events = db.store.list_events(&EventFilter::default(), None, 100).await.unwrap();
    events.retain(|event| event.kind == EventKind::LogLevelChanged);
    let told: Vec<_> =
        events.iter().map(|event| (event.text.as_str(), event.requested_by.as_str())).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], ("the log of tenant duka has its own level again", "asha"));
    let text = told[1].0;
    assert!(
        text.starts_with("the log of tenant duka is written from DEBUG on, until 20") && text.ends_with('Z'),
        "{text}"
    );
    assert_eq!((events[1].reason.as_str(), events[1].tenant.as_ref()), ("ticket 7", Some(&id)));
}

#[tokio::test]
async fn of_a_tenant_that_is_not_there_nothing_is_changed_or_noted() {
    let db = Db::new().await;
    let ghost = tenant("ghost");
    let set = db.store.set_log_level(&ghost, LogLevel::Debug, TEN_MINUTES, &by("asha", "")).await;
    assert!(matches!(set, Err(StoreError::NotFound { .. })), "{set:?}");
    let reset = db.store.reset_log_level(&ghost, &by("asha", "")).await;
    assert!(matches!(reset, Err(StoreError::NotFound { .. })), "{reset:?}");
    assert_eq!(db.number("select count(*) from cluster_events where kind = 'LOG_LEVEL_CHANGED'").await, 0);
}
