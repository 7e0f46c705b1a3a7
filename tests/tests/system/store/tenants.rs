//! Tenants: made once, changed field by field, removed without a trace but one.

use std::time::Duration;

use roost_cluster::ledger::{Ledger, LedgerRecord, RefusalKind};
use roost_model::{
    BrowserSettings, Grant, LanguageCode, MenuItem, ResendPolicy, ResourceLimits, RestartSchedule, Role,
    TemplateKind, Texts, TimingOverrides, ids::TenantId,
};
use roost_store::{
    LimitsPatch, LinkUse, LogTail, NewInvitation, NewLogin, NewTenant, NewToken, PairingOrder,
    SnapshotPointer, StoreError, TenantFilter, TenantPatch, TenantStatus, WorkerFilter,
};

use crate::store::support::{Db, answer, message, new_tenant, node, tenant};

#[tokio::test]
async fn a_tenant_is_read_as_it_was_made() {
    let db = Db::new().await;
    let mut new = new_tenant("duka");
    new.template = TemplateKind::Ecommerce;
    new.language = LanguageCode::Sw;
    new.reply_limit_per_minute = 0;
    new.resend_policy = ResendPolicy::Hold;
    new.texts = Texts {
        greeting: "Karibu {business}".into(),
        menu: vec![MenuItem { title: "Bei".into(), reply: "100/=".into(), keywords: vec!["bei".into()] }],
        ..Texts::default()
    };
    let made = db.store.create_tenant(new.clone()).await.unwrap();
    assert_eq!(made, db.store.get_tenant(&new.id).await.unwrap());
    assert_eq!(
        (made.settings.template, made.settings.language, made.status),
        (new.template, new.language, TenantStatus::New)
    );
    assert_eq!((&made.settings.texts, made.settings.reply_limit_per_minute), (&new.texts, 0));
    assert_eq!(made.settings.resend_policy, ResendPolicy::Hold);
}

#[tokio::test]
async fn a_taken_id_or_phone_is_named_and_nothing_is_half_made() {
    let db = Db::new().await;
    let first = db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let same_id = roost_store::NewTenant { phone: "+255700000009".into(), ..new_tenant("duka") };
    match db.store.create_tenant(same_id).await {
        Err(StoreError::AlreadyExists { field: "id", value }) => assert_eq!(value, "duka"),
        other => panic!("{other:?}"),
    }
    let same_phone = roost_store::NewTenant { phone: first.settings.phone.clone(), ..new_tenant("other") };
    match db.store.create_tenant(same_phone).await {
        Err(StoreError::AlreadyExists { field: "phone", value }) => assert_eq!(value, first.settings.phone),
        other => panic!("{other:?}"),
    }
    assert!(matches!(db.store.get_worker(&tenant("other")).await, Err(StoreError::NotFound { .. })));
    db.store.create_tenant(new_tenant("other")).await.unwrap();
    let patch = TenantPatch { phone: Some(first.settings.phone.clone()), ..TenantPatch::default() };
    let revision = db.store.get_worker(&tenant("other")).await.unwrap().spec_revision;
    let refused = db.store.update_tenant(&tenant("other"), patch).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists { field: "phone", .. })), "{refused:?}");
    assert_eq!(db.store.get_worker(&tenant("other")).await.unwrap().spec_revision, revision);
}

