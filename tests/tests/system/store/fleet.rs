//! Orders on many workers: their members, and the fence of who goes on with them.

use std::time::Duration;

use roost_cluster::ledger::{
    FleetLimits, FleetMembers, FleetMove, FleetStep, Ledger, LedgerError, LedgerRecord, MemberFailure,
    MemberState, OperationKind, Outcome, Progress, WaitingMember,
};
use roost_model::ids::{OperationId, Revision, TenantId};
use roost_store::{
    ChosenWorker, ConditionKind, DesiredState, Fence, NewFleetOrder, OperationState, QrCode, RestartMode,
    Resumption, SessionStatus, StatusReport, WorkerAction, WorkerFilter, WorkerStatus,
};
use time::OffsetDateTime;

use crate::store::support::{Db, by, node, tenant};

const LIMITS: FleetLimits =
    FleetLimits { max_concurrent: 2, max_unavailable_percent: 50, pauses_after: None };

fn chosen(id: &str, answers: bool) -> ChosenWorker {
    ChosenWorker { tenant: tenant(id), node: Some(node("a")), answers }
}

impl Db {
    async fn restart_of(&self, members: Vec<ChosenWorker>) -> OperationId {
        self.order(WorkerAction::Restart, LIMITS, members).await
    }

    async fn order(
        &self,
        action: WorkerAction,
        limits: FleetLimits,
        members: Vec<ChosenWorker>,
    ) -> OperationId {
        let order =
            NewFleetOrder { action, selector: "plan=pro".into(), to: None, settings: None, limits, members };
        self.store.start_fleet_operation(&order, &by("asha", "")).await.unwrap().id
    }

    async fn session_is(&self, fence: &Fence, session: SessionStatus) {
        let report = StatusReport { session_status: Some(session), ..StatusReport::default() };
        self.store.report(fence, &report).await.unwrap();
    }

    async fn restarts(&self, id: &str) -> u64 {
        self.store.get_worker(&tenant(id)).await.unwrap().restarts
    }

    async fn state(&self, operation: OperationId, id: &str) -> MemberState {
        let members = self.ledger.fleet_members(operation, 9).await.unwrap();
        members.under_way.into_iter().find(|member| member.tenant == tenant(id)).unwrap().state
    }
}

fn begin(ids: &[&str]) -> FleetStep {
    FleetStep { begin: ids.iter().map(|id| tenant(id)).collect(), ..FleetStep::default() }
}

#[tokio::test]
async fn the_members_of_a_restart_are_those_of_its_start_in_their_order() {
    let db = Db::new().await;
    let duka = db.owned("duka").await;
    db.owned("soko").await;
    db.session_is(&duka, SessionStatus::Connected).await;
    let id = db.restart_of(vec![chosen("soko", false), chosen("duka", true)]).await;
    let orders = db.ledger.orders().await.unwrap();
    assert_eq!(orders.operations[0].kind, OperationKind::Fleet(LIMITS));
    assert_eq!(orders.operations[0].progress, Progress { total: 2, done: 0 });
    let next = |id: &str, answers| WaitingMember { tenant: tenant(id), answers };
    let expected = FleetMembers {
        waiting: 2,
        next: vec![next("soko", false), next("duka", true)],
        answered: 1,
        ..FleetMembers::default()
    };
    assert_eq!(db.ledger.fleet_members(id, 9).await.unwrap(), expected);
    let first = db.ledger.fleet_members(id, 1).await.unwrap();
    assert_eq!(first, FleetMembers { next: vec![next("soko", false)], ..expected.clone() });
    db.session_is(&duka, SessionStatus::Disconnected).await;
    let silent = db.ledger.fleet_members(id, 9).await.unwrap();
    let next = vec![next("soko", false), next("duka", false)];
    assert_eq!(silent, FleetMembers { next, silent: 1, ..expected });
    assert_eq!(db.number("select orders_revision from cluster_policy").await, 1, "the controller is woken");
}

