//! Whether the tenant runs again from a state, once nothing goes wrong any more: every message arrives, every process gets
//! its turn, leases end when their time has come.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{
    events::{ControllerEvent, Event, NodeEvent, Ownership},
    state::{Budget, Controller, NODES, State},
    time::{DEADLINE, TTL},
};

/// Far more than any recovery takes, for each step of it is a step towards it.
const MOST_EVENTS: usize = 400;

/// A fair order: what is under way comes first, then the nodes, then the controllers, and time goes on last.
pub fn runs_again(model: &Ownership, state: &State) -> bool {
    let mut state = state.clone();
    state.budget =
        Budget { crashes: 0, lapses: 0, losses: 0, departures: 0, writes: 0, ticks: Budget::FOREVER };
    let (mut calm_ticks, mut passed) = (0, Vec::new());
    for _ in 0..MOST_EVENTS {
        let now = fingerprint(&state);
        // It has to stay so for longer than a lease.
        if calm_ticks > TTL + DEADLINE || model.recovering.lock().contains(&now) {
            model.recovering.lock().extend(passed);
            return true;
        }
        passed.push(now);
        let Some((event, next)) = next(model, &state) else { return false };
        let is_tick = event == Event::Tick;
        calm_ticks = if !next.runs() { 0 } else { calm_ticks + u8::from(is_tick) };
        state = next;
    }
    false
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

fn next(model: &Ownership, state: &State) -> Option<(Event, State)> {
    if let Some(state) = without_dead_leader(state) {
        return Some((Event::Lapse, state));
    }
    fair_order(state).into_iter().find_map(|event| model.after(state, &event).map(|next| (event, next)))
}

/// The key of one that no longer believes that it leaderships ends with its lease, and one that was deposed hears of it.
fn without_dead_leader(state: &State) -> Option<State> {
    let mut next = state.clone();
    if let Some(leader) = state.leader
        && state.controllers[leader.who].leadership() != Some(leader.leadership)
    {
        next.leader = None;
        return Some(next);
    }
    for controller in &mut next.controllers {
        if controller
            .leadership()
            .is_some_and(|leadership| state.leader.is_none_or(|leader| leader.leadership != leadership))
        {
            *controller = Controller::Candidate;
            return Some(next);
        }
        // The request or its answer was lost: it stops waiting, and stands again.
        let is_answered = |leadership: u8| state.flying.iter().any(|message| message.is_of(leadership));
        if let Controller::Placing { leadership, .. } | Controller::Publishing { leadership } = *controller
            && !is_answered(leadership)
        {
            *controller = Controller::Candidate;
            next.leader = None;
            return Some(next);
        }
    }
    None
}

fn fair_order(state: &State) -> Vec<Event> {
    let node_events = [
        NodeEvent::Die,
        NodeEvent::Kill,
        NodeEvent::Revoke,
        NodeEvent::KeepAlive,
        NodeEvent::SeeRecord,
        NodeEvent::Close,
        NodeEvent::TenureOver,
        NodeEvent::Acknowledge,
        NodeEvent::ReadSpec,
        NodeEvent::Launch,
        NodeEvent::Register,
    ];
    let controller_events = [ControllerEvent::Stand, ControllerEvent::BeginTerm, ControllerEvent::Pass];
    let mut events: Vec<Event> = (0..state.flying.len()).map(Event::Deliver).collect();
    for node in 0..NODES {
        // A node that was asked to leave ends when it has nothing more, and a new one takes its place.
        events.extend(node_events.map(|event| Event::Node(node, event)));
        events.push(Event::Expire(node));
    }
    for controller in 0..state.controllers.len() {
        events.extend(controller_events.map(|event| Event::Controller(controller, event)));
    }
    events.push(Event::Tick);
    events
}

impl Controller {
    pub fn leadership(&self) -> Option<u8> {
        match self {
            Self::Candidate => None,
            Self::Elected { leadership }
            | Self::Leading { leadership }
            | Self::Placing { leadership, .. }
            | Self::Publishing { leadership } => Some(*leadership),
        }
    }
}
