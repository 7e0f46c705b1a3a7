//! A page that is loaded anew waits for its turn, and no deadline runs meanwhile.

use super::*;

/// A page that is to be loaded anew, and waits.
fn waiting() -> Machine {
    let (machine, effects) = super::super::step(running(), Event::ReloadAsked, secs(9));
    assert_eq!(effects, [Effect::Hold, Effect::TakeTurn], "nothing is loaded out of turn");
    machine
}

#[test]
fn the_deadline_of_a_page_stands_still_while_it_waits_for_its_turn() {
    let waiting = waiting();
    assert_eq!(waiting.wake_at(), None);
    let (loading, effects) = step(waiting, Event::TurnTaken, secs(3600));
    assert_eq!(effects, [Effect::Reload]);
    assert_eq!(loading.wake_at(), Some(secs(3630)));
    assert!(step(loading, Event::TurnTaken, secs(3601)).1.is_empty(), "once");
}

#[test]
fn a_page_may_take_twice_as_long_as_the_slowest_of_late() {
    let surroundings = Surroundings { slowest_start: secs(40), ..Surroundings::default() };
    let (launched, _) = play(machine().amid(surroundings), secs(0), [BEGIN, Event::Launched]);
    assert_eq!(launched.wake_at(), Some(secs(81)));
    let (loading, _) = step(waiting().amid(surroundings), Event::TurnTaken, secs(100));
    assert_eq!(loading.wake_at(), Some(secs(180)));
}

#[test]
fn one_that_comes_back_by_itself_meanwhile_is_not_loaded_anew() {
    let (back, _) = step(waiting(), ready(), secs(20));
    assert!(matches!(back.state(), State::Running { .. }));
    assert_eq!(step(back, Event::TurnTaken, secs(30)).1, []);
    let (gone, _) = play(waiting(), secs(20), [exited(), Event::TurnTaken]);
    assert!(matches!(gone.state(), State::Reconnecting { .. }));
}

#[test]
fn a_turn_lasts_until_a_session_or_a_code_is_there_or_the_page_has_failed() {
    let (launched, _) = play(fresh(), secs(0), [BEGIN, Event::Launched]);
    assert!(launched.awaits_page() && waiting().awaits_page());
    for there in [code("a"), ready(), exited(), Event::StopAsked(StopMode::Kill)] {
        let (machine, _) = step(launched.clone(), there.clone(), secs(5));
        assert!(!machine.awaits_page(), "{there:?}");
    }
    let (overdue, _) = until_due(launched);
    assert!(!overdue.awaits_page());
}
