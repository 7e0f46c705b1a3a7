//! The controllers: election, term, and passes of the product's own plan.

use super::{
    events::{ControllerEvent, Ownership},
    planner::{Decided, Decision, Seen},
    state::{
        CONTROLLERS, Controller, Entry, FlatUpdate, Leader, Message, NODES, PhaseOf, Record, State, Update,
        Updates,
    },
};

impl Ownership {
    pub fn controller_event(&self, state: &mut State, number: usize, event: ControllerEvent) -> Option<()> {
        match event {
            ControllerEvent::Stand => state.stand(number),
            ControllerEvent::BeginTerm => state.begin_term(number),
            ControllerEvent::Pass => self.pass(state, number),
            ControllerEvent::GiveUp => state.give_up(number),
        }
    }

    /// Lists, plans, and sends the first write of what follows.
    fn pass(&self, state: &mut State, number: usize) -> Option<()> {
        let leadership = state.leading(number)?;
        let newest = state.postgres.generation;
        let seen = [Seen::of(&state.nodes[0], newest), Seen::of(&state.nodes[1], newest)];
        let decided = self.planner.decide(seen, state.postgres.generation, state.postgres.last, self.urgent);
        let updates = state.updates(decided);
        if let Some(on) = (0..NODES).find(|node| decided[*node] == Some(Decision::Place)) {
            state.controllers[number] = Controller::Placing { leadership, updates, on };
            state.send(Message::Place { by: number, leadership, on });
            return Some(());
        }
        state.publish(number, leadership, updates)
    }

    pub fn place(&self, state: &mut State, by: usize, leadership: u8, on: usize) {
        if leadership < state.postgres.term {
            if self.guards.term {
                return;
            }
            state.broken = Some("a deposed controller has written to the ledger");
        }
        state.postgres.generation += 1;
        state.postgres.last = Some(on);
        let generation = state.postgres.generation;
        state.send(Message::Placed { by, leadership, generation });
    }

    pub fn commit(&self, state: &mut State, by: usize, leadership: u8, updates: [Option<FlatUpdate>; NODES]) {
        let leads = state.leader.is_some_and(|leader| leader.leadership == leadership);
        let unchanged = updates.iter().zip(&state.nodes).all(|(update, node)| {
            update.is_none_or(|(read, _)| read == node.assigned.map(|record| record.revision))
        });
        if (leads || !self.guards.leader) && unchanged {
            for (update, node) in updates.into_iter().zip(&mut state.nodes) {
                let Some((_, record)) = update else { continue };
                node.writes += 1;
                node.assigned = record.map(|(life, entry)| Record {
                    life,
                    entry: entry.map(rounded),
                    revision: node.writes,
                });
            }
        }
        if state.controllers[by] == (Controller::Publishing { leadership }) {
            state.controllers[by] = Controller::Leading { leadership };
        }
    }
}

impl State {
    fn leading(&self, number: usize) -> Option<u8> {
        match self.controllers[number] {
            Controller::Leading { leadership } => Some(leadership),
            _ => None,
        }
    }

    fn stand(&mut self, number: usize) -> Option<()> {
        // In turns: which of two equal candidates is first makes no difference.
        let is_next = usize::from(self.leaderships) % CONTROLLERS == number;
        if self.leader.is_some() || self.controllers[number] != Controller::Candidate || !is_next {
            return None;
        }
        self.leaderships += 1;
        self.leader = Some(Leader { who: number, leadership: self.leaderships });
        self.controllers[number] = Controller::Elected { leadership: self.leaderships };
        Some(())
    }

    fn begin_term(&mut self, number: usize) -> Option<()> {
        let Controller::Elected { leadership } = self.controllers[number] else { return None };
        self.controllers[number] = if leadership > self.postgres.term {
            self.postgres.term = leadership;
            Controller::Leading { leadership }
        } else {
            Controller::Candidate
        };
        Some(())
    }

    /// The records as the plan wants them; the generation of a placement is not known yet.
    fn updates(&self, decided: Decided) -> Updates {
        let mut updates = [None; NODES];
        for (number, node) in self.nodes.iter().enumerate() {
            let record = node.registered.map(|registered| {
                // One that prepares from before the last placement prepares for nothing.
                let entry = node.live_entry().filter(|entry| {
                    entry.phase != PhaseOf::Preparing || entry.generation == self.postgres.generation
                });
                let entry = match decided[number] {
                    Some(Decision::Place) => Some(Entry { generation: 0, phase: PhaseOf::Active }),
                    Some(Decision::Prepare) => {
                        Some(Entry { generation: self.postgres.generation, phase: PhaseOf::Preparing })
                    }
                    Some(Decision::Release) => {
                        entry.map(|entry| Entry { phase: PhaseOf::Releasing, ..entry })
                    }
                    Some(Decision::Remove | Decision::Forget) => None,
                    None => entry,
                };
                (registered.life, entry)
            });
            let published = node.assigned.map(|record| (record.life, record.entry));
            let is_needed = published.is_some_and(|(life, _)| record.is_some_and(|(alive, _)| alive == life))
                || record.is_some_and(|(_, entry)| entry.is_some());
            let record = record.filter(|_| is_needed);
            if published != record {
                updates[number] = Some(Update { read: node.assigned.map(|record| record.revision), record });
            }
        }
        updates
    }

    fn publish(&mut self, number: usize, leadership: u8, updates: Updates) -> Option<()> {
        if updates.iter().all(Option::is_none) {
            return None;
        }
        self.controllers[number] = Controller::Publishing { leadership };
        self.send(Message::Commit {
            by: number,
            leadership,
            updates: updates.map(|update| update.map(flat)),
        });
        Some(())
    }

    pub fn placed(&mut self, by: usize, leadership: u8, generation: u8) {
        let Controller::Placing { leadership: waits, mut updates, on } = self.controllers[by].clone() else {
            return;
        };
        if waits != leadership {
            return;
        }
        if let Some(Update { record: Some((_, Some(entry))), .. }) = &mut updates[on] {
            entry.generation = generation;
        }
        self.controllers[by] = Controller::Leading { leadership };
        let _nothing_to_publish = self.publish(by, leadership, updates);
    }

    /// The outcome of a write is not known: the leadership ends, the write is still on its way.
    fn give_up(&mut self, number: usize) -> Option<()> {
        let leadership = match self.controllers[number] {
            Controller::Placing { leadership, .. } | Controller::Publishing { leadership } => leadership,
            // Deposed, and told so by what it reads.
            Controller::Leading { leadership }
                if self.leader.is_none_or(|leader| leader.leadership != leadership) =>
            {
                leadership
            }
            Controller::Elected { leadership }
                if self.leader.is_none_or(|leader| leader.leadership != leadership) =>
            {
                leadership
            }
            _ => return None,
        };
        self.controllers[number] = Controller::Candidate;
        if self.leader.is_some_and(|leader| leader.leadership == leadership) {
            self.budget.lapses = self.budget.lapses.checked_sub(1)?;
            self.leader = None;
        }
        Some(())
    }
}

fn flat(update: Update) -> FlatUpdate {
    let number = |phase| match phase {
        PhaseOf::Active => 0,
        PhaseOf::Releasing => 1,
        PhaseOf::Preparing => 2,
    };
    let record =
        update.record.map(|(life, entry)| (life, entry.map(|one| (one.generation, number(one.phase)))));
    (update.read, record)
}

fn rounded((generation, phase): (u8, u8)) -> Entry {
    let phase = match phase {
        0 => PhaseOf::Active,
        1 => PhaseOf::Releasing,
        _ => PhaseOf::Preparing,
    };
    Entry { generation, phase }
}