#[tokio::test]
async fn only_the_present_term_goes_on_with_a_restart_that_runs_and_tells_nobody_twice() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        db.owned(id).await;
    }
    let id = db.restart_of(vec![chosen("duka", true), chosen("soko", true)]).await;
    let present = db.ledger.begin_term("etcd", Revision(99), "coordinator/b").await.unwrap();
    let deposed = db.ledger.step_fleet(db.term, id, &begin(&["duka"])).await;
    assert_eq!(deposed, Err(LedgerError::Deposed { term: present }));
    assert_eq!(db.restarts("duka").await, 0);
    for _ in 0..2 {
        db.ledger.step_fleet(present, id, &begin(&["duka"])).await.unwrap();
        assert_eq!(db.restarts("duka").await, 1);
    }
    let worker = db.store.get_worker(&tenant("duka")).await.unwrap();
    assert_eq!(worker.condition.kind, ConditionKind::Starting);
    db.store.cancel_operation(id, &by("juma", "")).await.unwrap();
    db.ledger.step_fleet(present, id, &begin(&["soko"])).await.unwrap();
    assert_eq!(db.restarts("soko").await, 0, "it is over");
    assert_eq!(db.number("select count(*) from operation_members").await, 0, "nothing of it is kept");
}

#[tokio::test]
async fn a_member_is_back_by_what_was_written_after_its_order() {
    let db = Db::new().await;
    let duka = db.owned("duka").await;
    db.session_is(&duka, SessionStatus::Connected).await;
    let id = db.restart_of(vec![chosen("duka", true)]).await;
    db.ledger.step_fleet(db.term, id, &begin(&["duka"])).await.unwrap();
    let restarting = MemberState::UnderWay { condition: "STARTING".into() };
    assert_eq!(db.state(id, "duka").await, restarting, "what was connected before says nothing");
    db.session_is(&duka, SessionStatus::Disconnected).await;
    assert_eq!(db.state(id, "duka").await, restarting);
    db.session_is(&duka, SessionStatus::Connected).await;
    assert_eq!(db.state(id, "duka").await, MemberState::Done);
    let error = StatusReport {
        worker_status: Some(WorkerStatus::Error),
        last_error: Some("damaged".into()),
        ..StatusReport::default()
    };
    db.store.report(&duka, &error).await.unwrap();
    assert_eq!(db.state(id, "duka").await, MemberState::InError { error: "damaged".into() });
    db.store.stop_worker(&tenant("duka")).await.unwrap();
    assert_eq!(db.state(id, "duka").await, MemberState::Gone);
}

#[tokio::test]
async fn a_session_that_was_never_saved_is_back_when_a_code_is_shown() {
    let db = Db::new().await;
    let duka = db.owned("duka").await;
    let id = db.restart_of(vec![chosen("duka", false)]).await;
    db.ledger.step_fleet(db.term, id, &begin(&["duka"])).await.unwrap();
    let expires_at = OffsetDateTime::now_utc() + Duration::from_secs(60);
    let code = QrCode { text: "code".into(), data_uri: "data:,".into(), expires_at };
    db.store.set_qr(&duka, Some(code)).await.unwrap();
    for kind in [ConditionKind::WaitingForScan, ConditionKind::Unlinked, ConditionKind::SessionRefused] {
        let condition = Some((kind, String::new()));
        db.store.report(&duka, &StatusReport { condition, ..StatusReport::default() }).await.unwrap();
        assert_eq!(db.state(id, "duka").await, MemberState::Done, "{kind:?}");
    }
}

