//! What a worker says that it waits for, whatever goes wrong, until it is over.

use roost_model::ids::TenantId;
use roost_store::{ConditionKind, RestartMode};

use super::*;
use crate::worker::unserved::spec;

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
    let (running, _) = step(running(), Event::Proved, secs(3));
    let (failed_once, _) = step(running, not_saved(false), secs(5));
    assert_eq!(failed_once.condition().0, ConditionKind::Answering);
    let (overdue, _) = step(failed_once, not_saved(true), secs(70));
    let again = Event::SessionNotSaved { reason: "still no links".into(), is_overdue: true };
    let (overdue, _) = step(overdue, again, secs(75));
    assert_eq!(overdue.condition(), (ConditionKind::WaitingForStore, "no links".to_owned()));
    let link = overdue.link();
    let (saved, _) = step(overdue, Event::SessionSaved { link }, secs(80));
    assert_eq!(saved.condition().0, ConditionKind::Answering);
}

#[test]
fn a_worker_that_serves_answers_and_one_that_gave_up_needs_a_person() {
    let (running, _) = step(running(), Event::Proved, secs(3));
    assert_eq!(running.condition(), plain(ConditionKind::Answering));
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
    use Event::{Conflicted, WentOffline};

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
    assert_eq!(shown.condition(), (ConditionKind::Unlinked, why.clone()));
    assert_eq!(until_due(shown.clone()).0.condition(), (ConditionKind::Unlinked, why));
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

#[test]
fn a_worker_is_said_to_answer_only_while_its_last_proof_is_fresh() {
    let kind = |machine: &Machine| machine.condition().0;
    let connected = running();
    assert_eq!(kind(&connected), ConditionKind::Starting, "WhatsApp's word is no proof of the page");
    let (answering, effects) = step(connected, Event::Proved, secs(5));
    assert_eq!((answering.condition(), effects), (plain(ConditionKind::Answering), Vec::new()));
    // A probe fails; one is not enough to load the page anew.
    let (doubted, effects) = step(answering.clone(), unproved(), secs(8));
    assert!(matches!(doubted.state(), State::Running { .. }) && effects.is_empty());
    assert_eq!(doubted.condition(), (ConditionKind::Healing, "deaf".to_owned()));
    assert_eq!(kind(&step(doubted, Event::Proved, secs(12)).0), ConditionKind::Answering);
    // None comes back at all: 3 s until it is made, 8 s that it may take.
    assert_eq!(answering.wake_at(), Some(secs(16)));
    assert_eq!(kind(&step(answering.clone(), Event::Tick, secs(15)).0), ConditionKind::Answering);
    let (silent, effects) = step(answering, Event::Tick, secs(16));
    assert!(matches!(silent.state(), State::Running { .. }) && effects.is_empty());
    assert_eq!(
        silent.condition(),
        (ConditionKind::Healing, "its page has proved nothing for 11s".to_owned())
    );
    assert_eq!(
        (kind(&step(silent.clone(), Event::Proved, secs(17)).0), silent.wake_at()),
        (ConditionKind::Answering, None)
    );
}

#[test]
fn a_proof_counts_by_the_tenants_own_time_that_held_when_it_was_given() {
    let asked_every = |probe_every: u64| {
        let mut settings = (*spec(&TenantId::new("duka").unwrap()).tenant.settings).clone();
        settings.timing.probe_every = Some(secs(probe_every));
        settings
    };
    let (slow, _) = step(running().with_settings(&asked_every(60)), Event::Proved, secs(5));
    assert_eq!(slow.wake_at(), Some(secs(5 + 60 + 8)));
    let sooner = slow.with_settings(&asked_every(1));
    assert_eq!(sooner.wake_at(), Some(secs(73)), "the page has not failed because it is to be asked sooner");
    assert_eq!(step(sooner, Event::Proved, secs(7)).0.wake_at(), Some(secs(7 + 1 + 8)));
}

#[test]
fn what_a_page_before_has_proved_is_no_proof_of_the_next() {
    let (answering, _) = step(running(), Event::Proved, secs(5));
    let (again, _) = play(answering, secs(6), [Event::ReloadAsked, Event::Loaded, ready()]);
    assert!(matches!(again.state(), State::Running { .. }));
    assert_eq!(again.condition().0, ConditionKind::Starting);
}

#[test]
fn a_page_that_whatsapp_finds_too_old_needs_an_update_until_it_is_let_in() {
    let (first, _) = step(running(), Event::Outdated, secs(9));
    let loaded = "WhatsApp wants a newer page, which is loaded now".to_owned();
    assert_eq!(first.condition(), (ConditionKind::NeedsUpdate, loaded));
    let (second, _) = step(first, Event::Outdated, secs(12));
    let (kind, reason) = second.condition();
    assert_eq!(kind, ConditionKind::NeedsUpdate);
    assert!(reason.contains("install a newer Chromium"), "{reason}");
    let (let_in, _) = play(until_due(second).0, secs(60), [ready(), Event::Proved]);
    assert_eq!(let_in.condition(), plain(ConditionKind::Answering));
}

#[test]
fn who_unlinked_the_device_is_told_by_the_reason_that_the_page_gives() {
    let told = |reason: &str| {
        let (logged_out, _) = step(running(), Event::LoggedOut { reason: reason.into() }, secs(9));
        logged_out.condition()
    };
    for (reason, kind, words) in [
        ("user_initiated", ConditionKind::Unlinked, "logged out (user_initiated): scan again"),
        ("syncd_failure", ConditionKind::Unlinked, "logged out (syncd_failure): scan again"),
        ("", ConditionKind::Unlinked, "the page gives no reason"),
        ("account_locked", ConditionKind::SessionRefused, "unlock it on the phone"),
        ("unknown_companion", ConditionKind::SessionRefused, "does not know the device any more"),
    ] {
        let (found, said) = told(reason);
        assert!(found == kind && said.contains(words), "{reason}: {found:?}, {said}");
    }
    // Another phone's device, which is unlinked by us, is none that was unlinked.
    let (logged_out, _) = step(running(), Event::LoggedOut { reason: "user_initiated".into() }, secs(9));
    let anew = [Event::BrowserGone, Event::SessionForgotten, Event::Launched, code("a")];
    let other = Event::Ready { phone: "254711111111@c.us".into() };
    let (shown, _) = play(logged_out, secs(10), anew.clone().into_iter().chain([other]).chain(anew));
    let (kind, reason) = shown.condition();
    assert!(kind == ConditionKind::WaitingForScan && reason.contains("254711111111"), "{kind:?}, {reason}");
}
