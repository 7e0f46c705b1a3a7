//! What a worker says that it waits for, whatever goes wrong, until it is over.

use roost_store::{ConditionKind, RestartMode};

use super::*;

fn owner(is_ours: Option<bool>) -> Event {
    Event::Owner(is_ours)
}

fn plain(kind: ConditionKind) -> (ConditionKind, String) {
    (kind, String::new())
}

#[test]
fn what_is_waited_for_is_said_until_it_is_over() {
    let kind = |machine: &Machine| machine.condition().0;
    let (starting, _) = play(fresh(), secs(0), [BEGIN, Event::Launched]);
    assert_eq!(kind(&starting), ConditionKind::Starting);
    let late = starting.wake_at().unwrap();
    let (turned_away, _) = step(starting.clone(), Event::Tick, late);
    assert_eq!(kind(&turned_away), ConditionKind::WaitingForWhatsapp);
    // The next attempt has not succeeded yet.
    let next = turned_away.wake_at().unwrap();
    let (again, _) = step(turned_away, Event::Tick, next);
    assert!(matches!(again.state(), State::Connecting { .. }));
    assert_eq!(kind(&again), ConditionKind::WaitingForWhatsapp);
    let (scanned_soon, _) = step(again, code("a"), next);
    assert_eq!(kind(&scanned_soon), ConditionKind::WaitingForScan);
    // Nobody scans and the page is loaded anew: still a scan is waited for.
    let (renewed, _) = step(scanned_soon.clone(), Event::Tick, scanned_soon.wake_at().unwrap());
    assert_eq!(kind(&renewed), ConditionKind::WaitingForScan);
    let (unsaved, _) = step(scanned_soon, ready(), next);
    let (unsaved, _) = step(unsaved, not_saved(false), next);
    let (unsaved, _) = step(unsaved.clone(), Event::Tick, unsaved.wake_at().unwrap());
    assert_eq!(kind(&unsaved), ConditionKind::WaitingForStore);
    assert!(unsaved.condition().1.ends_with("could not be saved in time: no links"), "with the cause");
}

fn not_saved(is_overdue: bool) -> Event {
    Event::SessionNotSaved { reason: "no links".into(), is_overdue }
}

#[test]
fn a_worker_that_serves_and_cannot_be_saved_says_so_until_it_is() {
    let (running, _) = play(machine(), secs(0), [BEGIN, Event::Launched, ready()]);
    let (failed_once, _) = step(running, not_saved(false), secs(5));
    assert_eq!(failed_once.condition().0, ConditionKind::None);
    let (overdue, _) = step(failed_once, not_saved(true), secs(70));
    let again = Event::SessionNotSaved { reason: "still no links".into(), is_overdue: true };
    let (overdue, _) = step(overdue, again, secs(75));
    assert_eq!(overdue.condition(), (ConditionKind::WaitingForStore, "no links".to_owned()));
    let link = overdue.link();
    let (saved, _) = step(overdue, Event::SessionSaved { link }, secs(80));
    assert_eq!(saved.condition().0, ConditionKind::None);
}

#[test]
fn a_worker_that_serves_waits_for_nothing_and_one_that_gave_up_needs_a_person() {
    let (running, _) = play(machine(), secs(0), [BEGIN, Event::Launched, ready()]);
    assert_eq!(running.condition(), (ConditionKind::None, String::new()));
    let (healing, _) = step(running, exited(), secs(9));
    assert_eq!(healing.condition(), (ConditionKind::Healing, "killed".to_owned()));
    let failed = Event::LaunchFailed { reason: "no route".into(), failure: Failure::Store };
    let due = healing.wake_at().unwrap();
    let (starting, _) = step(healing, Event::Tick, due);
    let (waiting, _) = step(starting, failed.clone(), due);
    assert_eq!(waiting.condition(), (ConditionKind::WaitingForStore, "no route".to_owned()));
    let mut machine = waiting;
    let spoilt = Event::LaunchFailed { reason: "no memory".into(), failure: Failure::Browser };
    while let Some(due) = machine.wake_at() {
        machine = step(step(machine, Event::Tick, due).0, spoilt.clone(), due).0;
    }
    let (kind, reason) = machine.condition();
    assert_eq!(kind, ConditionKind::Failed);
    assert!(reason.contains("gave up"), "{reason}");
}

