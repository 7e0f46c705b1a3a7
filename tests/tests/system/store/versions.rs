//! Versions of the page and of the library: who may have which, that none goes while somebody has it, and their rollouts.

use std::{collections::BTreeSet, time::Duration};

use roost_cluster::ledger::{
    FleetLimits, FleetStep, Ledger, LedgerError, OperationKind, Outcome, RolloutLimits, RolloutMember,
    RolloutStep,
};
use roost_model::{
    BrowserSettings,
    ids::{OperationId, Revision},
};
use roost_store::{
    Cancellation, ChosenVersions, ChosenWorker, ConditionKind, Fence, Heartbeat, NewFleetOrder, NewRollout,
    NewTenant, NewVersion, OperationOrder, OperationState, RestartMode, RolloutChoice, RolloutOrder,
    SendFigures, SessionStatus, SettingsValues, StatusReport, StoreError, TenantPatch, VersionKind,
    WorkerAction, WorkerFilter,
};

use crate::store::support::{Db, by, new_tenant, tenant};

const LIMITS: RolloutLimits = RolloutLimits {
    max_concurrent: 2,
    watch_for: Duration::from_secs(60),
    give_up_after: Duration::from_secs(600),
    least_acknowledged: 20,
};

fn page(name: &str) -> Option<BrowserSettings> {
    let page_version = Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
    Some(BrowserSettings { page_version, ..BrowserSettings::default() })
}

impl Db {
    async fn version(&self, name: &str, kind: VersionKind) {
        let content = format!("<{name}>");
        let new = NewVersion { name: name.into(), kind, content, expires_at: None };
        self.store.create_version(&new, &by("asha", "")).await.unwrap();
    }

    async fn pin(&self, kind: VersionKind, name: &str) -> Result<bool, StoreError> {
        let name = Some(name).filter(|name| !name.is_empty());
        self.store.pin_version(kind, name, &by("asha", "")).await
    }

    async fn set_page(&self, id: &str, name: &str) -> Result<(), StoreError> {
        let patch = TenantPatch { browser: page(name), ..TenantPatch::default() };
        self.store.update_tenant(&tenant(id), patch).await.map(drop)
    }

    /// The names of what the tenant's browser is to be given: the page and the library.
    async fn chosen(&self, id: &str) -> [Option<String>; 2] {
        let ChosenVersions { page, library } = self.store.chosen_versions(&tenant(id)).await.unwrap();
        [page, library].map(|version| version.map(|version| version.name))
    }

    async fn roll_out(&self, version: &str, tenants: &[&str], controls: &[&str]) -> OperationId {
        let ids = |ids: &[&str]| ids.iter().map(|id| tenant(id)).collect();
        let order = RolloutOrder::new(version.into(), VersionKind::Page, String::new(), LIMITS);
        let chosen = RolloutChoice { tenants: ids(tenants), controls: ids(controls) };
        self.store.start_rollout(&NewRollout { order, chosen }, &by("asha", "new page")).await.unwrap().id
    }

    async fn give(&self, operation: OperationId, ids: &[&str]) {
        let tenants: Vec<_> = ids.iter().map(|id| tenant(id)).collect();
        self.ledger.step_rollout(self.term, operation, &RolloutStep::Give(tenants)).await.unwrap();
    }

    async fn rolled(&self, operation: OperationId, outcome: Outcome, done: u32) -> Result<(), LedgerError> {
        self.ledger.step_rollout(self.term, operation, &RolloutStep::End { outcome, done }).await
    }

    async fn member(&self, operation: OperationId, id: &str) -> Option<RolloutMember> {
        let members = self.ledger.rollout_members(operation).await.unwrap();
        members.into_iter().find(|member| member.tenant == tenant(id))
    }

    async fn says(&self, fence: &Fence, session_status: SessionStatus, condition: ConditionKind) {
        let report = StatusReport {
            session_status: Some(session_status),
            condition: Some((condition, String::new())),
            ..StatusReport::default()
        };
        self.store.report(fence, &report).await.unwrap();
    }

    /// Its browser is seen with this page, and with what came of its sends.
    async fn seen(&self, fence: &Fence, page: Option<&str>, acknowledged: u64, unacknowledged: u64) {
        let page_version = page.map(str::to_owned);
        let sends = SendFigures { page_version, library_version: None, acknowledged, unacknowledged };
        let evident_for = Duration::from_secs(60);
        let beat = Heartbeat { sends, evident_for, ..Heartbeat::from(fence.clone()) };
        self.store.heartbeat(&[beat]).await.unwrap();
    }

    /// Tenants that answer, each with its fence.
    async fn answering<const N: usize>(&self, ids: [&str; N]) -> [Fence; N] {
        let mut fences = Vec::new();
        for id in ids {
            let fence = self.owned(id).await;
            self.says(&fence, SessionStatus::Connected, ConditionKind::Answering).await;
            fences.push(fence);
        }
        fences.try_into().unwrap()
    }
}

