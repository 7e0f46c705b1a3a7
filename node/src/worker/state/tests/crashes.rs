//! A browser or a page that crashes again and again.

use roost_model::{TimingOverrides, ids::TenantId};

use super::*;
use crate::worker::unserved::spec;

const WINDOW: u64 = 600;

/// Its tenant has settled that so many crashes within ten minutes are a loop.
fn with_most(max_crashes: Option<u32>, crash_window: Option<u64>) -> Machine {
    let timing =
        TimingOverrides { max_crashes, crash_window: crash_window.map(secs), ..TimingOverrides::default() };
    let mut settings = (*spec(&TenantId::new("duka").unwrap()).tenant.settings).clone();
    settings.phone = PHONE.into();
    settings.timing = timing;
    running().with_settings(&settings)
}

fn crashed() -> Event {
    Event::Crashed { reason: "the page crashed: out of memory".into() }
}

/// Connected again, and for so long that the count of attempts has begun anew.
fn well_again(machine: Machine, at: WorkerTime) -> Machine {
    let (machine, _) = until_due(machine);
    let (machine, _) = play(machine, at, [Event::Launched, ready()]);
    let (machine, _) = step(machine, Event::Proved, at + secs(100));
    assert!(matches!(machine.state(), State::Running { .. }), "{:?}", machine.state());
    assert_eq!(machine.attempts(), 0, "that connection was good");
    machine
}

#[test]
fn as_many_crashes_within_the_window_as_the_tenant_says_end_in_error_good_connections_between_them_or_not() {
    let mut machine = with_most(Some(3), Some(WINDOW));
    for at in [1_000, 1_200] {
        let (next, _) = step(machine, exited(), secs(at));
        assert!(matches!(next.state(), State::Reconnecting { .. }), "{:?}", next.state());
        machine = well_again(next, secs(at + 50));
    }
    let (machine, effects) = step(machine, exited(), secs(1_500));
    let State::Error { reason } = machine.state() else { panic!("{:?}", machine.state()) };
    assert_eq!(
        reason,
        "crash loop: 3 crashes within 10m, the last one: killed; see what its page does, and restart the worker"
    );
    assert_eq!(machine.condition(), (ConditionKind::Failed, reason.clone()));
    let last = reports(&effects).pop().unwrap();
    assert_eq!((last.worker_status, last.last_error.as_ref()), (Some(WorkerStatus::Error), Some(reason)));

    let (machine, effects) = step(machine, Event::RestartAsked(RestartMode::Graceful), secs(1_600));
    assert!(effects.contains(&Effect::Launch));
    let (machine, _) = play(machine, secs(1_601), [Event::Launched, ready(), exited()]);
    assert!(matches!(machine.state(), State::Reconnecting { .. }), "the count has begun anew");
}

#[test]
fn a_page_that_crashes_counts_as_its_browser_does_and_the_browser_is_killed() {
    let (machine, _) = step(with_most(Some(2), Some(WINDOW)), crashed(), secs(1_000));
    assert!(matches!(machine.state(), State::Reconnecting { .. }));
    let (machine, _) = until_due(machine);
    let (machine, _) = step(machine, ready(), secs(1_010));
    let (machine, effects) = step(machine, crashed(), secs(1_020));
    assert!(effects.contains(&Effect::Kill), "{effects:?}");
    let (machine, _) = step(machine, Event::BrowserGone, secs(1_021));
    assert!(matches!(machine.state(), State::Error { .. }), "{:?}", machine.state());
}

#[test]
fn what_is_longer_ago_than_the_window_or_happens_on_a_node_that_lacks_something_does_not_count() {
    let mut machine = with_most(Some(2), Some(WINDOW));
    for nth in 1..5 {
        let at = secs(1_000 + nth * WINDOW);
        let (next, _) = step(machine, exited(), at);
        assert!(matches!(next.state(), State::Reconnecting { .. }), "crash {nth}");
        machine = well_again(next, at + secs(50));
    }
    let impaired = Surroundings { is_impaired: true, ..Surroundings::default() };
    let mut machine = with_most(Some(1), Some(WINDOW)).amid(impaired);
    (machine, _) = step(machine, exited(), secs(1_000));
    assert!(matches!(machine.state(), State::Reconnecting { .. }));
}

#[test]
fn a_tenant_that_says_nothing_goes_by_its_node_and_zero_never_gives_up() {
    for (of_tenant, gives_up_after) in [(None, Some(20)), (Some(0), None)] {
        let mut machine = with_most(of_tenant, None);
        let ended = (1..=25).find(|nth| {
            let at = secs(1_000 + nth * 130);
            let (next, _) = step(machine.clone(), exited(), at);
            if matches!(next.state(), State::Error { .. }) {
                return true;
            }
            machine = well_again(next, at + secs(20));
            false
        });
        assert_eq!(ended, gives_up_after, "of {of_tenant:?}");
    }
}