#[tokio::test]
async fn an_update_changes_what_is_given_and_tells_the_worker() {
    let db = Db::new().await;
    let made = db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let before = db.store.worker_spec(&made.id).await.unwrap().spec_revision;
    let texts = Texts { fallback: "?".into(), ..Texts::default() };
    let patch = TenantPatch {
        texts: Some(texts.clone()),
        language: Some(LanguageCode::Sw),
        reply_limit_per_minute: Some(99),
        resend_policy: Some(ResendPolicy::Hold),
        ..TenantPatch::default()
    };
    let changed = db.store.update_tenant(&made.id, patch).await.unwrap();
    assert_eq!(
        (&changed.settings.display_name, &changed.settings.phone),
        (&made.settings.display_name, &made.settings.phone)
    );
    assert_eq!(
        (&changed.settings.texts, changed.settings.language, changed.settings.reply_limit_per_minute),
        (&texts, LanguageCode::Sw, 99)
    );
    assert_eq!(changed.settings.resend_policy, ResendPolicy::Hold);
    let spec = db.store.worker_spec(&made.id).await.unwrap();
    assert!(spec.spec_revision > before);
    assert_eq!(spec.tenant, changed);
}

#[tokio::test]
async fn limits_are_kept_each_by_itself_and_a_request_is_never_over_its_limit() {
    let db = Db::new().await;
    let mib = |n: u64| n << 20;
    let given = ResourceLimits { memory_limit_bytes: Some(mib(512)), ..ResourceLimits::default() };
    let made = db.store.create_tenant(NewTenant { limits: given, ..new_tenant("duka") }).await.unwrap();
    assert_eq!(made.settings.limits, given);
    let update = async |limits| {
        let patch = TenantPatch { limits, ..TenantPatch::default() };
        db.store.update_tenant(&made.id, patch).await.map(|tenant| tenant.settings.limits)
    };
    let request = |mib| LimitsPatch { memory_request_bytes: Some(mib), ..LimitsPatch::default() };
    assert_eq!(update(LimitsPatch::default()).await.unwrap(), given, "not named, not changed");
    let over = update(request(Some(mib(513)))).await;
    assert!(matches!(over, Err(StoreError::RequestOverLimit)), "{over:?}");
    let with_request = ResourceLimits { memory_request_bytes: Some(mib(512)), ..given };
    assert_eq!(update(request(Some(mib(512)))).await.unwrap(), with_request);
    let more = LimitsPatch {
        memory_limit_bytes: Some(Some(0)),
        cpu_limit_millicores: Some(Some(750)),
        process_limit: Some(Some(40)),
        ..LimitsPatch::default()
    };
    let changed = ResourceLimits {
        memory_limit_bytes: Some(0),
        cpu_limit_millicores: Some(750),
        process_limit: Some(40),
        ..with_request
    };
    assert_eq!(update(more).await.unwrap(), changed);
    assert!(update(request(Some(mib(4_096)))).await.is_ok(), "there is no limit to be over");
    assert_eq!(
        update(request(None)).await.unwrap(),
        ResourceLimits { memory_request_bytes: None, ..changed }
    );
    assert_eq!(db.store.get_tenant(&made.id).await.unwrap().settings.limits.process_limit, Some(40));
}

#[tokio::test]
async fn a_restart_schedule_is_kept_changed_as_a_whole_and_taken_off() {
    let db = Db::new().await;
    let schedule = |cron: &str| RestartSchedule {
        cron: cron.into(),
        time_zone: "Africa/Nairobi".into(),
        jitter: std::time::Duration::from_secs(1_800),
    };
    let new = NewTenant { restart_schedule: Some(schedule("0 4 * * *")), ..new_tenant("duka") };
    let made = db.store.create_tenant(new).await.unwrap();
    let kept = async || {
        let tenant = db.store.get_tenant(&made.id).await.unwrap();
        let worker = db.store.get_worker(&made.id).await.unwrap();
        let listed = db.store.list_workers(&WorkerFilter::default(), None, 10).await.unwrap();
        assert_eq!((&listed[0], worker.uid), (&worker, made.uid));
        assert_eq!(tenant.settings.restart_schedule, worker.restart_schedule);
        worker.restart_schedule
    };
    assert_eq!(kept().await, Some(schedule("0 4 * * *")));
    let update = async |restart_schedule| {
        let patch = TenantPatch { restart_schedule, ..TenantPatch::default() };
        db.store.update_tenant(&made.id, patch).await.unwrap().settings.restart_schedule.clone()
    };
    assert_eq!(update(None).await, Some(schedule("0 4 * * *")), "not named, not changed");
    assert_eq!(update(Some(Some(schedule("@daily")))).await, Some(schedule("@daily")));
    assert_eq!(kept().await, Some(schedule("@daily")));
    assert_eq!(update(Some(None)).await, None);
    assert_eq!(kept().await, None);
}

