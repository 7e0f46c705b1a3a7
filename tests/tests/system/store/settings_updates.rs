//! One change of settings on many tenants, and its undoing: what is written with each, who is left alone, and who fails.

use std::collections::BTreeSet;

use roost_cluster::ledger::{
    FleetLimits, FleetMembers, FleetStep, Ledger, LedgerRecord, MemberFailure, Outcome, Progress,
};
use roost_model::{
    Texts, TimingOverrides,
    ids::{OperationId, SpecRevision},
};
use roost_store::{
    ChosenWorker, FieldChange, LabelPatch, LimitsPatch, NewFleetOrder, NewUndo, SettingsOrder, SettingsPlan,
    SettingsValues, TenantPatch, WorkerAction, WorkerFilter,
};

use crate::store::support::{Db, by, new_tenant, tenant};

const LIMITS: FleetLimits =
    FleetLimits { max_concurrent: 10, max_unavailable_percent: 100, pauses_after: None };

fn values(patch: TenantPatch, entries: &[&str]) -> SettingsValues {
    SettingsValues::new(&patch, &entries.iter().map(|entry| (*entry).to_owned()).collect::<BTreeSet<_>>())
}

fn reply_limit(limit: u32) -> SettingsValues {
    values(of_limit(limit), &[])
}

fn of_limit(limit: u32) -> TenantPatch {
    TenantPatch { reply_limit_per_minute: Some(limit), ..TenantPatch::default() }
}

fn step(ids: &[&str]) -> FleetStep {
    FleetStep { begin: ids.iter().map(|id| tenant(id)).collect(), ..FleetStep::default() }
}

impl Db {
    async fn tenants(&self, ids: &[&str]) {
        for id in ids {
            self.store.create_tenant(new_tenant(id)).await.unwrap();
        }
    }

    async fn update(&self, values: SettingsValues, ids: &[&str]) -> OperationId {
        let members =
            ids.iter().map(|id| ChosenWorker { tenant: tenant(id), node: None, answers: false }).collect();
        let order = NewFleetOrder {
            action: WorkerAction::UpdateSettings,
            selector: "plan=pro".into(),
            to: None,
            settings: Some(values),
            limits: LIMITS,
            members,
        };
        self.store.start_fleet_operation(&order, &by("asha", "")).await.unwrap().id
    }

    /// All at once, to its end.
    async fn updated(&self, values: SettingsValues, ids: &[&str]) -> OperationId {
        let id = self.update(values, ids).await;
        self.ledger.step_fleet(self.term, id, &step(ids)).await.unwrap();
        self.end(id).await;
        id
    }

    async fn undo(&self, undoes: OperationId, ids: &[&str]) -> OperationId {
        let members = ids.iter().map(|id| tenant(id)).collect();
        let undo = NewUndo { undoes, limits: LIMITS, members };
        let id = self.store.start_undo(&undo, &by("asha", "")).await.unwrap().id;
        self.ledger.step_fleet(self.term, id, &step(ids)).await.unwrap();
        id
    }

    async fn end(&self, operation: OperationId) {
        let outcome = Outcome::Done;
        let progress = Progress { total: 1, done: 1 };
        let ended = LedgerRecord::Ended { operation, progress, outcome };
        self.ledger.record(self.term, &[ended]).await.unwrap();
    }

    async fn members(&self, operation: OperationId) -> FleetMembers {
        self.ledger.fleet_members(operation, 9).await.unwrap()
    }

    async fn limit_of(&self, id: &str) -> u32 {
        self.store.get_tenant(&tenant(id)).await.unwrap().settings.reply_limit_per_minute
    }

    /// Which its node has been told.
    async fn revision(&self, id: &str) -> SpecRevision {
        self.store.worker_spec(&tenant(id)).await.unwrap().spec_revision
    }
}

/// Who would change from what to what.
fn told(plan: &SettingsPlan) -> Vec<String> {
    let field = |FieldChange { path, before, after }: &FieldChange| format!("{path}: {before} -> {after}");
    let changes = plan
        .changes
        .iter()
        .map(|one| format!("{} {}", one.tenant, one.fields.iter().map(field).collect::<Vec<_>>().join(", ")));
    changes.collect()
}

