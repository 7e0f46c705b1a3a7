//! Sentences about the machine. What a worker says that it waits for is in `condition`, what is done about pages in `pages`, the
//! rules over arbitrary sequences of events in `rules`.

use std::time::Duration;

use roost_store::{ConditionKind, RestartMode, SessionStatus, StatusReport, TenantStatus, WorkerStatus};

use super::*;
use crate::worker::{
    WorkerTiming,
    fault::{Failure, Surroundings},
};

mod condition;
mod crashes;
mod linking;
mod outages;
mod over_limit;
mod pages;
mod rules;
mod scheduled;
mod turns;

const PHONE: &str = "+255700000001";

const BEGIN: Event = Event::Begin { forget: None, scan_paused: false };

/// One step, after which it is the page's turn at once if it waits for one; `turns` has those that wait.
fn step(machine: Machine, event: Event, now: WorkerTime) -> (Machine, Vec<Effect>) {
    let (machine, mut effects) = super::step(machine, event, now);
    if effects.pop_if(|last| *last == Effect::TakeTurn).is_none() {
        return (machine, effects);
    }
    let (machine, more) = super::step(machine, Event::TurnTaken, now);
    effects.extend(more);
    (machine, effects)
}

fn secs(n: u64) -> WorkerTime {
    Duration::from_secs(n)
}

/// A tenant that was linked before.
fn machine() -> Machine {
    fresh().with_saved_session()
}

/// One that never was.
fn fresh() -> Machine {
    Machine::new(WorkerTiming::default(), PHONE, 7)
}

/// Runs events one second apart from `start` and returns the machine with all effects.
fn play(
    mut machine: Machine,
    start: WorkerTime,
    events: impl IntoIterator<Item = Event>,
) -> (Machine, Vec<Effect>) {
    let mut effects = Vec::new();
    for (nth, event) in events.into_iter().enumerate() {
        let (next, more) = step(machine, event, start + secs(nth as u64));
        machine = next;
        effects.extend(more);
    }
    (machine, effects)
}

fn ready() -> Event {
    Event::Ready { phone: "255700000001@c.us".into() }
}

fn code(text: &str) -> Event {
    Event::Code { text: Some(text.into()), expires_in: None }
}

fn exited() -> Event {
    Event::Exited { reason: "killed".into() }
}

fn unproved() -> Event {
    Event::Unproved { reason: "deaf".into() }
}

fn running() -> Machine {
    let (machine, _) = play(machine(), secs(0), [BEGIN, Event::Launched, ready()]);
    assert!(matches!(machine.state(), State::Running { .. }));
    machine
}

/// Lets the time of the next tick come.
fn until_due(machine: Machine) -> (Machine, Vec<Effect>) {
    let due = machine.wake_at().expect("a tick is due");
    step(machine, Event::Tick, due)
}

fn reports(effects: &[Effect]) -> Vec<&StatusReport> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Report(report) = effect { Some(report) } else { None })
        .collect()
}

#[test]
fn pairing_shows_the_code_and_runs_only_when_the_session_is_saved() {
    let (machine, mut effects) =
        play(fresh(), secs(0), [BEGIN, Event::Launched, code("a"), code("b"), ready(), Event::Proved]);
    assert!(matches!(machine.state(), State::Connecting { .. }), "a crash now would cost another scan");
    let saved = Event::SessionSaved { link: machine.link() };
    let (machine, more) = step(machine, saved, secs(9));
    effects.extend(more);
    assert!(matches!(machine.state(), State::Running { .. }));
    assert!(effects.contains(&Effect::ShowCode { text: "a".into(), expires_in: secs(60) }));
    assert!(effects.contains(&Effect::ShowCode { text: "b".into(), expires_in: secs(20) }));
    let last = reports(&effects).pop().expect("a report");
    assert_eq!(last.tenant_status, Some(TenantStatus::Active));
    assert_eq!(last.session_status, Some(SessionStatus::Connected));
    assert_eq!(last.worker_status, Some(WorkerStatus::Running));
    assert_eq!(last.last_error.as_deref(), Some(""));
    assert!(effects.contains(&Effect::SaveSession));
}

#[test]
fn a_snapshot_of_the_session_before_does_not_count_for_the_one_that_was_linked_since() {
    let before = running().link();
    let (machine, _) = play(running(), secs(9), [code("a"), ready(), Event::SessionSaved { link: before }]);
    assert!(matches!(machine.state(), State::Connecting { .. }), "it is of the session before");
    let saved = Event::SessionSaved { link: machine.link() };
    let (machine, _) = step(machine, saved, secs(13));
    assert!(matches!(machine.state(), State::Running { .. }));
}

#[test]
fn a_restored_session_runs_without_a_code() {
    let (_, effects) = play(machine(), secs(0), [BEGIN, Event::Launched, ready()]);
    assert!(effects.contains(&Effect::Serve));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ShowCode { .. } | Effect::SaveSession)));
}