#[tokio::test]
async fn who_is_not_to_run_is_gone_at_its_turn_and_failures_outlive_the_operation() {
    let db = Db::new().await;
    for id in ["duka", "soko", "mtoni"] {
        db.owned(id).await;
    }
    let members =
        vec![chosen("duka", true), chosen("soko", true), chosen("mtoni", true), chosen("nobody", true)];
    let id = db.restart_of(members).await;
    db.store.stop_worker(&tenant("soko")).await.unwrap();
    db.ledger.step_fleet(db.term, id, &begin(&["duka", "soko", "mtoni", "nobody"])).await.unwrap();
    let members = db.ledger.fleet_members(id, 9).await.unwrap();
    let under_way: Vec<&TenantId> = members.under_way.iter().map(|member| &member.tenant).collect();
    assert_eq!((members.waiting, under_way), (0, vec![&tenant("duka"), &tenant("mtoni")]));
    assert_eq!(db.restarts("soko").await, 0);
    let failure = MemberFailure { tenant: tenant("duka"), error: "damaged\0".into() };
    let step = FleetStep { done: vec![tenant("mtoni")], failed: vec![failure], ..FleetStep::default() };
    db.ledger.step_fleet(db.term, id, &step).await.unwrap();
    let outcome = Outcome::Failed { reason: "1 of 2 failed".into() };
    let progress = Progress { total: 2, done: 1 };
    db.ledger.record(db.term, &[LedgerRecord::Ended { operation: id, progress, outcome }]).await.unwrap();
    let kept = db.store.operation_failures(id, 9).await.unwrap();
    assert_eq!(kept, [MemberFailure { tenant: tenant("duka"), error: "damaged\u{FFFD}".into() }]);
    assert_eq!(db.number("select count(*) from operation_members").await, 1);
    let summary = "select text from cluster_events where kind = 'OPERATION_ENDED'";
    let told = "the restart of the workers of plan=pro has failed (1 of 2 tenants): 1 of 2 failed";
    assert_eq!(db.text(summary).await, told);
}

#[tokio::test]
async fn one_runs_at_a_time() {
    let db = Db::new().await;
    db.owned("duka").await;
    let first = db.restart_of(vec![chosen("duka", true)]).await;
    let order = NewFleetOrder {
        action: WorkerAction::Restart,
        selector: String::new(),
        to: None,
        settings: None,
        limits: LIMITS,
        members: vec![chosen("duka", true)],
    };
    let second = db.store.start_fleet_operation(&order, &by("", "")).await.unwrap_err();
    assert_eq!(
        second.to_string(),
        format!("an order on many workers is being carried out (operation {first})")
    );
    assert_eq!(db.number("select count(*) from operation_members").await, 1, "the refused left nothing");
    db.store.cancel_operation(first, &by("", "")).await.unwrap();
    db.store.start_fleet_operation(&order, &by("", "")).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_is_to_stop_has_done_so_when_no_node_has_it_and_one_that_was_started_since_is_gone() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        let fence = db.owned(id).await;
        db.session_is(&fence, SessionStatus::Connected).await;
    }
    let id = db.order(WorkerAction::Stop, LIMITS, vec![chosen("duka", true), chosen("soko", true)]).await;
    db.ledger.step_fleet(db.term, id, &begin(&["duka", "soko"])).await.unwrap();
    let worker = db.store.get_worker(&tenant("duka")).await.unwrap();
    assert_eq!((worker.desired, worker.restarts), (DesiredState::Stopped, 0));
    let waits = MemberState::UnderWay { condition: "node a has not let go of it".into() };
    assert_eq!(db.state(id, "duka").await, waits);
    db.ledger.unplace(db.term, &[tenant("duka")]).await.unwrap();
    assert_eq!(db.state(id, "duka").await, MemberState::Done);
    db.store.start_worker(&tenant("soko")).await.unwrap();
    assert_eq!(db.state(id, "soko").await, MemberState::Gone);
    let step = FleetStep { done: vec![tenant("duka")], ..FleetStep::default() };
    db.ledger.step_fleet(db.term, id, &step).await.unwrap();
    assert_eq!(db.ledger.fleet_members(id, 9).await.unwrap().silent, 0, "who is stopped is not missing");
}

