//! The rules that hold over every sequence of events, with a browser as the world sees it.

use std::time::Duration;

use proptest::prelude::*;
use roost_store::RestartMode;

use super::{BEGIN, exited, fresh, linking::order, ready, unproved};
use crate::worker::{
    StopMode, WorkerTiming,
    fault::{Failure, Surroundings},
    state::{Effect, Event, Machine, State, WorkerTime, step},
};

fn any_event() -> impl Strategy<Value = Event> {
    let restart = prop_oneof![
        Just(RestartMode::Graceful),
        Just(RestartMode::Force),
        Just(RestartMode::ForceWipe),
        Just(RestartMode::Logout)
    ];
    prop_oneof![
        4 => Just(Event::Launched),
        2 => Just(Event::LaunchFailed { reason: "no".into(), failure: Failure::Browser }),
        4 => Just(Event::BrowserGone),
        1 => Just(Event::LogOutFailed { reason: "no answer".into() }),
        2 => Just(Event::SessionForgotten),
        2 => Just(Event::Loaded),
        2 => (1..4u32).prop_map(|in_a_row| Event::SendsUnacknowledged { in_a_row }),
        1 => Just(Event::SendsAcknowledged),
        3 => (any::<bool>(), 0..3u8).prop_map(|(some, n)| Event::Code { text: some.then(|| n.to_string()), expires_in: None }),
        1 => any::<bool>().prop_map(|again| Event::PairingAsked(order(if again { "1" } else { "2" }))),
        1 => Just(Event::PairingCodeGiven { expires_in: Duration::from_secs(180) }),
        3 => Just(ready()),
        1 => Just(Event::Ready { phone: "1".into() }),
        3 => (0..3u64).prop_map(|link| Event::SessionSaved { link }),
        2 => any::<bool>().prop_map(|is_overdue| Event::SessionNotSaved { reason: "full".into(), is_overdue }),
        2 => Just(Event::WentOffline),
        1 => Just(Event::LoggedOut { reason: "gone".into() }),
        1 => Just(Event::Conflicted),
        1 => Just(Event::Outdated),
        1 => Just(Event::TurnedAway { status: 503 }),
        1 => Just(Event::ReloadAsked),
        2 => Just(Event::TurnTaken),
        1 => Just(Event::Broke { reason: "crash".into() }),
        2 => Just(exited()),
        2 => Just(Event::Crashed { reason: "gone".into() }),
        3 => Just(Event::Proved),
        3 => Just(unproved()),
        2 => prop::option::of(any::<bool>()).prop_map(Event::Owner),
        1 => restart.prop_map(Event::RestartAsked),
        1 => Just(Event::RestartScheduled),
        2 => any::<bool>().prop_map(|at_once| Event::OverLimit { reason: "too much".into(), at_once }),
        1 => Just(Event::MemoryNeeded { reason: "the node is short".into() }),
        1 => Just(Event::RestoreAsked),
        6 => Just(Event::Tick),
    ]
}

/// The browser as the world sees it, moved only by effects and by what the world answers.
#[derive(Default)]
struct World {
    launching: bool,
    /// The launch under way is to end with no browser.
    called_off: bool,
    alive: bool,
    closing: bool,
    forgetting: bool,
}

impl World {
    /// Whether this event can happen now; the machine is told nothing that the world has not done.
    fn admits(&self, event: &Event) -> bool {
        match event {
            Event::Launched | Event::LaunchFailed { .. } => self.launching,
            Event::BrowserGone | Event::LogOutFailed { .. } => self.closing,
            Event::SessionForgotten => self.forgetting,
            Event::Exited { .. } => self.alive && !self.closing,
            Event::Tick
            | Event::RestartAsked(_)
            | Event::RestartScheduled
            | Event::RestoreAsked
            | Event::StopAsked(_)
            | Event::Owner(_)
            | Event::PairingAsked(_)
            | Event::Begin { .. } => true,
            _ => self.alive,
        }
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Launched => (self.launching, self.alive) = (false, true),
            Event::LaunchFailed { .. } => self.launching = false,
            Event::BrowserGone => (self.alive, self.closing) = (false, false),
            Event::Exited { .. } => self.alive = false,
            Event::SessionForgotten => self.forgetting = false,
            _ => {}
        }
    }

    fn obeys(&mut self, effect: &Effect) {
        match effect {
            Effect::Launch => {
                assert!(!self.launching && !self.alive, "I1: a launch beside a browser");
                assert!(!self.forgetting, "a launch on a profile that is being wiped");
                (self.launching, self.called_off) = (true, false);
            }
            Effect::Kill | Effect::Close | Effect::WindDown { .. } | Effect::LogOut => {
                assert!(self.alive, "{effect:?} without a browser");
                self.closing = true;
            }
            Effect::CallOffLaunch { kill } => {
                assert!(self.launching, "there is nothing to call off");
                self.called_off |= *kill;
            }
            Effect::ForgetSession => {
                assert!(!self.launching && !self.alive, "a profile wiped under a browser");
                self.forgetting = true;
            }
            Effect::End(_) => {
                assert!(!self.launching && !self.alive, "an end that leaves a browser");
                self.forgetting = false;
            }
            Effect::AskPairingCode(_) => assert!(self.alive && !self.closing, "a page that is none is asked"),
            _ => {}
        }
    }
}

