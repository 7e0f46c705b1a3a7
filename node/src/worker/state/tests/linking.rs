//! Codes that nobody scans: so many are shown, and then the worker keeps its place without a browser. And codes that are typed.

use roost_store::{ConditionKind, PairingOrder, RestartMode, SessionStatus};
use uuid::Uuid;

use super::*;

pub(super) fn order(phone: &str) -> PairingOrder {
    PairingOrder { id: Uuid::nil(), phone: phone.to_owned() }
}

fn asked() -> Event {
    Event::PairingAsked(order("255700000001"))
}

/// Two codes are shown, and no third.
fn two_codes() -> Machine {
    let mut machine = fresh();
    machine.linking = machine.linking.with_most(2);
    machine
}

/// Its browser is being closed.
fn pausing() -> (Machine, Vec<Effect>) {
    let (machine, _) = play(two_codes(), secs(0), [BEGIN, Event::Launched, code("a"), code("b")]);
    assert!(matches!(machine.state(), State::QrReady { .. }), "as many as may be");
    step(machine, code("c"), secs(90))
}

fn paused() -> Machine {
    step(pausing().0, Event::BrowserGone, secs(91)).0
}

#[test]
fn after_so_many_codes_the_browser_is_closed_in_order_and_the_last_code_is_taken_away() {
    let (machine, effects) = pausing();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ShowCode { .. })));
    assert_eq!(effects.last(), Some(&Effect::Close));
    assert_eq!(reports(&effects)[0].session_status, Some(SessionStatus::Disconnected));
    assert_eq!(machine.condition().0, ConditionKind::ScanPaused);
    let (machine, effects) = step(machine, Event::BrowserGone, secs(91));
    assert_eq!(
        (machine.state(), effects.as_slice()),
        (&State::ScanPaused, [Effect::RecordScanPause].as_slice())
    );
    assert_eq!(machine.condition().0, ConditionKind::ScanPaused);
    assert!(machine.condition().1.contains("`roost session resume`"), "it says what to do");
    assert_eq!(machine.wake_at(), None, "nothing is waited for");
    assert!(
        !machine.wants_probes() && !machine.awaits_page() && !machine.may_save() && !machine.may_restart()
    );
}

#[test]
fn codes_that_stop_rotating_count_over_the_page_that_is_loaded_anew() {
    let (machine, _) = play(two_codes(), secs(0), [BEGIN, Event::Launched, code("a")]);
    let (machine, effects) = until_due(machine);
    assert_eq!(effects, [Effect::Reload], "one more may be shown");
    let (machine, _) = step(machine, code("b"), secs(80));
    let (machine, effects) = until_due(machine);
    assert_eq!(effects.last(), Some(&Effect::Close), "and then none");
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::PauseScan });
}

#[test]
fn they_count_over_a_browser_that_died_and_not_over_a_scan() {
    let (machine, _) = play(two_codes(), secs(0), [BEGIN, Event::Launched, code("a"), exited()]);
    let (machine, _) = until_due(machine);
    let (machine, _) = play(machine, secs(9), [Event::Launched, code("b"), code("c")]);
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::PauseScan });

    let other = Event::Ready { phone: "254711111111@c.us".into() };
    let scanned = [BEGIN, Event::Launched, code("a"), code("b"), other, Event::BrowserGone];
    let (machine, _) = play(two_codes(), secs(0), scanned);
    let (machine, _) =
        play(machine, secs(9), [Event::SessionForgotten, Event::Launched, code("c"), code("d")]);
    assert!(matches!(machine.state(), State::QrReady { .. }), "somebody is there, with another phone");
}

#[test]
fn every_restart_shows_codes_again_and_nothing_else_does() {
    for mode in [RestartMode::Graceful, RestartMode::Force] {
        let (machine, effects) = step(paused(), Event::RestartAsked(mode), secs(200));
        assert_eq!((machine.state(), effects.last()), (&State::Starting, Some(&Effect::Launch)), "{mode:?}");
        let (machine, _) = play(machine, secs(201), [Event::Launched, code("d"), code("e")]);
        assert!(matches!(machine.state(), State::QrReady { .. }), "the count begins anew");
    }
    let (_, effects) = step(paused(), Event::RestartAsked(RestartMode::ForceWipe), secs(200));
    assert_eq!(effects.last(), Some(&Effect::ForgetSession));
    let (_, effects) = step(paused(), Event::RestoreAsked, secs(200));
    assert_eq!(effects.last(), Some(&Effect::Launch));
    for event in [Event::Tick, Event::ReloadAsked, Event::RestartScheduled, Event::Proved, code("d"), ready()]
    {
        let (machine, effects) = step(paused(), event.clone(), secs(9_999));
        assert_eq!((machine.state(), effects.as_slice()), (&State::ScanPaused, [].as_slice()), "{event:?}");
    }
}