#[tokio::test]
async fn a_start_is_for_those_that_are_stopped_or_in_error() {
    let db = Db::new().await;
    let mut fences = Vec::new();
    for id in ["duka", "mtoni", "soko"] {
        fences.push(db.owned(id).await);
    }
    let names = |chosen: Vec<ChosenWorker>| chosen.into_iter().map(|one| one.tenant).collect::<Vec<_>>();
    let choose = |action| {
        let store = db.store.clone();
        async move { names(store.choose_workers(action, &WorkerFilter::default(), 9).await.unwrap()) }
    };
    db.store.stop_worker(&tenant("duka")).await.unwrap();
    let error = StatusReport { worker_status: Some(WorkerStatus::Error), ..StatusReport::default() };
    db.store.report(&fences[2], &error).await.unwrap();
    assert_eq!(choose(WorkerAction::Start).await, [tenant("duka"), tenant("soko")]);
    assert_eq!(choose(WorkerAction::Stop).await, [tenant("mtoni"), tenant("soko")]);
    let members = vec![chosen("duka", false), chosen("soko", false), chosen("mtoni", true)];
    let id = db.order(WorkerAction::Start, LIMITS, members).await;
    db.ledger.step_fleet(db.term, id, &begin(&["duka", "soko", "mtoni"])).await.unwrap();
    let members = db.ledger.fleet_members(id, 9).await.unwrap();
    let under_way: Vec<&TenantId> = members.under_way.iter().map(|member| &member.tenant).collect();
    assert_eq!(under_way, [&tenant("duka"), &tenant("soko")], "who runs has nothing to do");
    assert_eq!(db.restarts("duka").await, 0, "a start counts as none");
    let worker = db.store.get_worker(&tenant("duka")).await.unwrap();
    assert_eq!(worker.desired, DesiredState::Running);
}

#[tokio::test]
async fn a_forced_restart_and_a_relinking_are_told_as_those_of_one_worker_are() {
    let db = Db::new().await;
    for (action, id, forgets) in
        [(WorkerAction::ForceRestart, "duka", false), (WorkerAction::Relink, "soko", true)]
    {
        db.owned(id).await;
        let order = db.order(action, LIMITS, vec![chosen(id, true)]).await;
        db.ledger.step_fleet(db.term, order, &begin(&[id])).await.unwrap();
        let spec = db.store.worker_spec(&tenant(id)).await.unwrap();
        assert_eq!(spec.forget_session, forgets, "{action:?}");
        let mode = if forgets { RestartMode::ForceWipe } else { RestartMode::Force };
        assert_eq!(spec.restart_mode, mode);
        db.store.cancel_operation(order, &by("", "")).await.unwrap();
    }
}

#[tokio::test]
async fn one_that_pauses_is_resumed_past_the_failures_that_there_are() {
    let db = Db::new().await;
    db.owned("duka").await;
    db.owned("soko").await;
    let limits = FleetLimits { pauses_after: Some(0), ..LIMITS };
    let members = vec![chosen("duka", true), chosen("soko", true)];
    let id = db.order(WorkerAction::Restart, limits, members).await;
    let not_yet = db.store.resume_operation(id, &by("asha", "")).await.unwrap();
    assert_eq!(not_yet, Resumption::NotPaused { state: OperationState::Running });
    db.ledger.step_fleet(db.term, id, &begin(&["duka"])).await.unwrap();
    let failure = MemberFailure { tenant: tenant("duka"), error: "damaged".into() };
    let step = FleetStep { failed: vec![failure], ..FleetStep::default() };
    db.ledger.step_fleet(db.term, id, &step).await.unwrap();
    let resumed = db.store.resume_operation(id, &by("asha", "it was the disk")).await.unwrap();
    assert!(matches!(resumed, Resumption::Resumed(_)), "{resumed:?}");
    let limits = FleetLimits { pauses_after: Some(1), ..LIMITS };
    assert_eq!(db.ledger.orders().await.unwrap().operations[0].kind, OperationKind::Fleet(limits));
    assert_eq!(db.number("select orders_revision from cluster_policy").await, 2, "the controller is woken");
    let told = "select requested_by || ': ' || reason from cluster_events where kind = 'OPERATION_RESUMED'";
    assert_eq!(db.text(told).await, "asha: it was the disk");
}