#[test]
fn another_phone_is_logged_out_and_the_operator_told_which_one_was_expected() {
    let other = Event::Ready { phone: "254711111111@c.us".into() };
    let (machine, effects) = play(machine(), secs(0), [BEGIN, Event::Launched, code("a"), other]);
    assert!(effects.contains(&Effect::LogOut));
    assert!(!effects.contains(&Effect::Serve));
    let last = reports(&effects).pop().and_then(|report| report.last_error.clone()).expect("an error");
    assert!(last.contains("+255700000001") && last.contains("+254711111111"), "{last}");
    let (machine, effects) = play(machine, secs(9), [Event::BrowserGone, Event::SessionForgotten]);
    assert_eq!(effects, [Effect::ForgetSession, Effect::Launch]);
    assert_eq!(*machine.state(), State::Starting);
}

#[test]
fn a_logout_by_the_phone_forgets_the_session_and_asks_for_a_scan() {
    let (machine, effects) = step(running(), Event::LoggedOut { reason: "unlinked".into() }, secs(9));
    assert_eq!(reports(&effects)[0].tenant_status, Some(TenantStatus::QrPending));
    let (_, more) =
        play(machine, secs(10), [Event::BrowserGone, Event::SessionForgotten, Event::Launched, code("a")]);
    assert_eq!(more[..2], [Effect::ForgetSession, Effect::Launch]);
    assert!(matches!(more[2], Effect::ShowCode { .. }));
}

#[test]
fn a_launch_that_nobody_wants_any_more_is_called_off() {
    for event in [Event::Fenced, Event::StandingExpired, Event::StopAsked(StopMode::Kill)] {
        let (_, effects) = play(machine(), secs(0), [BEGIN, event]);
        assert_eq!(effects.last(), Some(&Effect::CallOffLaunch { kill: true }));
    }
    let (stopping, effects) = play(machine(), secs(0), [BEGIN, Event::StopAsked(StopMode::Graceful)]);
    assert_eq!(
        effects.last(),
        Some(&Effect::CallOffLaunch { kill: false }),
        "one that is open is closed in order"
    );
    let (_, effects) = play(stopping.clone(), secs(2), [Event::Launched]);
    assert_eq!(effects.last(), Some(&Effect::WindDown { save: false }));
    let failed = Event::LaunchFailed { reason: "called off".into(), failure: Failure::Browser };
    let (machine, _) = play(stopping, secs(2), [failed]);
    assert_eq!(*machine.state(), State::Stopped);
}

#[test]
fn ten_attempts_to_reconnect_fail_before_the_worker_is_in_error() {
    let failed = Event::LaunchFailed { reason: "no memory".into(), failure: Failure::Browser };
    let (mut machine, _) = play(machine(), secs(0), [BEGIN, failed.clone()]);
    let mut launches = 0;
    let mut now = secs(1);
    let effects = loop {
        now = machine.wake_at().unwrap_or(now).max(now);
        let (next, effects) = step(machine, Event::Tick, now);
        assert_eq!(effects.last(), Some(&Effect::Launch));
        launches += 1;
        let (next, effects) = step(next, failed.clone(), now);
        machine = next;
        if matches!(machine.state(), State::Error { .. }) {
            break effects;
        }
    };
    assert_eq!(launches, 10);
    let last = reports(&effects).pop().expect("a report");
    assert_eq!(last.worker_status, Some(WorkerStatus::Error));
    assert_eq!(last.tenant_status, Some(TenantStatus::Error));
    assert!(last.last_error.as_ref().is_some_and(|error| error.starts_with("no memory; gave up after 10")));
    let (machine, effects) = step(machine, Event::RestartAsked(RestartMode::Graceful), now);
    assert_eq!(*machine.state(), State::Starting);
    assert_eq!(effects.last(), Some(&Effect::Launch));
}

#[test]
fn only_a_connection_that_held_starts_the_count_anew() {
    let flap = [Event::WentOffline, Event::Proved];
    let (machine, _) = play(running(), secs(3), flap.clone());
    assert_eq!(machine.attempts(), 1);
    let (machine, _) = step(machine, Event::Proved, secs(80));
    assert_eq!(machine.attempts(), 0);
}

#[test]
fn a_conflict_is_decided_by_the_lease() {
    let (judging, effects) = step(running(), Event::Conflicted, secs(9));
    assert_eq!(effects, [Effect::Hold, Effect::AskOwner], "nothing is told before it is known whose it is");

    let (machine, effects) = play(judging.clone(), secs(10), [Event::Owner(Some(false)), Event::BrowserGone]);
    assert_eq!(effects, [Effect::Kill, Effect::End(Ending::NotOwner)]);
    assert_eq!(*machine.state(), State::Stopped);

    let (unknown, effects) = step(judging.clone(), Event::Owner(None), secs(10));
    assert!(effects.is_empty());
    assert_eq!(until_due(unknown).1, [Effect::AskOwner]);

    let (machine, effects) = play(judging, secs(10), [Event::Owner(Some(true)), Event::Proved]);
    assert_eq!(effects[1], Effect::TakeOver);
    assert!(matches!(machine.state(), State::Running { .. }));
    let (_, effects) = play(machine, secs(15), [Event::Conflicted, Event::Owner(Some(true))]);
    assert!(!effects.contains(&Effect::TakeOver), "it takes over once");
}