#[tokio::test]
async fn each_tenant_gets_the_values_with_what_it_had_before_noted_and_its_worker_told() {
    let db = Db::new().await;
    db.tenants(&["duka", "soko"]).await;
    let before = db.revision("duka").await;
    let id = db.update(reply_limit(20), &["duka", "soko"]).await;
    let waits = db.members(id).await;
    assert_eq!((waits.waiting, waits.answered), (2, 0), "nobody is taken away by it");
    db.ledger.step_fleet(db.term, id, &step(&["duka"])).await.unwrap();
    assert_eq!((db.limit_of("duka").await, db.limit_of("soko").await), (20, 10));
    assert!(db.revision("duka").await > before, "its node hears of it");
    let members = db.members(id).await;
    assert_eq!((members.waiting, members.done, members.under_way.len()), (1, 1, 0));
    let noted = "select settings_before ->> 'reply_limit_per_minute' || ' to ' || (settings_after ->> 'reply_limit_per_minute')
        from operation_members where tenant_id = 'duka'";
    assert_eq!(db.text(noted).await, "10 to 20");
    assert_eq!(
        db.number("select orders_revision from cluster_policy").await,
        2,
        "the next turn comes at once"
    );
    let summary = "select text from cluster_events where kind = 'OPERATION_STARTED'";
    assert_eq!(db.text(summary).await, "the update of settings of the workers of plan=pro has started");
}

#[tokio::test]
async fn a_tenant_that_has_the_values_already_is_done_and_not_touched() {
    let db = Db::new().await;
    db.tenants(&["duka"]).await;
    let (revision, updated) =
        (db.revision("duka").await, db.store.get_tenant(&tenant("duka")).await.unwrap());
    let id = db.update(reply_limit(10), &["duka"]).await;
    db.ledger.step_fleet(db.term, id, &step(&["duka"])).await.unwrap();
    assert_eq!(db.members(id).await.done, 1);
    assert_eq!(db.revision("duka").await, revision, "its node is told nothing");
    assert_eq!(db.store.get_tenant(&tenant("duka")).await.unwrap(), updated);
    db.end(id).await;
    assert_eq!(db.number("select count(*) from operation_members").await, 0, "there is nothing to undo");
}

#[tokio::test]
async fn a_tenant_whose_bounds_the_values_violate_fails_with_the_reason_and_stays_as_it_is() {
    let db = Db::new().await;
    db.tenants(&["duka", "mtoni", "soko"]).await;
    let limited = LimitsPatch { memory_limit_bytes: Some(Some(200)), ..LimitsPatch::default() };
    let limited = TenantPatch { limits: limited, ..TenantPatch::default() };
    db.store.update_tenant(&tenant("soko"), limited).await.unwrap();
    let slow = TimingOverrides { probe_every: Some(secs(60)), ..TimingOverrides::default() };
    let slow = TenantPatch { timing: Some(slow), ..TenantPatch::default() };
    db.store.update_tenant(&tenant("mtoni"), slow).await.unwrap();
    let requested = LimitsPatch { memory_request_bytes: Some(Some(300)), ..LimitsPatch::default() };
    let timing = TimingOverrides { stale_after: Some(secs(30)), ..TimingOverrides::default() };
    let patch = TenantPatch { limits: requested, timing: Some(timing), ..of_limit(20) };
    let values = values(patch, &["timing.stale_after"]);

    let ids = ["duka", "mtoni", "soko"];
    let plan = db.store.plan_settings(&values, &ids.map(tenant)).await.unwrap();
    let told = told(&plan);
    let duka =
        "duka memory_request_bytes:  -> 300, reply_limit_per_minute: 10 -> 20, timing.stale_after:  -> 30s";
    assert_eq!(told, [duka]);
    let over = MemberFailure {
        tenant: tenant("soko"),
        error: "memory_request_bytes would be 300, over its memory_limit_bytes of 200".into(),
    };
    assert_eq!(plan.refused[1], over);
    assert!(plan.refused[0].error.starts_with("its timing would not fit together"), "{plan:?}");

    let id = db.update(values, &ids).await;
    db.ledger.step_fleet(db.term, id, &step(&ids)).await.unwrap();
    let members = db.members(id).await;
    assert_eq!((members.done, members.failed), (1, 2));
    assert_eq!(members.failures, plan.refused, "as it was planned");
    assert_eq!((db.limit_of("duka").await, db.limit_of("soko").await), (20, 10), "all of it or nothing");
}