#[tokio::test]
async fn what_a_browser_says_that_it_is_is_kept_and_changed_as_a_whole() {
    let db = Db::new().await;
    let browser = BrowserSettings {
        time_zone: Some("Africa/Nairobi".into()),
        languages: vec!["sw-KE".into(), "sw".into()],
        ..BrowserSettings::default()
    };
    let made =
        db.store.create_tenant(NewTenant { browser: browser.clone(), ..new_tenant("duka") }).await.unwrap();
    assert_eq!(made.settings.browser, browser);
    let update = async |browser| {
        let patch = TenantPatch { browser, ..TenantPatch::default() };
        db.store.update_tenant(&made.id, patch).await.unwrap().settings.browser.clone()
    };
    assert_eq!(update(None).await, browser, "not named, not changed");
    let other = BrowserSettings { user_agent: Some("Mozilla/5.0".into()), ..BrowserSettings::default() };
    assert_eq!(update(Some(other.clone())).await, other);
    assert_eq!(db.store.worker_spec(&made.id).await.unwrap().tenant.settings.browser, other);
    assert_eq!(update(Some(BrowserSettings::default())).await, BrowserSettings::default());
}

#[tokio::test]
async fn what_a_workers_life_is_to_be_is_kept_and_changed_as_a_whole() {
    let db = Db::new().await;
    let timing =
        TimingOverrides { stale_after: Some(Duration::from_millis(120_500)), ..TimingOverrides::default() };
    let made = db.store.create_tenant(NewTenant { timing, ..new_tenant("duka") }).await.unwrap();
    assert_eq!(made.settings.timing, timing);
    let update = async |timing| {
        let patch = TenantPatch { timing, ..TenantPatch::default() };
        db.store.update_tenant(&made.id, patch).await.unwrap().settings.timing
    };
    assert_eq!(update(None).await, timing, "not named, not changed");
    let other = TimingOverrides { max_crashes: Some(0), ..TimingOverrides::default() };
    assert_eq!(update(Some(other)).await, other);
    assert_eq!(db.store.worker_spec(&made.id).await.unwrap().tenant.settings.timing, other);
    assert_eq!(update(Some(TimingOverrides::default())).await, TimingOverrides::default());
}