#[test]
fn codes_that_stop_rotating_are_no_failure_but_reload_the_page() {
    let (machine, _) = play(machine(), secs(0), [BEGIN, Event::Launched, code("a")]);
    let (machine, effects) = until_due(machine);
    assert_eq!(effects, [Effect::Reload]);
    assert_eq!(machine.attempts(), 0);
}

#[test]
fn restarts_do_what_their_mode_says() {
    let ask = |mode| step(running(), Event::RestartAsked(mode), secs(9));
    let (machine, effects) = ask(RestartMode::Graceful);
    assert_eq!(effects.last(), Some(&Effect::WindDown { save: true }));
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Launch });
    let (machine, effects) = ask(RestartMode::Force);
    assert_eq!(effects.last(), Some(&Effect::Kill));
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Launch });
    let (machine, effects) = ask(RestartMode::ForceWipe);
    assert_eq!(effects.last(), Some(&Effect::Kill));
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Forget });
    let (machine, effects) = ask(RestartMode::Logout);
    assert_eq!(effects.last(), Some(&Effect::LogOut));
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Forget });
}

#[test]
fn a_worker_that_is_to_go_back_begins_anew_without_a_save_also_when_it_is_starting() {
    let (machine, effects) = step(running(), Event::RestoreAsked, secs(9));
    assert_eq!(effects.last(), Some(&Effect::Kill));
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Launch });
    let (machine, _) = step(machine, Event::BrowserGone, secs(9));
    assert_eq!(*machine.state(), State::Starting);
    let (machine, effects) = step(machine, Event::RestoreAsked, secs(10));
    assert_eq!(effects, [Effect::CallOffLaunch { kill: true }]);
    let called_off = Event::LaunchFailed { reason: "called off".into(), failure: Failure::Node };
    let (machine, effects) = step(machine, called_off, secs(10));
    assert_eq!((machine.state(), effects.as_slice()), (&State::Starting, [Effect::Launch].as_slice()));
}

#[test]
fn a_log_out_that_whatsapp_refused_is_told_until_a_phone_is_linked_again() {
    let refused = Event::LogOutFailed { reason: "no answer".into() };
    let (machine, _) = step(running(), Event::RestartAsked(RestartMode::Logout), secs(9));
    let (machine, effects) = step(machine, refused.clone(), secs(17));
    let Some(Effect::Report(report)) = effects.last() else { panic!("{effects:?}") };
    assert!(report.last_error.as_ref().unwrap().starts_with("no answer: remove the device on the phone"));
    let (machine, effects) = step(machine, Event::BrowserGone, secs(17));
    assert_eq!(effects, [Effect::ForgetSession]);
    let (machine, _) = play(machine, secs(18), [Event::SessionForgotten, Event::Launched, code("a")]);
    assert!(machine.condition().1.starts_with("no answer"), "{:?}", machine.condition());
    let (machine, _) = step(machine, ready(), secs(20));
    assert_eq!(machine.complaint, "");
    let (_, effects) = step(running(), refused, secs(9));
    assert_eq!(effects, [], "nobody logs out");
}

#[test]
fn a_session_that_an_earlier_owner_was_to_forget_is_forgotten_first() {
    let (_, effects) =
        step(machine(), Event::Begin { forget: Some(RestartMode::ForceWipe), scan_paused: false }, secs(0));
    assert_eq!(effects.last(), Some(&Effect::ForgetSession));
    let begin = Event::Begin { forget: Some(RestartMode::Logout), scan_paused: false };
    let (machine, effects) = play(machine(), secs(0), [begin, Event::Launched, ready()]);
    assert_eq!(effects[1..], [Effect::Launch, Effect::LogOut]);
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Forget });
}

#[test]
fn only_a_session_that_was_seen_to_work_is_saved_at_the_end() {
    let (_, effects) =
        play(machine(), secs(0), [BEGIN, Event::Launched, Event::StopAsked(StopMode::Graceful)]);
    assert_eq!(effects.last(), Some(&Effect::WindDown { save: false }));
    let (_, effects) = step(running(), Event::StopAsked(StopMode::Graceful), secs(9));
    assert_eq!(effects, [Effect::WindDown { save: true }]);
}

#[test]
fn a_fenced_worker_kills_its_browser_and_writes_nothing() {
    for event in [Event::Fenced, Event::StandingExpired, Event::StopAsked(StopMode::Kill)] {
        let (_, effects) = play(running(), secs(9), [event, Event::BrowserGone]);
        assert!(reports(&effects).is_empty());
        assert_eq!(effects[..2], [Effect::Hold, Effect::Kill]);
        assert!(matches!(effects[2], Effect::End(_)));
    }
}

#[test]
fn phones_are_compared_by_their_digits() {
    for phone in ["+255 700-000-001", "255700000001", "255700000001@c.us", "255700000001:12@s.whatsapp.net"] {
        assert_eq!(digits(phone), "255700000001");
    }
}
