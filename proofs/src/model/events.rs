//! What can happen next, and what comes of it.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::{
    guards::Guards,
    planner::Planner,
    state::{Budget, Message, State},
    time::{SLOW, is_urgent, older},
};

/// The system, with or without a guard.
pub struct Ownership {
    pub guards: Guards,
    pub budget: Budget,
    /// A node that leaves hands over at once; else its tenants move prepared.
    pub urgent: bool,
    /// Also ask of every state whether the tenant runs again once nothing goes wrong any more.
    pub checks_recovery: bool,
    pub planner: Planner,
    /// States that are known to lead to a tenant that runs: the fair order leads from many states through the same ones.
    pub recovering: Mutex<HashSet<u64>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Tick,
    /// Of those on their way, by place.
    Deliver(usize),
    Lose(usize),
    /// The lease has run out, and etcd has noticed.
    Expire(usize),
    Node(usize, NodeEvent),
    Controller(usize, ControllerEvent),
    /// The leader's key goes.
    Lapse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeEvent {
    Register,
    KeepAlive,
    SeeRecord,
    Acknowledge,
    ReadSpec,
    Launch,
    Write,
    /// The browser of a tenure that is stopping is killed.
    Close,
    Die,
    TenureOver,
    /// The guard's, at the deadline, and the node's own.
    Kill,
    Crash,
    Revoke,
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControllerEvent {
    Stand,
    BeginTerm,
    Pass,
    /// No answer came in time; it resigns.
    GiveUp,
}

/// The most messages that are on their way at once.
const IN_FLIGHT: usize = 3;

impl Ownership {
    pub fn new(guards: Guards, budget: Budget) -> Self {
        Self {
            guards,
            budget,
            urgent: false,
            checks_recovery: false,
            planner: Planner::default(),
            recovering: Mutex::default(),
        }
    }

    /// What comes of it; None when it cannot happen.
    pub fn after(&self, state: &State, event: &Event) -> Option<State> {
        let mut next = state.clone();
        let happened = match event {
            Event::Tick => state.may_tick(self.guards).then(|| next.tick()),
            Event::Deliver(at) => next.take_message(*at).map(|message| self.deliver(&mut next, message)),
            Event::Lose(at) => next.lose(*at),
            Event::Expire(node) => self.expire(&mut next, *node),
            Event::Node(node, event) => self.node_event(&mut next, *node, *event),
            Event::Controller(controller, event) => self.controller_event(&mut next, *controller, *event),
            Event::Lapse => next.lapse(),
        };
        happened.filter(|()| next.flying.len() <= IN_FLIGHT && next != *state).map(|()| next)
    }

    /// At the very end of a lease what has to be dead by then is dead.
    fn expire(&self, state: &mut State, node: usize) -> Option<()> {
        let waits = is_urgent(&state.nodes[node], self.guards);
        let node = &mut state.nodes[node];
        node.registered.filter(|registered| registered.left == 0 && !waits)?;
        node.registered = None;
        node.ack = None;
        Some(())
    }

    fn deliver(&self, state: &mut State, message: Message) {
        match message {
            Message::KeepAlive { node, life, age } => state.renew(node, life, age),
            Message::KeptAlive { node, life, age } => state.kept_alive(node, life, age),
            Message::Place { by, leadership, on } => self.place(state, by, leadership, on),
            Message::Placed { by, leadership, generation } => state.placed(by, leadership, generation),
            Message::Commit { by, leadership, updates } => self.commit(state, by, leadership, updates),
            Message::Write { generation } => {
                let is_late = generation < state.postgres.generation;
                if is_late && !self.guards.generation {
                    state.broken = Some("I2: a write under an old generation was taken");
                }
            }
        }
    }
}

impl State {
    fn take_message(&mut self, at: usize) -> Option<Message> {
        (at < self.flying.len()).then(|| self.flying.remove(at))
    }

    fn lose(&mut self, at: usize) -> Option<()> {
        self.budget.losses = self.budget.losses.checked_sub(1)?;
        self.take_message(at).map(drop)
    }

    fn lapse(&mut self) -> Option<()> {
        self.leader?;
        self.budget.lapses = self.budget.lapses.checked_sub(1)?;
        self.leader = None;
        Some(())
    }
}

impl Message {
    /// Of a controller's request, or of the answer to one.
    pub fn is_of(&self, leadership_of: u8) -> bool {
        match self {
            Self::Place { leadership, .. }
            | Self::Placed { leadership, .. }
            | Self::Commit { leadership, .. } => *leadership == leadership_of,
            Self::KeepAlive { .. } | Self::KeptAlive { .. } | Self::Write { .. } => false,
        }
    }

    /// Keepalives are counted from when they were sent, on the clock of their node.
    pub fn grow_older(&mut self, slow_stands_still: bool) {
        if let Self::KeepAlive { node, age, .. } | Self::KeptAlive { node, age, .. } = self
            && !(*node == SLOW && slow_stands_still)
        {
            *age = older(*age);
        }
    }
}