#[tokio::test]
async fn a_worker_that_is_moved_is_told_nothing_and_has_moved_when_it_answers_on_another_node() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        let fence = db.owned(id).await;
        db.session_is(&fence, SessionStatus::Connected).await;
    }
    db.owned("mtoni").await;
    let members = vec![chosen("mtoni", false), chosen("duka", true), chosen("soko", true)];
    let id = db.order(WorkerAction::Move, LIMITS, members).await;
    assert_eq!(db.ledger.orders().await.unwrap().fleet_moves, [], "nobody's turn has come");
    db.ledger.step_fleet(db.term, id, &begin(&["mtoni", "duka"])).await.unwrap();
    let under_way =
        |id_of: &str| FleetMove { operation: id, tenant: tenant(id_of), from: Some(node("a")), to: None };
    assert_eq!(db.ledger.orders().await.unwrap().fleet_moves, [under_way("mtoni"), under_way("duka")]);
    assert_eq!(db.number("select orders_revision from cluster_policy").await, 2, "the plan is made anew");
    let worker = db.store.get_worker(&tenant("duka")).await.unwrap();
    assert_eq!((worker.restarts, worker.session_status), (0, SessionStatus::Connected));
    let moving = |state: &MemberState| matches!(state, MemberState::UnderWay { .. });
    let on_a = MemberState::UnderWay { condition: "it is on node a".into() };
    assert_eq!(db.state(id, "duka").await, on_a, "it answers, but where it was");
    let there = db.place(&tenant("duka"), "b").await;
    assert!(moving(&db.state(id, "duka").await), "it is there and does not answer yet");
    db.session_is(&there, SessionStatus::Connected).await;
    assert_eq!(db.state(id, "duka").await, MemberState::Done);
    assert!(moving(&db.state(id, "mtoni").await));
    db.place(&tenant("mtoni"), "c").await;
    assert_eq!(db.state(id, "mtoni").await, MemberState::Done, "it did not answer before");
    db.store.cancel_operation(id, &by("juma", "")).await.unwrap();
    assert_eq!(
        db.ledger.orders().await.unwrap().fleet_moves,
        [],
        "nobody is on the way for its sake any more"
    );
}

#[tokio::test]
async fn a_move_of_many_to_a_node_leaves_out_who_has_come_there_before_its_turn() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        let fence = db.owned(id).await;
        db.session_is(&fence, SessionStatus::Connected).await;
    }
    let order = NewFleetOrder {
        action: WorkerAction::Move,
        selector: "plan=pro".into(),
        to: Some(node("b")),
        settings: None,
        limits: LIMITS,
        members: vec![chosen("duka", true), chosen("soko", true)],
    };
    let id = db.store.start_fleet_operation(&order, &by("asha", "")).await.unwrap().id;
    db.place(&tenant("soko"), "b").await;
    db.ledger.step_fleet(db.term, id, &begin(&["duka", "soko"])).await.unwrap();
    let moves = db.ledger.orders().await.unwrap().fleet_moves;
    let to = |one: &FleetMove| (one.tenant.clone(), one.to.clone());
    assert_eq!(moves.iter().map(to).collect::<Vec<_>>(), [(tenant("duka"), Some(node("b")))]);
    let elsewhere = db.place(&tenant("duka"), "c").await;
    db.session_is(&elsewhere, SessionStatus::Connected).await;
    let state = db.state(id, "duka").await;
    assert!(matches!(state, MemberState::UnderWay { .. }), "another node is not the one: {state:?}");
    let told = "select text from cluster_events where kind = 'OPERATION_STARTED'";
    assert_eq!(db.text(told).await, "the move of the workers of plan=pro to node b has started");
}