#[tokio::test]
async fn a_browser_is_given_what_its_tenant_has_or_else_the_fleet() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        db.store.create_tenant(new_tenant(id)).await.unwrap();
    }
    assert_eq!(db.chosen("duka").await, [None, None]);
    db.version("p1", VersionKind::Page).await;
    db.version("p2", VersionKind::Page).await;
    db.version("b1", VersionKind::Library).await;
    assert!(db.pin(VersionKind::Page, "p1").await.unwrap());
    assert!(!db.pin(VersionKind::Page, "p1").await.unwrap(), "already so");
    assert!(db.pin(VersionKind::Library, "b1").await.unwrap());
    db.set_page("duka", "p2").await.unwrap();
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(db.chosen("duka").await, [named("p2"), named("b1")]);
    assert_eq!(db.chosen("soko").await, [named("p1"), named("b1")]);
    let spec = db.store.worker_spec(&tenant("duka")).await.unwrap().versions;
    assert_eq!(spec, db.store.chosen_versions(&tenant("duka")).await.unwrap());
    let content = db.store.version_content(spec.page.unwrap().id).await.unwrap();
    assert_eq!(content.as_deref(), Some("<p2>"));
    db.set_page("duka", "").await.unwrap();
    assert!(db.pin(VersionKind::Page, "").await.unwrap());
    assert_eq!(db.chosen("duka").await, [None, named("b1")]);
    let told = db
        .text("select string_agg(text, '; ' order by id) from cluster_events where kind = 'VERSION_PINNED'")
        .await;
    assert_eq!(
        told,
        "the page version of the fleet is p1; the library version of the fleet is b1; the fleet has no page version of its own any more"
    );
}

#[tokio::test]
async fn nobody_is_given_what_is_not_there_or_is_of_the_other_kind() {
    let db = Db::new().await;
    db.version("p1", VersionKind::Page).await;
    db.version("b1", VersionKind::Library).await;
    let taken = NewVersion {
        name: "p1".into(),
        kind: VersionKind::Page,
        content: "<other>".into(),
        expires_at: None,
    };
    let taken = db.store.create_version(&taken, &by("asha", "")).await;
    assert!(matches!(taken, Err(StoreError::VersionTaken { .. })), "{taken:?}");
    for name in ["p9", "b1"] {
        let made =
            db.store.create_tenant(NewTenant { browser: page(name).unwrap(), ..new_tenant("duka") }).await;
        assert!(matches!(made, Err(StoreError::NoVersion { kind: "page version" })), "{made:?}");
        let pinned = db.pin(VersionKind::Page, name).await;
        assert!(matches!(pinned, Err(StoreError::NotFound { kind: "page version", .. })), "{pinned:?}");
    }
    db.owned("duka").await;
    assert!(matches!(db.set_page("duka", "p9").await, Err(StoreError::NoVersion { .. })));
    // A change of many says it of each.
    let patch = TenantPatch { browser: page("p9"), ..TenantPatch::default() };
    let settings = Some(SettingsValues::new(&patch, &BTreeSet::from(["browser.page_version".to_owned()])));
    let members = vec![ChosenWorker { tenant: tenant("duka"), node: None, answers: false }];
    let plan = db.store.plan_settings(settings.as_ref().unwrap(), &[tenant("duka")]).await.unwrap();
    assert_eq!(plan.refused[0].error, "there is no page version p9");
    let limits = FleetLimits { max_concurrent: 1, max_unavailable_percent: 100, pauses_after: None };
    let action = WorkerAction::UpdateSettings;
    let order = NewFleetOrder { action, selector: String::new(), to: None, settings, limits, members };
    let id = db.store.start_fleet_operation(&order, &by("asha", "")).await.unwrap().id;
    let step = FleetStep { begin: vec![tenant("duka")], ..FleetStep::default() };
    db.ledger.step_fleet(db.term, id, &step).await.unwrap();
    let members = db.ledger.fleet_members(id, 9).await.unwrap();
    assert_eq!(members.failures[0].error, "there is no page version p9");
}

