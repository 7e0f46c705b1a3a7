//! A browser that is over a limit.

use roost_cluster::ledger::EventKind;

use super::*;

const REASON: &str = "it used 600 MiB of memory and may use 512";

fn over(at_once: bool) -> Event {
    Event::OverLimit { reason: REASON.into(), at_once }
}

/// It runs again, launched at `at`.
fn again(machine: Machine, at: WorkerTime) -> Machine {
    let (machine, _) = play(machine, at, [Event::Launched, ready()]);
    assert!(matches!(machine.state(), State::Running { .. }), "{:?}", machine.state());
    machine
}

#[test]
fn one_that_can_be_waited_for_is_restarted_in_order_and_one_that_cannot_is_killed() {
    for (at_once, how) in [(false, Effect::WindDown { save: true }), (true, Effect::Kill)] {
        let (machine, effects) = step(running(), over(at_once), secs(3_600));
        assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Launch });
        assert!(effects.contains(&how), "{effects:?}");
        let recorded = format!("its browser is restarted: {REASON}");
        assert!(effects.contains(&Effect::Record(EventKind::RestartedOverLimit, recorded)));
        let told = reports(&effects);
        assert_eq!(told.iter().filter(|report| report.restarted).count(), 1);
        let said = told.iter().find_map(|report| report.last_error.as_deref());
        assert_eq!(said, Some(format!("the browser was restarted: {REASON}").as_str()));
        assert_eq!(machine.condition().0, ConditionKind::Healing);
        let (machine, effects) = step(machine, Event::BrowserGone, secs(3_601));
        assert!(effects.contains(&Effect::Launch));
        let machine = again(machine, secs(3_602));
        assert_eq!((machine.condition().0, machine.attempts()), (ConditionKind::Starting, 0), "no failure");
    }
}

#[test]
fn one_that_does_not_serve_is_closed_without_a_wait() {
    let (scanning, _) = step(running(), code("a"), secs(50));
    let (connecting, _) = play(machine(), secs(0), [BEGIN, Event::Launched]);
    let (reconnecting, _) = step(running(), Event::WentOffline, secs(50));
    for machine in [scanning, connecting, reconnecting] {
        let (machine, effects) = step(machine, over(false), secs(60));
        assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Launch });
        assert!(effects.contains(&Effect::Close), "{effects:?}");
    }
}

#[test]
fn nothing_follows_where_there_is_no_browser_or_it_is_ending() {
    let (stopping, _) = step(running(), Event::StopAsked(StopMode::Graceful), secs(50));
    let (starting, _) = step(machine(), BEGIN, secs(50));
    let (exited, _) = step(running(), exited(), secs(50));
    for machine in [machine(), stopping, starting, exited] {
        assert_eq!(step(machine.clone(), over(true), secs(60)), (machine, vec![]));
    }
}

/// A page that is over its limit a second after each start.
#[test]
fn one_that_is_over_it_soon_after_each_start_is_started_more_and_more_slowly_and_then_given_up() {
    let (mut machine, mut now, mut waits) = (running(), secs(1), Vec::new());
    loop {
        let (stopping, effects) = step(machine, over(false), now);
        let (gone, _) = step(stopping.clone(), Event::BrowserGone, now);
        if let State::Error { reason } = gone.state() {
            let recorded = format!("its worker gives up, soon after several starts: {REASON}");
            assert!(effects.contains(&Effect::Record(EventKind::GaveUpOverLimit, recorded)));
            assert!(effects.contains(&Effect::Close));
            assert!(reason.starts_with(REASON) && reason.contains("raise the limit"), "{reason}");
            assert_eq!(gone.condition(), (ConditionKind::Failed, reason.clone()));
            break;
        }
        let starts = match gone.wake_at() {
            Some(due) => {
                waits.push(due - now);
                now = due;
                step(gone, Event::Tick, due).0
            }
            None => gone,
        };
        assert_eq!(*starts.state(), State::Starting);
        machine = again(starts, now);
        now += secs(2);
    }
    assert_eq!(waits.len(), 4, "the first one is no pattern: {waits:?}");
    assert!(
        waits
            .iter()
            .zip([15, 30, 60, 120])
            .all(|(wait, about)| { (secs(about) * 3 / 4..=secs(about) * 5 / 4).contains(wait) }),
        "{waits:?}"
    );
}

#[test]
fn one_that_takes_long_to_grow_is_restarted_each_time_without_a_wait() {
    let (mut machine, mut now) = (running(), secs(600));
    for _ in 0..20 {
        let (stopping, _) = step(machine, over(false), now);
        let (starting, effects) = step(stopping, Event::BrowserGone, now);
        assert!(effects.contains(&Effect::Launch));
        machine = again(starting, now);
        now += secs(600);
    }
}

#[test]
fn an_operators_restart_begins_the_count_anew_and_a_wait_gives_way_to_it() {
    let mut machine = running();
    for now in [2, 4] {
        let (stopping, _) = step(machine, over(true), secs(now));
        machine = step(stopping, Event::BrowserGone, secs(now)).0;
        if now == 2 {
            machine = again(machine, secs(now));
        }
    }
    assert!(matches!(machine.state(), State::Reconnecting { .. }), "it waits");
    let (machine, effects) = step(machine, Event::RestartAsked(RestartMode::Graceful), secs(5));
    assert!(effects.contains(&Effect::Launch));
    let (stopping, _) = step(again(machine, secs(5)), over(true), secs(9));
    assert_eq!(*stopping.state(), State::Stopping { next: AfterStop::Launch }, "the first one again");
}

#[test]
fn one_that_gives_memory_back_is_restarted_in_order_told_and_counted_and_never_waits_or_gives_up() {
    const REASON: &str = "n1 is short of memory";
    let needed = || Event::MemoryNeeded { reason: REASON.into() };
    let (mut machine, mut now) = (running(), secs(1));
    for _ in 0..20 {
        let (stopping, effects) = step(machine, needed(), now);
        assert_eq!(*stopping.state(), State::Stopping { next: AfterStop::Launch });
        assert!(effects.contains(&Effect::WindDown { save: true }), "{effects:?}");
        let recorded = format!("its browser is restarted: {REASON}");
        assert!(effects.contains(&Effect::Record(EventKind::ShedForMemory, recorded)));
        let told = format!("the browser was restarted: {REASON}");
        assert!(reports(&effects).iter().any(|it| it.restarted && it.last_error.as_ref() == Some(&told)));
        assert_eq!(stopping.condition(), (ConditionKind::Healing, told));
        let (starting, effects) = step(stopping, Event::BrowserGone, now);
        assert!(effects.contains(&Effect::Launch));
        machine = again(starting, now);
        now += secs(1);
    }
}

#[test]
fn nobody_gives_memory_back_who_does_not_serve_or_cannot_be_saved() {
    let (starting, _) = step(machine(), BEGIN, secs(50));
    let (stopping, _) = step(running(), Event::StopAsked(StopMode::Graceful), secs(50));
    let (reconnecting, _) = step(running(), Event::WentOffline, secs(50));
    let unsaved = Event::SessionNotSaved { reason: "away".into(), is_overdue: false };
    let (unsaved, _) = step(running(), unsaved, secs(50));
    for machine in [machine(), starting, stopping, reconnecting, unsaved] {
        let needed = Event::MemoryNeeded { reason: "short".into() };
        assert_eq!(step(machine.clone(), needed, secs(60)), (machine, vec![]));
    }
}