#[test]
fn a_restart_that_comes_while_the_browser_closes_takes_the_place_of_the_pause() {
    let (machine, _) = step(pausing().0, Event::RestartAsked(RestartMode::Graceful), secs(90));
    let (machine, effects) = step(machine, Event::BrowserGone, secs(91));
    assert_eq!((machine.state(), effects.as_slice()), (&State::Starting, [Effect::Launch].as_slice()));
}

#[test]
fn the_next_owner_of_a_paused_one_starts_no_browser_and_says_the_same() {
    let (machine, effects) = step(fresh(), Event::Begin { forget: None, scan_paused: true }, secs(0));
    assert_eq!(*machine.state(), State::ScanPaused);
    assert!(matches!(effects.as_slice(), [Effect::Report(_)]), "{effects:?}");
    assert_eq!(machine.condition(), paused().condition());
    let (_, effects) = step(machine.clone(), Event::RestartAsked(RestartMode::Graceful), secs(9));
    assert_eq!(effects.last(), Some(&Effect::Launch));
    let (_, effects) = step(machine, Event::StopAsked(StopMode::Graceful), secs(9));
    assert_eq!(effects.last(), Some(&Effect::End(Ending::Stopped)));
}

#[test]
fn without_a_bound_codes_are_shown_for_ever() {
    let mut machine = two_codes();
    machine.linking = machine.linking.with_most(0);
    (machine, _) = play(machine, secs(0), [BEGIN, Event::Launched]);
    for nth in 0..50 {
        (machine, _) = step(machine, code(&nth.to_string()), secs(nth));
    }
    assert!(matches!(machine.state(), State::QrReady { .. }));
    let (_, effects) = until_due(machine);
    assert_eq!(effects, [Effect::Reload]);
}

#[test]
fn a_page_is_asked_for_a_code_to_type_once_it_shows_one_to_scan() {
    let (machine, effects) = play(fresh(), secs(0), [BEGIN, asked(), Event::Launched]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::AskPairingCode(_))));
    let (machine, effects) = step(machine, code("a"), secs(9));
    assert_eq!(effects.last(), Some(&Effect::AskPairingCode(order("255700000001"))));
    let (machine, effects) = step(machine, code("b"), secs(20));
    assert!(matches!(effects.as_slice(), [Effect::ShowCode { .. }]), "asked once");
    let (_, effects) = step(machine, asked(), secs(21));
    assert_eq!(effects, [Effect::AskPairingCode(order("255700000001"))]);
}

#[test]
fn a_page_stays_for_as_long_as_its_code_may_be_typed() {
    let given = Event::PairingCodeGiven { expires_in: secs(180) };
    let (machine, _) = play(two_codes(), secs(0), [BEGIN, Event::Launched, code("a"), asked(), given]);
    assert_eq!(machine.wake_at(), Some(secs(4 + 180 + 10)), "it is not loaded anew before");
    let (machine, _) = play(machine, secs(30), [code("b"), code("c"), code("d")]);
    assert!(
        matches!(machine.state(), State::QrReady { .. }),
        "nor is it closed, however many codes it shows"
    );
    assert_eq!(machine.wake_at(), Some(secs(194)));
    let taken_back = Event::Code { text: None, expires_in: None };
    let (machine, _) = step(machine, taken_back, secs(40));
    assert_eq!(machine.wake_at(), Some(secs(194)));
    let (machine, _) = step(machine, Event::Tick, secs(194));
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::PauseScan }, "then it counts again");
}

#[test]
fn who_waits_for_a_code_that_will_not_come_is_told_why() {
    let refusal = |effects: &[Effect]| match effects.last() {
        Some(Effect::RefusePairing { reason, .. }) => reason.clone(),
        other => panic!("{other:?}"),
    };
    let (_, effects) = step(running(), asked(), secs(9));
    assert!(refusal(&effects).contains("linked already"));
    // It was asked for while it was not known whether there is a session.
    let (_, effects) = play(machine(), secs(0), [BEGIN, asked(), Event::Launched, ready()]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::RefusePairing { .. })));
    let mut spent = machine();
    for _ in 0..spent.timing.attempts {
        spent.failures.add(Failure::Session, &Surroundings::default(), secs(0));
    }
    let failed = Event::LaunchFailed { reason: "no memory".into(), failure: Failure::Session };
    let (failed, effects) = play(spent, secs(0), [BEGIN, asked(), failed]);
    assert!(matches!(failed.state(), State::Error { .. }));
    assert!(refusal(&effects).contains("given up: no memory"));
    let (_, effects) = step(failed, asked(), secs(9));
    assert!(refusal(&effects).contains("given up"));
}