#[test]
fn each_trouble_of_a_page_that_ran_is_said_with_its_reason() {
    use Event::{Conflicted, Outdated, WentOffline};

    let broke = || Event::Broke { reason: "it crashed".into() };
    let (heals, whatsapp) = (ConditionKind::Healing, ConditionKind::WaitingForWhatsapp);
    let opened_elsewhere = "the session was opened elsewhere";
    let took_over = || vec![Conflicted, owner(Some(true))];
    let troubles = [
        (vec![exited()], heals, "killed"),
        (vec![broke()], heals, "it crashed"),
        (vec![unproved(), unproved()], heals, "deaf"),
        (vec![WentOffline], whatsapp, "the page lost its connection to WhatsApp"),
        (vec![Conflicted], heals, opened_elsewhere),
        (vec![Conflicted, owner(None)], heals, opened_elsewhere),
        (took_over(), heals, opened_elsewhere),
        ([took_over(), took_over()].concat(), heals, opened_elsewhere),
        (vec![Outdated], heals, "WhatsApp wants a newer page"),
        (vec![Outdated, Outdated], whatsapp, "WhatsApp wants a newer page than it delivers"),
    ];
    for (events, kind, reason) in troubles {
        let (troubled, _) = play(running(), secs(9), events.clone());
        assert_eq!(troubled.condition(), (kind, reason.to_owned()), "{events:?}");
    }
}

#[test]
fn a_page_that_stays_offline_waits_for_whatsapp_through_all_its_attempts() {
    let (mut machine, _) = step(running(), Event::WentOffline, secs(9));
    for _ in 0..4 {
        machine = until_due(machine).0;
        let said = "the page lost its connection to WhatsApp".to_owned();
        assert_eq!(machine.condition(), (ConditionKind::WaitingForWhatsapp, said), "{}", machine.state());
    }
    assert!(matches!(machine.state(), State::Connecting { .. }), "it is loaded anew");
}

#[test]
fn nothing_is_left_of_a_trouble_that_is_over() {
    let starting = plain(ConditionKind::Starting);
    let (offline, _) = step(running(), Event::WentOffline, secs(9));
    // It runs again; then its page is loaded anew for another reason.
    let (again, _) = play(offline.clone(), secs(10), [ready(), Event::ReloadAsked]);
    assert!(matches!(again.state(), State::Connecting { .. }));
    assert_eq!(again.condition(), starting);
    // A code ends it too: the session that is linked then is another.
    let (scanned, _) = play(offline.clone(), secs(10), [code("a"), ready()]);
    assert!(matches!(scanned.state(), State::Connecting { .. }), "it is saved first");
    assert_eq!(scanned.condition(), starting);
    let (restarted, _) = step(offline, Event::RestartAsked(RestartMode::Force), secs(10));
    assert_eq!(restarted.condition(), starting);
}

#[test]
fn who_is_to_scan_is_told_why_until_somebody_does() {
    let (logged_out, _) = step(running(), Event::LoggedOut { reason: "unlinked".into() }, secs(9));
    let anew = [Event::BrowserGone, Event::SessionForgotten, Event::Launched, code("a")];
    let (shown, _) = play(logged_out, secs(10), anew);
    let why = "the device was logged out (unlinked): scan again".to_owned();
    assert_eq!(shown.condition(), (ConditionKind::WaitingForScan, why.clone()));
    assert_eq!(until_due(shown.clone()).0.condition(), (ConditionKind::WaitingForScan, why));
    let (another, _) =
        play(until_due(shown).0, secs(99), [ready(), Event::LoggedOut { reason: "again".into() }]);
    let relaunched = [Event::BrowserGone, Event::SessionForgotten, Event::Launched, code("b")];
    let (shown, _) = play(another, secs(100), relaunched);
    assert!(shown.condition().1.contains("(again)"));
}

#[test]
fn a_worker_that_gives_up_has_failed_before_its_browser_is_gone_and_one_that_ends_waits_for_nothing() {
    let mut spent = running();
    for _ in 0..spent.timing.attempts {
        spent.failures.add(Failure::Session, &Surroundings::default(), secs(5));
    }
    let (failing, _) = play(spent, secs(9), [Event::Conflicted, owner(Some(true))]);
    let (failing, _) = play(failing, secs(11), [Event::Conflicted, owner(Some(true))]);
    assert!(matches!(failing.state(), State::Stopping { .. }));
    let (kind, reason) = failing.condition();
    assert_eq!(kind, ConditionKind::Failed);
    assert!(reason.contains("gave up"), "{reason}");
    let (failed, _) = step(failing, Event::BrowserGone, secs(10));
    assert_eq!(failed.condition(), (kind, reason));
    let (stopping, _) = step(running(), Event::StopAsked(StopMode::Graceful), secs(9));
    assert!(matches!(stopping.state(), State::Stopping { .. }));
    assert_eq!(stopping.condition(), plain(ConditionKind::None));
    let (stopped, _) = step(stopping, Event::BrowserGone, secs(10));
    assert_eq!(stopped.condition(), plain(ConditionKind::None));
}