#[tokio::test]
async fn an_entry_is_changed_alone_and_put_back_alone() {
    let db = Db::new().await;
    db.tenants(&["duka"]).await;
    let texts = Texts { greeting: "Habari".into(), fallback: "Samahani".into(), ..Texts::default() };
    let labels = LabelPatch { set: [("plan".into(), "pro".into())].into(), ..LabelPatch::default() };
    let own = TenantPatch { texts: Some(texts.clone()), labels, ..TenantPatch::default() };
    db.store.update_tenant(&tenant("duka"), own).await.unwrap();
    let given = Texts { greeting: "Karibu".into(), ..Texts::default() };
    let labels = LabelPatch {
        set: [("tier".into(), "gold".into())].into(),
        remove: vec!["plan".into()],
        ..LabelPatch::default()
    };
    let patch = TenantPatch { texts: Some(given), labels, ..TenantPatch::default() };
    let id = db.updated(values(patch, &["texts.greeting"]), &["duka"]).await;
    let changed = db.store.get_tenant(&tenant("duka")).await.unwrap();
    assert_eq!(changed.settings.texts, Texts { greeting: "Karibu".into(), ..texts.clone() });
    assert_eq!(changed.labels, [("tier".to_owned(), "gold".to_owned())].into());
    // What it has not changed is nobody's business.
    let other = LabelPatch { set: [("zone".into(), "east".into())].into(), ..LabelPatch::default() };
    db.store
        .update_tenant(&tenant("duka"), TenantPatch { labels: other, ..TenantPatch::default() })
        .await
        .unwrap();
    let undone = db.undo(id, &["duka"]).await;
    assert_eq!(db.members(undone).await.done, 1);
    let back = db.store.get_tenant(&tenant("duka")).await.unwrap();
    assert_eq!(back.settings.texts, texts);
    let both = [("plan", "pro"), ("zone", "east")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(back.labels, both.into());
}

#[tokio::test]
async fn an_undoing_puts_back_only_what_is_still_as_the_operation_wrote_it() {
    let db = Db::new().await;
    db.tenants(&["duka", "mtoni", "soko", "zawadi"]).await;
    db.store.update_tenant(&tenant("mtoni"), of_limit(20)).await.unwrap();
    let id = db.updated(reply_limit(20), &["duka", "mtoni", "soko", "zawadi"]).await;
    db.store.update_tenant(&tenant("soko"), of_limit(99)).await.unwrap();
    db.store.update_tenant(&tenant("zawadi"), of_limit(10)).await.unwrap();

    let plan = db.store.plan_undo(id).await.unwrap();
    assert_eq!(told(&plan), ["duka reply_limit_per_minute: 20 -> 10"], "mtoni was not changed");
    let soko = MemberFailure {
        tenant: tenant("soko"),
        error: "changed by somebody else since: reply_limit_per_minute".into(),
    };
    assert_eq!((plan.refused, plan.unchanged), (vec![soko.clone()], 1), "zawadi has it back already");

    // As if soko's change had come after the plan.
    let undone = db.undo(id, &["duka", "soko"]).await;
    assert_eq!((db.limit_of("duka").await, db.limit_of("soko").await), (10, 99));
    let members = db.members(undone).await;
    assert_eq!((members.done, members.failures), (1, vec![soko]));
    let record = db.store.get_operation(undone).await.unwrap();
    assert!(format!("{:?}", record.order).contains(&format!("{:?}", SettingsOrder::Undo(id))), "{record:?}");
    assert_eq!(db.store.undone_by(id).await.unwrap(), Some(undone));
    let summary = "select text from cluster_events where kind = 'OPERATION_STARTED' order by id desc limit 1";
    assert_eq!(db.text(summary).await, format!("the undoing of operation {id} has started"));

    db.end(undone).await;
    let again = db.undo(undone, &["duka"]).await;
    assert_eq!((db.members(again).await.done, db.limit_of("duka").await), (1, 20), "an undoing is undone");
}

#[tokio::test]
async fn nothing_is_kept_of_a_tenant_that_is_deleted_nor_of_credentials_in_an_order_that_is_over() {
    let db = Db::new().await;
    db.tenants(&["duka", "soko"]).await;
    let proxy = "http://asha:sesame@proxy.example:3128".parse().unwrap();
    let patch = TenantPatch { proxy: Some(Some(proxy)), ..TenantPatch::default() };
    let id = db.updated(values(patch, &[]), &["duka", "soko"]).await;
    assert_eq!(db.number("select count(*) from operations where settings::text like '%sesame%'").await, 0);
    let plan = db.store.plan_undo(id).await.unwrap();
    assert_eq!(plan.changes.len(), 2);
    assert!(!format!("{plan:?}").contains("sesame"), "{plan:?}");
    db.store.delete_tenant(&tenant("duka")).await.unwrap();
    let kept = "select count(*) from operation_members where settings_after::text like '%sesame%'";
    assert_eq!(db.number(kept).await, 1);
    db.finish_deletions().await;
    db.tenants(&["duka"]).await;
    assert_eq!(db.store.plan_undo(id).await.unwrap().changes.len(), 1, "another duka is not it");
    db.undo(id, &["soko"]).await;
    assert_eq!(db.store.get_tenant(&tenant("soko")).await.unwrap().proxy, None);
}

#[tokio::test]
async fn every_tenant_is_chosen_for_an_update_whether_it_runs_or_not() {
    let db = Db::new().await;
    db.owned("duka").await;
    db.tenants(&["soko"]).await;
    let all = WorkerFilter::default();
    let choose = |action| db.store.choose_workers(action, &all, 9);
    assert_eq!(choose(WorkerAction::UpdateSettings).await.unwrap().len(), 2);
    assert_eq!(choose(WorkerAction::Restart).await.unwrap().len(), 1);
}

fn secs(secs: u64) -> std::time::Duration {
    std::time::Duration::from_secs(secs)
}
