//! The restart of a browser on its tenant's schedule.

use super::*;

fn scheduled(machine: Machine) -> (Machine, Vec<Effect>) {
    step(machine, Event::RestartScheduled, secs(100))
}

#[test]
fn a_scheduled_restart_is_graceful_counted_and_in_the_history() {
    let (machine, effects) = scheduled(running());
    assert_eq!(*machine.state(), State::Stopping { next: AfterStop::Launch });
    assert!(effects.contains(&Effect::WindDown { save: true }));
    assert!(effects.contains(&Effect::RecordScheduledRestart));
    assert!(reports(&effects).iter().any(|report| report.restarted));
    assert_eq!(machine.condition(), (ConditionKind::Starting, "restarted on its schedule".to_owned()));
    let (machine, effects) = step(machine, Event::BrowserGone, secs(101));
    assert!(effects.contains(&Effect::Launch));
    let (machine, _) = play(machine, secs(102), [Event::Launched, ready(), Event::Proved]);
    assert!(matches!(machine.state(), State::Running { .. }));
    assert_eq!((machine.condition().0, machine.attempts()), (ConditionKind::Answering, 0), "no failure");
}

#[test]
fn a_worker_that_does_not_run_is_not_restarted_by_its_schedule() {
    let (stopping, _) = step(running(), Event::StopAsked(StopMode::Graceful), secs(50));
    let (restarting, _) = step(running(), Event::RestartAsked(RestartMode::Graceful), secs(50));
    let (reconnecting, _) = step(running(), Event::WentOffline, secs(50));
    let (starting, _) = step(machine(), BEGIN, secs(50));
    let (scanning, _) = step(running(), code("a"), secs(50));
    for machine in [machine(), stopping, restarting, reconnecting, starting, scanning] {
        assert!(!machine.may_restart());
        assert_eq!(scheduled(machine.clone()), (machine, vec![]));
    }
}

#[test]
fn one_for_which_a_restart_could_make_things_worse_is_left_alone() {
    let unsaved = Event::SessionNotSaved { reason: "away".into(), is_overdue: false };
    let (unsaved, _) = step(running(), unsaved, secs(50));
    let (deaf, _) = step(running(), unproved(), secs(50));
    let impaired = running().amid(Surroundings { is_impaired: true, ..Surroundings::default() });
    for machine in [unsaved.clone(), deaf, impaired] {
        assert!(matches!(machine.state(), State::Running { .. }));
        assert_eq!(scheduled(machine.clone()), (machine, vec![]));
    }
    let (saved, _) = step(unsaved.clone(), Event::SessionSaved { link: unsaved.link() }, secs(60));
    assert!(saved.may_restart(), "as soon as that is over");
}