#[tokio::test]
async fn a_proxy_is_kept_and_its_credentials_are_read_for_the_owner_alone() {
    let db = Db::new().await;
    let proxy = |url: &str| url.parse::<roost_model::Proxy>().unwrap();
    let given = proxy("socks5://asha:s%40same@proxy.example");
    let new = NewTenant { proxy: Some(given.clone()), ..new_tenant("duka") };
    let made = db.store.create_tenant(new).await.unwrap();
    let known = made.proxy.clone().unwrap();
    assert_eq!(
        (known.place.to_string().as_str(), known.has_credentials),
        ("socks5://proxy.example:1080", true)
    );
    assert!(!format!("{:?}", db.store.get_tenant(&made.id).await.unwrap()).contains("same"));
    let of_owner = async || db.store.worker_spec(&made.id).await.unwrap().proxy;
    assert_eq!(of_owner().await, Some(given));
    let update = async |proxy| {
        let patch = TenantPatch { proxy, ..TenantPatch::default() };
        db.store.update_tenant(&made.id, patch).await.unwrap().proxy
    };
    assert_eq!(update(None).await, Some(known), "not named, not changed");
    let without = proxy("http://[fd00::1]:3128");
    assert!(!update(Some(Some(without.clone()))).await.unwrap().has_credentials);
    assert_eq!(of_owner().await, Some(without), "no credentials of the one before");
    assert_eq!(update(Some(None)).await, None);
    assert_eq!(of_owner().await, None);
    update(Some(Some(proxy("http://asha:sesame@h")))).await;
    db.store.delete_tenant(&made.id).await.unwrap();
    let left = "select count(*) from tenants where proxy is not null or proxy_password is not null";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(db.store.pool()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_limit_that_the_column_cannot_hold_is_refused() {
    let db = Db::new().await;
    let absurd = roost_store::NewTenant { reply_limit_per_minute: u32::MAX, ..new_tenant("duka") };
    let refused = db.store.create_tenant(absurd).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.refusal(), Some(RefusalKind::Value), "{refused:?}");
}

#[tokio::test]
async fn tenants_are_listed_in_pages_and_by_status() {
    let db = Db::new().await;
    for n in 0..7 {
        db.store.create_tenant(new_tenant(&format!("t{n}"))).await.unwrap();
    }
    db.store.stop_worker(&tenant("t3")).await.unwrap();
    let all = TenantFilter::default();
    let mut listed = Vec::new();
    loop {
        let after = listed.last().map(|tenant: &roost_store::Tenant| tenant.id.clone());
        let page = db.store.list_tenants(&all, after, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    let ids: Vec<_> = listed.iter().map(|tenant| tenant.id.as_str()).collect();
    assert_eq!(ids, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
    let paused = TenantFilter { status: Some(TenantStatus::Paused), ..TenantFilter::default() };
    let paused = db.store.list_tenants(&paused, None, 10).await.unwrap();
    assert_eq!(paused.iter().map(|tenant| tenant.id.as_str()).collect::<Vec<_>>(), ["t3"]);
}

fn invitation(tenant: &TenantId, number: u8) -> NewInvitation {
    let mut digest = [number; 32];
    digest[..4].copy_from_slice(&tenant.as_str().as_bytes()[..4]);
    NewInvitation {
        tenant: tenant.clone(),
        email: format!("{number}@{tenant}.example"),
        role: Role::Owner,
        created_by: "asha".into(),
        digest,
        lifetime: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn a_deletion_takes_every_row_and_leaves_word_for_the_nodes() {
    let db = Db::new().await;
    let (fence, kept) = (db.owned("duka").await, db.owned("kept").await);
    for fence in [&fence, &kept] {
        db.store.admit(fence, &[message("m1", "c"), message("m2", "c")]).await.unwrap();
        let pending = db.store.pending_inbound(fence, 0, 1).await.unwrap();
        let suppressed = roost_store::Completion { suppressed: Some("over".into()), ..answer(&pending[0]) };
        db.store.complete(fence, &[suppressed]).await.unwrap();
        db.store.admit(fence, &[message("m3", "c")]).await.unwrap();
        let waits = db.store.pending_inbound(fence, 0, 2).await.unwrap().remove(1);
        let sent = db.store.complete(fence, &[answer(&waits)]).await.unwrap();
        db.store.mark_sent(fence, &[sent[0].id], &[]).await.unwrap();
        let (tenant, node) = (fence.tenant.clone(), node("a"));
        let placed = LedgerRecord::Placed {
            tenant,
            node: node.clone(),
            because: "it was new".into(),
            operation: None,
        };
        db.ledger.record(db.term, &[placed]).await.unwrap();
        let order = PairingOrder { id: uuid::Uuid::now_v7(), phone: "255700000001".into() };
        db.store.request_pairing(&fence.tenant, &order).await.unwrap();
        let snapshot = SnapshotPointer {
            manifest: "m".into(),
            generation: fence.generation,
            sequence: 1,
            clean: true,
            at: time::OffsetDateTime::now_utc(),
            bytes: None,
        };
        db.store.set_snapshot(fence, &snapshot).await.unwrap();
        let tail =
            LogTail { tenant: fence.tenant.clone(), generation: fence.generation, lines: b"a line".to_vec() };
        db.store.save_log_tails(&node, &[tail]).await.unwrap();
        let token = NewToken {
            name: format!("of-{}", fence.tenant),
            digest: std::array::from_fn(|at| fence.tenant.as_str().as_bytes()[at % 4]),
            grant: Grant::new(Role::Owner, Some(fence.tenant.clone())).unwrap(),
            lifetime: Duration::from_secs(60),
            created_by: "asha".into(),
        };
        db.store.create_token(&token).await.unwrap();
        let [joins, stays_invited] = [1, 2].map(|number| invitation(&fence.tenant, number));
        db.store.create_invitation(&joins).await.unwrap();
        db.store.create_invitation(&stays_invited).await.unwrap();
        let used = db.store.sign_up(&joins.digest, NewLogin::Password("$argon2id$")).await.unwrap();
        assert!(matches!(used, LinkUse::By(_)), "{used:?}");
    }
    db.execute(
        "insert into setup_requests (
            user_id, state, display_name, phone, template, language, texts, reviewed_at, reviewed_by, tenant_id)
        select user_id, 'ACTIVE', '', '', 'SUPPORT', 'EN', '{}', now(), '', tenant_id from memberships",
    )
    .await;
    let uid = db.store.get_tenant(&fence.tenant).await.unwrap().uid;
    let kept_uid = db.store.get_tenant(&kept.tenant).await.unwrap().uid;
    assert_eq!(db.store.existing_uids(&[uid, kept_uid]).await.unwrap().len(), 2);

    db.store.delete_tenant(&fence.tenant).await.unwrap();
    assert_eq!(db.finish_deletions().await, std::slice::from_ref(&fence.tenant));
    // From the catalogue, so that a table that is added later and forgotten is found. What operators did and what
    // happened to them is history, and stays.
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.columns
            join information_schema.tables using (table_schema, table_name)
            where column_name = 'tenant_id' and table_schema = 'public' and table_type = 'BASE TABLE'
                and table_name not in ('tenant_removals', 'operations', 'operation_members', 'rollout_members',
                    'cluster_events', 'audit_log')",
    )
    .fetch_all(db.store.pool())
    .await
    .unwrap();
    assert!(tables.len() >= 6, "{tables:?}");
    for table in tables {
        let count = |id: &str| format!("select count(*) from {table} where tenant_id = '{id}'");
        for (id, there) in [("duka", false), ("kept", true)] {
            let sql = sqlx::AssertSqlSafe(count(id));
            let rows: i64 = sqlx::query_scalar(sql).fetch_one(db.store.pool()).await.unwrap();
            assert_eq!(rows > 0, there, "{table} of {id}");
        }
    }
    assert_eq!(db.store.existing_uids(&[uid, kept_uid]).await.unwrap(), [kept_uid]);
    let removals = db.store.recent_removals().await.unwrap();
    assert_eq!(
        removals.iter().map(|removal| (removal.uid, &removal.tenant)).collect::<Vec<_>>(),
        [(uid, &fence.tenant)]
    );
    assert_eq!(db.store.purge_removals().await.unwrap(), 0, "an hour has not passed");
    db.execute("update tenant_removals set removed_at = now() - interval '61 minutes'").await;
    assert!(db.store.recent_removals().await.unwrap().is_empty());
    assert_eq!(db.store.purge_removals().await.unwrap(), 0, "nodes that are away have not seen it");
    assert_eq!(db.store.removed_uids(&[uid, kept_uid]).await.unwrap(), [uid]);
    db.execute("update tenant_removals set removed_at = now() - interval '91 days'").await;
    assert_eq!(db.store.purge_removals().await.unwrap(), 1);
    assert!(db.store.recent_removals().await.unwrap().is_empty());

    let made_again = db.store.create_tenant(new_tenant("duka")).await.unwrap();
    assert_ne!(made_again.uid, uid);
}
