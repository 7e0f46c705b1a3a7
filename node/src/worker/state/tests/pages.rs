//! What is done about a page that does not work, or does not any more.

use roost_store::{ConditionKind, SessionStatus};

use super::{play, ready, reports, running, secs, step, unproved, until_due};
use crate::worker::{
    WorkerTiming,
    fault::Surroundings,
    state::{AfterStop, Effect, Event, State},
};

#[test]
fn a_deaf_page_is_reloaded_and_then_gets_a_new_browser() {
    let (machine, effects) = play(running(), secs(9), [unproved()]);
    assert!(effects.is_empty(), "one failed probe is no proof of deafness");
    let (machine, effects) = play(machine, secs(12), [unproved()]);
    assert_eq!(effects[0], Effect::Hold);
    let (machine, effects) = until_due(machine);
    assert_eq!(effects, [Effect::Reload]);
    let (machine, _) = until_due(machine);
    let (_, effects) = until_due(machine);
    assert!(effects.contains(&Effect::Close), "the reload did not help: {effects:?}");
}

#[test]
fn a_page_that_comes_back_by_itself_runs_again_once_it_is_proven() {
    let (machine, effects) = play(running(), secs(9), [Event::WentOffline, Event::Proved]);
    assert!(matches!(machine.state(), State::Running { .. }));
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Hold | Effect::Serve)).count(), 2);
}

#[test]
fn a_page_that_stays_offline_is_left_to_itself_at_first_and_then_reloaded() {
    let (mut machine, _) = step(running(), Event::WentOffline, secs(9));
    for _ in 0..3 {
        let (next, effects) = until_due(machine);
        assert!(matches!(effects[..], [Effect::Report(_)]), "{effects:?}");
        machine = next;
    }
    let (machine, effects) = until_due(machine);
    assert_eq!(effects, [Effect::Reload]);
    assert_eq!(machine.attempts(), 4);
}

#[test]
fn a_page_is_loaded_anew_on_demand_only_while_it_runs() {
    let (machine, effects) = step(running(), Event::ReloadAsked, secs(9));
    assert_eq!(effects, [Effect::Hold, Effect::Reload]);
    let (machine, effects) = step(machine, Event::ReloadAsked, secs(10));
    assert_eq!(effects, []);
    assert!(matches!(machine.state(), State::Connecting { .. }));
    let (conflicted, _) = step(running(), Event::Conflicted, secs(9));
    assert_eq!(step(conflicted, Event::ReloadAsked, secs(10)).1, []);
}

#[test]
fn a_page_whose_sends_are_not_acknowledged_is_loaded_anew_and_then_gets_a_new_browser() {
    let failing = |in_a_row| Event::SendsUnacknowledged { in_a_row };
    let (machine, effects) = play(running(), secs(9), [failing(1), Event::Proved]);
    assert_eq!(effects[0], Effect::Hold);
    let said = (ConditionKind::Healing, "WhatsApp does not acknowledge what the page sends".to_owned());
    assert_eq!(machine.condition(), said, "a probe is no proof that it sends");
    let (machine, effects) = until_due(machine);
    assert_eq!(effects, [Effect::Reload]);
    let (machine, _) = play(machine, secs(12), [Event::Loaded, ready()]);
    assert!(matches!(machine.state(), State::Running { .. }));
    assert_eq!(machine.condition(), said, "it has not sent anything yet");
    let (machine, _) = step(machine, failing(2), secs(60));
    let (machine, effects) = until_due(machine);
    assert!(effects.contains(&Effect::Close), "{effects:?}");
    let (machine, _) = play(machine, secs(70), [Event::BrowserGone, Event::Launched, Event::Loaded, ready()]);
    let (machine, _) = step(machine, Event::SendsAcknowledged, secs(80));
    assert_eq!((machine.condition().0, machine.attempts()), (ConditionKind::Starting, 0));
}

#[test]
fn a_page_that_loads_itself_anew_is_a_new_page_that_has_to_show_itself() {
    let (machine, effects) = play(running(), secs(9), [Event::Loaded, Event::Proved]);
    assert_eq!(effects[0], Effect::Hold);
    assert_eq!(reports(&effects)[0].session_status, Some(SessionStatus::Disconnected));
    assert!(matches!(machine.state(), State::Connecting { .. }), "a proof is none before the page is ready");
    assert_eq!(machine.condition(), (ConditionKind::Healing, "the page loaded itself anew".to_owned()));
    let (machine, effects) = step(machine, ready(), secs(12));
    assert_eq!((&effects[0], machine.condition().0), (&Effect::Serve, ConditionKind::Starting));
    let (machine, _) = step(machine, Event::Proved, secs(80));
    assert_eq!(machine.attempts(), 0);
}

#[test]
fn a_page_that_was_loaded_by_order_is_no_failure_and_one_that_alone_never_stops_loading_is_given_up() {
    let (_, effects) = play(running(), secs(9), [Event::ReloadAsked, Event::Loaded, ready()]);
    assert!(reports(&effects).iter().all(|report| report.last_error.as_deref() == Some("")), "{effects:?}");
    let goes_on_loading = |other_login| {
        let mut machine = running().amid(Surroundings { other_login, ..Surroundings::default() });
        for nth in 0..=u64::from(WorkerTiming::default().attempts) {
            (machine, _) = play(machine, secs(10 + 5 * nth), [Event::Loaded, ready(), Event::Proved]);
        }
        machine
    };
    let alone = goes_on_loading(Some(secs(11)));
    let failed = |state: &State| matches!(state, State::Stopping { next: AfterStop::Fail { .. } });
    assert!(failed(alone.state()), "{}", alone.state());
    let as_others_do = goes_on_loading(None);
    assert!(matches!(as_others_do.state(), State::Running { .. }), "{}", as_others_do.state());
}

#[test]
fn an_error_page_in_the_place_of_a_page_that_ran_proves_nothing() {
    let (machine, _) = play(running(), secs(9), [Event::TurnedAway { status: 503 }, Event::Proved]);
    assert_eq!(machine.condition().0, ConditionKind::WaitingForWhatsapp);
}

#[test]
fn a_page_that_is_still_outdated_after_a_reload_is_a_failed_attempt() {
    let (machine, effects) = step(running(), Event::Outdated, secs(9));
    assert_eq!(effects, [Effect::Hold, Effect::Reload]);
    let (machine, effects) = step(machine, Event::Outdated, secs(10));
    assert!(!effects.contains(&Effect::Reload));
    assert!(matches!(machine.state(), State::Reconnecting { .. }));
}