#[tokio::test]
async fn a_version_goes_only_when_nobody_has_it() {
    let db = Db::new().await;
    for name in ["fleet", "own", "tried", "free"] {
        db.version(name, VersionKind::Page).await;
    }
    db.pin(VersionKind::Page, "fleet").await.unwrap();
    db.answering(["duka", "soko"]).await;
    db.store.create_tenant(new_tenant("mtoni")).await.unwrap();
    db.set_page("mtoni", "own").await.unwrap();
    let rollout = db.roll_out("tried", &["duka"], &["soko"]).await;
    for name in ["fleet", "own", "tried"] {
        let kept = db.store.delete_version(name).await;
        assert!(matches!(&kept, Err(StoreError::VersionInUse { name: used }) if used == name), "{kept:?}");
    }
    db.store.delete_version("free").await.unwrap();
    assert!(matches!(db.store.delete_version("free").await, Err(StoreError::NotFound { .. })));
    let listed = db.store.list_versions().await.unwrap();
    let used = |name: &str| {
        let version = listed.iter().find(|version| version.name == name).unwrap();
        (version.is_the_fleets, version.tenants)
    };
    assert_eq!([used("fleet"), used("own"), used("tried")], [(true, 0), (false, 1), (false, 0)]);
    // Once nobody has them any more they may go.
    db.store.cancel_operation(rollout, &by("asha", "")).await.unwrap();
    db.pin(VersionKind::Page, "").await.unwrap();
    db.set_page("mtoni", "").await.unwrap();
    for name in ["fleet", "own", "tried"] {
        db.store.delete_version(name).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_given_a_version_starts_anew_and_answers_once_it_is_seen_with_it() {
    let db = Db::new().await;
    db.version("p1", VersionKind::Page).await;
    let [duka, soko, mtoni, ..] = db.answering(["duka", "soko", "mtoni", "lodge"]).await;
    let id = db.roll_out("p1", &["duka", "soko"], &["mtoni", "lodge"]).await;
    assert_eq!(db.ledger.orders().await.unwrap().operations[0].kind, OperationKind::Rollout(LIMITS));
    db.seen(&duka, None, 900, 0).await;
    let waiting = db.member(id, "duka").await.unwrap();
    assert_eq!(
        (waiting.given_ago, waiting.answers, waiting.acknowledged),
        (None, true, 0),
        "of another page"
    );
    let before = db.store.get_worker(&tenant("duka")).await.unwrap().restarts;
    db.give(id, &["duka"]).await;
    db.give(id, &["duka"]).await;
    let worker = db.store.get_worker(&tenant("duka")).await.unwrap();
    assert_eq!(worker.restarts, before + 1, "told once");
    assert_eq!(db.store.worker_spec(&tenant("duka")).await.unwrap().restart_mode, RestartMode::Graceful);
    assert_eq!(db.chosen("duka").await[0].as_deref(), Some("p1"));
    let given = db.member(id, "duka").await.unwrap();
    assert!(given.given_ago.is_some() && !given.answers, "it has not come back: {given:?}");
    db.says(&duka, SessionStatus::Disconnected, ConditionKind::Starting).await;
    db.says(&duka, SessionStatus::Connected, ConditionKind::Answering).await;
    assert!(!db.member(id, "duka").await.unwrap().answers, "nobody has seen with what");
    db.seen(&duka, Some("p1"), 7, 1).await;
    let back = db.member(id, "duka").await.unwrap();
    assert_eq!((back.answers, back.acknowledged, back.unacknowledged, back.trouble), (true, 7, 1, None));
    // What its worker has to do about it from now on is trouble; of the others it is as well.
    for fence in [&duka, &mtoni] {
        db.says(fence, SessionStatus::Connected, ConditionKind::Healing).await;
        db.says(fence, SessionStatus::Connected, ConditionKind::Answering).await;
    }
    for (id_of, trouble) in
        [("duka", Some("HEALING")), ("mtoni", Some("HEALING")), ("soko", None), ("lodge", None)]
    {
        assert_eq!(db.member(id, id_of).await.unwrap().trouble.as_deref(), trouble, "{id_of}");
    }
    // Somebody else gives it another one, and one is stopped: neither tells anything any more.
    db.set_page("duka", "").await.unwrap();
    db.store.stop_worker(&tenant("lodge")).await.unwrap();
    assert!(db.member(id, "duka").await.is_none() && db.member(id, "lodge").await.is_none());
    drop(soko);
}

#[tokio::test]
async fn a_sound_version_is_the_fleets_and_a_broken_one_is_taken_back_from_everybody() {
    let db = Db::new().await;
    db.version("p1", VersionKind::Page).await;
    db.version("p2", VersionKind::Page).await;
    db.answering(["duka", "soko", "mtoni", "lodge"]).await;
    let restarts = async |id: &str| db.store.get_worker(&tenant(id)).await.unwrap().restarts;
    let id = db.roll_out("p1", &["duka", "soko"], &["mtoni", "lodge"]).await;
    db.give(id, &["duka", "soko"]).await;
    let started = [restarts("duka").await, restarts("mtoni").await];
    db.rolled(id, Outcome::Done, 2).await.unwrap();
    let ended = db.store.get_operation(id).await.unwrap();
    assert_eq!((ended.state, ended.progress.done, ended.message.as_str()), (OperationState::Done, 2, ""));
    assert!(matches!(&ended.order, OperationOrder::Rollout(order) if order.version == "p1"));
    for id in ["duka", "soko", "mtoni"] {
        assert_eq!(db.chosen(id).await[0].as_deref(), Some("p1"), "{id}");
    }
    let own = "select count(*) from tenants where browser ? 'page_version'";
    assert_eq!(db.number(own).await, 0, "it is nobody's own");
    assert_eq!([restarts("duka").await, restarts("mtoni").await], started, "nothing changes for them");

    let id = db.roll_out("p2", &["mtoni", "lodge"], &["duka", "soko"]).await;
    db.give(id, &["mtoni"]).await;
    assert_eq!(db.chosen("mtoni").await[0].as_deref(), Some("p2"));
    let before = [restarts("mtoni").await, restarts("lodge").await];
    let broken = Outcome::Failed { reason: "broken: 1 of 1 that have it fail".into() };
    db.rolled(id, broken, 0).await.unwrap();
    assert_eq!(db.chosen("mtoni").await[0].as_deref(), Some("p1"), "what it had");
    assert_eq!([restarts("mtoni").await, restarts("lodge").await], [before[0] + 1, before[1]]);
    let told = db
        .text("select text from cluster_events where kind = 'OPERATION_ENDED' order by id desc limit 1")
        .await;
    assert_eq!(told, "the rollout of p2 has failed (0 of 2 tenants): broken: 1 of 1 that have it fail");
    assert_eq!(db.number("select count(*) from rollout_members").await, 0);
}

#[tokio::test]
async fn a_rollout_is_one_at_a_time_and_its_cancelling_takes_it_back() {
    let db = Db::new().await;
    db.version("p1", VersionKind::Page).await;
    db.answering(["duka", "soko"]).await;
    let id = db.roll_out("p1", &["duka"], &["soko"]).await;
    let order = RolloutOrder::new("p1".into(), VersionKind::Page, String::new(), LIMITS);
    let second = NewRollout { order, chosen: RolloutChoice::default() };
    let second = db.store.start_rollout(&second, &by("asha", "")).await;
    assert!(matches!(second, Err(StoreError::Conflict { operation, .. }) if operation == id), "{second:?}");
    db.give(id, &["duka"]).await;
    let told = db.store.cancel_operation(id, &by("asha", "enough")).await.unwrap();
    let Cancellation::Cancelled(record) = told else { panic!("{told:?}") };
    assert_eq!((record.state, record.message.as_str()), (OperationState::Cancelled, "cancelled by asha"));
    assert_eq!(db.chosen("duka").await, [None, None]);
    assert_eq!(db.store.get_worker(&tenant("duka")).await.unwrap().restarts, 2, "there, and back");
    // It is over: nothing more is given, and no end is written over this one.
    db.give(id, &["duka"]).await;
    db.rolled(id, Outcome::Done, 1).await.unwrap();
    assert_eq!(db.store.get_operation(id).await.unwrap().state, OperationState::Cancelled);
    assert_eq!(db.chosen("duka").await, [None, None]);
}

#[tokio::test]
async fn a_deposed_controller_gives_nobody_anything() {
    let db = Db::new().await;
    db.version("p1", VersionKind::Page).await;
    db.answering(["duka", "soko"]).await;
    let id = db.roll_out("p1", &["duka"], &["soko"]).await;
    db.ledger.begin_term("etcd", Revision(20), "coordinator/b").await.unwrap();
    let given = db.ledger.step_rollout(db.term, id, &RolloutStep::Give(vec![tenant("duka")])).await;
    assert!(matches!(given, Err(LedgerError::Deposed { .. })), "{given:?}");
    let ended = db.rolled(id, Outcome::Done, 1).await;
    assert!(matches!(ended, Err(LedgerError::Deposed { .. })), "{ended:?}");
    assert_eq!(db.chosen("duka").await, [None, None]);
    assert_eq!(db.store.get_operation(id).await.unwrap().state, OperationState::Running);
}

#[tokio::test]
async fn only_tenants_that_answer_and_have_none_of_their_own_are_drawn() {
    let db = Db::new().await;
    db.version("p1", VersionKind::Page).await;
    let [_, _, away, _] = db.answering(["duka", "soko", "mtoni", "lodge"]).await;
    db.says(&away, SessionStatus::Disconnected, ConditionKind::WaitingForWhatsapp).await;
    db.set_page("lodge", "p1").await.unwrap();
    let (count, mut drawn) =
        db.store.rollout_candidates(VersionKind::Page, &WorkerFilter::default(), 9).await.unwrap();
    drawn.sort();
    assert_eq!((count, drawn), (2, vec![tenant("duka"), tenant("soko")]));
    let (count, drawn) =
        db.store.rollout_candidates(VersionKind::Library, &WorkerFilter::default(), 1).await.unwrap();
    assert_eq!((count, drawn.len()), (3, 1), "of the other kind it has none");
}