fn drive(machine: &mut Machine, world: &mut World, event: Event, now: WorkerTime) -> Vec<Effect> {
    if !world.admits(&event) {
        return Vec::new();
    }
    world.happens(&event);
    let before = machine.state().clone();
    let (next, effects) = step(machine.clone(), event, now);
    *machine = next;
    for effect in &effects {
        world.obeys(effect);
    }
    let entered_error =
        matches!(machine.state(), State::Error { .. }) && !matches!(before, State::Error { .. });
    assert!(
        !entered_error
            || machine.failures.own() > WorkerTiming::default().attempts
            || machine.over_limit_soon > WorkerTiming::default().over_limit.starts
            || machine.crashes.len() == MOST_CRASHES,
        "Error after {:?}, {} browsers over a limit and {} crashes",
        machine.failures,
        machine.over_limit_soon,
        machine.crashes.len()
    );
    if *machine.state() == State::ScanPaused {
        assert!(!world.launching && !world.alive, "a browser while no codes are shown");
        assert!(effects.contains(&Effect::RecordScanPause) != (before == State::ScanPaused), "told once");
    }
    let serves = effects.contains(&Effect::Serve);
    assert!(!serves || !machine.unsaved, "messages are served from a session that only this machine has");
    assert_eq!(
        serves,
        matches!(machine.state(), State::Running { .. }) && !matches!(before, State::Running { .. })
    );
    effects
}

/// Few enough that a short sequence has them.
const MOST_CRASHES: usize = 4;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_rules_hold_over_every_sequence_and_every_stop_ends(
        events in prop::collection::vec((any_event(), 0u64..40_000, any::<bool>(), any::<bool>()), 0..80),
        mode in prop_oneof![Just(StopMode::Graceful), Just(StopMode::Kill), Just(StopMode::Deleted)],
    ) {
        let (mut machine, mut world, mut now) = (fresh(), World::default(), Duration::ZERO);
        machine.linking = machine.linking.with_most(2);
        machine.timing.max_crashes = MOST_CRASHES as u32;
        let mut before = drive(&mut machine, &mut world, BEGIN, now);
        for (event, later, is_impaired, others_log_in) in events {
            now += Duration::from_millis(later);
            let other_login = others_log_in.then_some(now);
            machine = machine.amid(Surroundings { is_impaired, other_login, ..Surroundings::default() });
            before.extend(drive(&mut machine, &mut world, event, now));
        }
        let mut effects = drive(&mut machine, &mut world, Event::StopAsked(mode), now);
        let is_wanted = mode == StopMode::Graceful;
        prop_assert!(!world.launching || world.called_off || is_wanted, "a launch goes on that nobody wants");
        // Whatever the world still owes, it answers; nothing may be launched any more.
        for event in [Event::Launched, Event::BrowserGone, Event::SessionForgotten, Event::Tick] {
            effects.extend(drive(&mut machine, &mut world, event, now + Duration::from_secs(600)));
        }
        let ends = before.iter().chain(&effects).filter(|effect| matches!(effect, Effect::End(_))).count();
        prop_assert_eq!(ends, 1, "it ends once, by itself or by the stop");
        prop_assert!(!effects.contains(&Effect::Launch));
        prop_assert_eq!(machine.state(), &State::Stopped);
    }
}
