//! Everything there is, at one moment.

use roost_cluster::records::Phase;
use roost_node::{host::reconcile::Held, worker::StopMode};

pub const NODES: usize = 2;
pub const CONTROLLERS: usize = 2;

/// What may still go wrong; each is bounded, or there would be no end of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A node's working process is killed.
    pub crashes: u8,
    /// A leader's key goes although its holder lives, as when it is paused or cut off.
    pub lapses: u8,
    /// A request or an answer is given up.
    pub losses: u8,
    /// A node is asked to leave.
    pub departures: u8,
    /// A worker writes.
    pub writes: u8,
    /// How much time passes.
    pub ticks: u8,
}

impl Budget {
    /// Of ticks: not counted.
    pub const FOREVER: u8 = u8::MAX;
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Of the slow clock: it leaves out one step of four.
    pub step: u8,
    pub budget: Budget,
    pub postgres: Postgres,
    pub leader: Option<Leader>,
    pub leaderships: u8,
    pub nodes: [Node; NODES],
    pub controllers: [Controller; CONTROLLERS],
    /// On their way, in any order.
    pub flying: Vec<Message>,
    /// Set by what must never happen, apart from two browsers.
    pub broken: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Postgres {
    /// The leadership whose controller began last.
    pub term: u8,
    pub generation: u8,
    pub last: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leader {
    pub who: usize,
    pub leadership: u8,
}

/// What etcd knows of a node, and what there is of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Node {
    pub lives: u8,
    pub registered: Option<Registered>,
    /// `assignments/<node>`, and how often it was written.
    pub assigned: Option<Record>,
    pub writes: u8,
    pub ack: Option<Ack>,
    /// The working process, while it has a lease or believes so.
    pub process: Option<Process>,
    pub browser: Option<Browser>,
    /// The process is dead, its guard is not: the lease is to be ended.
    pub to_revoke: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Registered {
    pub life: u8,
    /// Of the lease, in steps of true time.
    pub left: u8,
    pub leaving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    pub life: u8,
    pub entry: Option<Entry>,
    /// Stands for the mod revision.
    pub revision: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    pub generation: u8,
    pub phase: PhaseOf,
}

/// [`Phase`] with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhaseOf {
    Active,
    Releasing,
    Preparing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ack {
    pub life: u8,
    pub applied: u8,
    pub held: bool,
    /// The generation that all is prepared for.
    pub prepared: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    pub life: u8,
    /// Since the last acknowledged keepalive was sent, on the node's own clock.
    pub age: u8,
    /// The newest record that it has seen.
    pub seen: u8,
    pub entry: Option<Entry>,
    pub tenure: Option<Tenure>,
    /// The generation under which another node has it meanwhile.
    pub preparing: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenure {
    pub generation: u8,
    pub is_stopping: bool,
    /// The spec was read and names this generation.
    pub may_launch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Browser {
    pub generation: u8,
    /// How long it may still take to die, on the node's own clock, once it is killed.
    pub dying: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Controller {
    Candidate,
    /// It has the key; the term is not begun.
    Elected {
        leadership: u8,
    },
    /// Between passes.
    Leading {
        leadership: u8,
    },
    /// Waits for the ledger.
    Placing {
        leadership: u8,
        updates: Updates,
        on: usize,
    },
    /// Waits for etcd.
    Publishing {
        leadership: u8,
    },
}

/// By node: the revision that was read, and the record as it is to be.
pub type Updates = [Option<Update>; NODES];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Update {
    pub read: Option<u8>,
    pub record: Option<(u8, Option<Entry>)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    KeepAlive { node: usize, life: u8, age: u8 },
    KeptAlive { node: usize, life: u8, age: u8 },
    Place { by: usize, leadership: u8, on: usize },
    Placed { by: usize, leadership: u8, generation: u8 },
    Commit { by: usize, leadership: u8, updates: [Option<FlatUpdate>; NODES] },
    Write { generation: u8 },
}

/// An [`Update`] with an order, so that messages have one.
pub type FlatUpdate = (Option<u8>, Option<(u8, Option<(u8, u8)>)>);

impl State {
    pub fn new(budget: Budget) -> Self {
        Self {
            step: 0,
            budget,
            postgres: Postgres { term: 0, generation: 0, last: None },
            leader: None,
            leaderships: 0,
            nodes: [Node::default(), Node::default()],
            controllers: [Controller::Candidate, Controller::Candidate],
            flying: Vec::new(),
            broken: None,
        }
    }

    pub fn send(&mut self, message: Message) {
        self.flying.push(message);
        self.flying.sort();
    }

    /// Two of them are two too many (I1).
    pub fn browsers(&self) -> usize {
        self.nodes.iter().filter(|node| node.browser.is_some()).count()
    }

    /// The tenant runs, and what it writes is taken.
    pub fn runs(&self) -> bool {
        let alive = self.nodes.iter().filter_map(|node| node.browser);
        let newest = self.postgres.generation;
        alive.filter(|browser| browser.dying.is_none() && browser.generation == newest).count() == 1
            && self.browsers() == 1
    }
}

impl Node {
    /// Of the present life.
    pub fn live_entry(&self) -> Option<Entry> {
        let life = self.registered?.life;
        self.assigned.filter(|record| record.life == life)?.entry
    }

    pub fn kill_browser(&mut self, within: u8) {
        if let Some(browser) = &mut self.browser {
            browser.dying = Some(browser.dying.unwrap_or(within));
        }
    }
}

impl Tenure {
    pub fn held(self) -> Held {
        Held {
            generation: roost_model::ids::Generation(self.generation.into()),
            spec_revision: roost_model::ids::SpecRevision(0),
            stopping: self.is_stopping.then_some(StopMode::Graceful),
        }
    }
}

impl From<PhaseOf> for Phase {
    fn from(phase: PhaseOf) -> Self {
        match phase {
            PhaseOf::Active => Self::Active,
            PhaseOf::Releasing => Self::Releasing,
            PhaseOf::Preparing => Self::Preparing,
        }
    }
}
