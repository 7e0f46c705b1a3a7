//! What the checker explores: every event in every state, within bounds, and what must hold in all of them.

use stateright::{Model, Property};

use super::{
    events::{ControllerEvent, Event, NodeEvent, Ownership},
    recovery,
    state::{NODES, State},
};

const NODE_EVENTS: [NodeEvent; 14] = [
    NodeEvent::Register,
    NodeEvent::KeepAlive,
    NodeEvent::SeeRecord,
    NodeEvent::Acknowledge,
    NodeEvent::ReadSpec,
    NodeEvent::Launch,
    NodeEvent::Write,
    NodeEvent::Close,
    NodeEvent::Die,
    NodeEvent::TenureOver,
    NodeEvent::Kill,
    NodeEvent::Crash,
    NodeEvent::Revoke,
    NodeEvent::Leave,
];

const CONTROLLER_EVENTS: [ControllerEvent; 4] =
    [ControllerEvent::Stand, ControllerEvent::BeginTerm, ControllerEvent::Pass, ControllerEvent::GiveUp];

const MOST_LIVES: u8 = 2;
const MOST_WRITES: u8 = 4;
const MOST_GENERATIONS: u8 = 3;

impl Model for Ownership {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.budget)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Event>) {
        actions.extend((0..state.flying.len()).map(Event::Deliver));
        if state.budget.losses > 0 {
            actions.extend((0..state.flying.len()).map(Event::Lose));
        }
        for node in 0..NODES {
            actions.extend(NODE_EVENTS.map(|event| Event::Node(node, event)));
            actions.push(Event::Expire(node));
        }
        for controller in 0..state.controllers.len() {
            actions.extend(CONTROLLER_EVENTS.map(|event| Event::Controller(controller, event)));
        }
        actions.extend([Event::Lapse, Event::Tick]);
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        self.after(state, &event)
    }

    /// Enough for what each guard is there for: three owners one after the other.
    fn within_boundary(&self, state: &State) -> bool {
        let is_small = state.nodes.iter().all(|node| node.lives <= MOST_LIVES && node.writes <= MOST_WRITES);
        is_small && state.postgres.generation <= MOST_GENERATIONS
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_BROWSER, |_: &Self, state: &State| state.browsers() <= 1),
            Property::always(NOTHING_BROKEN, |_: &Self, state: &State| state.broken.is_none()),
            Property::sometimes(RUNS, |_: &Self, state: &State| state.runs()),
            Property::sometimes(MOVES, |_: &Self, state: &State| {
                state.runs() && state.postgres.generation > 1
            }),
        ];
        if self.checks_recovery {
            properties.push(Property::always(RUNS_AGAIN, recovery::runs_again));
        }
        properties
    }
}

pub const ONE_BROWSER: &str = "I1: never two browsers";
pub const NOTHING_BROKEN: &str = "I2: terms and generations fence";
pub const RUNS: &str = "the tenant can run";
pub const MOVES: &str = "the tenant can run again under a later generation";
pub const RUNS_AGAIN: &str = "the tenant runs again once nothing goes wrong any more";
