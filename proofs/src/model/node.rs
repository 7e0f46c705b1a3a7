//! The nodes: leases, records seen, tenures, browsers, and the guard.

use roost_cluster::{
    lease_deadline::Standing,
    records::{AssignmentEntry, Phase},
};
use roost_model::ids::{Generation, SpecRevision, TenantId};
use roost_node::host::reconcile::{ActualState, Preparing, Step, steps};

use super::{
    events::{NodeEvent, Ownership},
    state::{Ack, Browser, Entry, Message, PhaseOf, Process, Registered, State, Tenure},
    time::{KILL, SLOW, TTL, renewed, standing},
};

impl Ownership {
    pub fn node_event(&self, state: &mut State, number: usize, event: NodeEvent) -> Option<()> {
        match event {
            NodeEvent::Register => state.register(number),
            NodeEvent::KeepAlive => state.keep_alive(number),
            NodeEvent::SeeRecord => {
                state.see_record(number)?;
                self.reconcile(state, number)
            }
            NodeEvent::Acknowledge => state.acknowledge(number),
            NodeEvent::ReadSpec => state.read_spec(number),
            NodeEvent::Launch => state.launch(number),
            NodeEvent::Write => state.write(number),
            NodeEvent::Close => state.close(number),
            NodeEvent::Die => state.die(number),
            NodeEvent::TenureOver => self.tenure_over(state, number),
            NodeEvent::Kill => self.kill(state, number),
            NodeEvent::Crash => state.crash(number),
            NodeEvent::Revoke => state.revoke(number),
            NodeEvent::Leave => state.leave(number),
        }
    }

    /// The product's own steps, from what is held to what was seen.
    fn reconcile(&self, state: &mut State, number: usize) -> Option<()> {
        let process = state.nodes[number].process.as_mut()?;
        let tenant = TenantId::new("t").expect("an id");
        let held = process.tenure.map(|tenure| (tenant.clone(), tenure.held()));
        let preparing = process.preparing.map(|generation| {
            (tenant.clone(), Preparing { generation: Generation(generation.into()), ending: false })
        });
        let actual =
            ActualState { held: held.into_iter().collect(), preparing: preparing.into_iter().collect() };
        let assigned: Vec<_> = process.entry.map(|entry| self.as_seen(entry, &tenant)).into_iter().collect();
        for step in steps(&actual, &assigned, false) {
            match step {
                Step::Start { generation, .. } => {
                    let generation = u8::try_from(generation.0).expect("a small number");
                    process.preparing = None;
                    process.tenure = Some(Tenure { generation, is_stopping: false, may_launch: false });
                }
                Step::Stop { .. } => {
                    if let Some(tenure) = &mut process.tenure {
                        tenure.is_stopping = true;
                    }
                }
                Step::ReadSpec { .. } => {}
                Step::Prepare { generation, .. } => {
                    process.preparing = Some(u8::try_from(generation.0).expect("a small number"));
                }
                Step::CancelPreparation { .. } => process.preparing = None,
            }
        }
        Some(())
    }

    fn as_seen(&self, entry: Entry, tenant: &TenantId) -> AssignmentEntry {
        let phase = match entry.phase {
            PhaseOf::Preparing if !self.guards.preparing => Phase::Active,
            phase => phase.into(),
        };
        AssignmentEntry {
            tenant: tenant.clone(),
            generation: Generation(entry.generation.into()),
            phase,
            spec_revision: SpecRevision(0),
        }
    }

    fn tenure_over(&self, state: &mut State, number: usize) -> Option<()> {
        let node = &mut state.nodes[number];
        let process = node.process.as_mut()?;
        process.tenure.filter(|tenure| tenure.is_stopping)?;
        if node.browser.is_some() && self.guards.let_go {
            return None;
        }
        process.tenure = None;
        self.reconcile(state, number)
    }

    /// The lease is in doubt: browser and process go. At the deadline it is the guard that sees to it.
    fn kill(&self, state: &mut State, number: usize) -> Option<()> {
        let node = &mut state.nodes[number];
        let process = node.process.as_ref()?;
        if standing(process.age) != Standing::Expired || !self.guards.deadline {
            return None;
        }
        node.to_revoke = Some(process.life);
        node.process = None;
        node.kill_browser(KILL);
        Some(())
    }
}

impl State {
    /// A new life, when nothing of the last one is left here or in etcd.
    fn register(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        if node.process.is_some() || node.browser.is_some() || node.registered.is_some() {
            return None;
        }
        node.lives += 1;
        node.registered = Some(Registered { life: node.lives, left: TTL, leaving: false });
        node.ack = Some(Ack { life: node.lives, applied: 0, held: false, prepared: None });
        node.to_revoke = None;
        node.process =
            Some(Process { life: node.lives, age: 0, seen: 0, entry: None, tenure: None, preparing: None });
        Some(())
    }

    /// One at a time. Those of the node with the exact clock take no time, or are not sent: the slow one is the harder case.
    fn keep_alive(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        let process = node.process.as_mut().filter(|process| process.age > 0)?;
        let life = process.life;
        if number != SLOW {
            let registered = node.registered.as_mut().filter(|registered| registered.life == life)?;
            registered.left = TTL;
            process.age = renewed(process.age, 0);
            return Some(());
        }
        let is_under_way = self.flying.iter().any(|message| {
            matches!(message, Message::KeepAlive { node, .. } | Message::KeptAlive { node, .. } if *node == number)
        });
        (!is_under_way).then(|| self.send(Message::KeepAlive { node: number, life, age: 0 }))
    }

    pub fn renew(&mut self, number: usize, life: u8, age: u8) {
        if let Some(registered) = self.nodes[number].registered.as_mut().filter(|one| one.life == life) {
            registered.left = TTL;
            self.send(Message::KeptAlive { node: number, life, age });
        }
    }

    pub fn kept_alive(&mut self, number: usize, life: u8, age: u8) {
        if let Some(process) = self.nodes[number].process.as_mut().filter(|one| one.life == life) {
            process.age = renewed(process.age, age);
        }
    }

    fn see_record(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        let (record, writes) = (node.assigned, node.writes);
        let process = node.process.as_mut().filter(|process| process.seen < writes)?;
        process.seen = writes;
        process.entry = record.filter(|record| record.life == process.life).and_then(|record| record.entry);
        Some(())
    }

    /// What the node has come to, as a whole.
    fn acknowledge(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        let process = node.process.as_ref()?;
        let ack = node.ack.as_mut().filter(|ack| ack.life == process.life)?;
        *ack = Ack {
            life: process.life,
            applied: process.seen,
            held: process.tenure.is_some(),
            prepared: process.preparing,
        };
        Some(())
    }

    fn read_spec(&mut self, number: usize) -> Option<()> {
        let newest = self.postgres.generation;
        let tenure = self.nodes[number].process.as_mut()?.tenure.as_mut()?;
        let fits = !tenure.is_stopping && !tenure.may_launch && tenure.generation == newest;
        fits.then(|| tenure.may_launch = true)
    }

    /// Held first, launched after.
    fn launch(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        let process = node.process.as_ref()?;
        let tenure = process.tenure.filter(|tenure| tenure.may_launch && !tenure.is_stopping)?;
        let is_acknowledged = node.ack.is_some_and(|ack| ack.life == process.life && ack.held);
        (is_acknowledged && node.browser.is_none())
            .then(|| node.browser = Some(Browser { generation: tenure.generation, dying: None }))
    }

    fn write(&mut self, number: usize) -> Option<()> {
        self.budget.writes = self.budget.writes.checked_sub(1)?;
        let process = self.nodes[number].process.as_ref()?;
        process.tenure.filter(|tenure| !tenure.is_stopping)?;
        let browser = self.nodes[number].browser.filter(|browser| browser.dying.is_none())?;
        self.send(Message::Write { generation: browser.generation });
        Some(())
    }

    fn close(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        // Also without a tenure: what was let go of too early is closed at last.
        if node.process.as_ref()?.tenure.is_some_and(|tenure| !tenure.is_stopping) {
            return None;
        }
        node.browser.filter(|browser| browser.dying.is_none())?;
        node.kill_browser(KILL);
        Some(())
    }

    fn die(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        node.browser.filter(|browser| browser.dying.is_some())?;
        node.browser = None;
        Some(())
    }

    fn crash(&mut self, number: usize) -> Option<()> {
        self.budget.crashes = self.budget.crashes.checked_sub(1)?;
        let node = &mut self.nodes[number];
        node.to_revoke = Some(node.process.take()?.life);
        node.kill_browser(KILL);
        Some(())
    }

    /// The guard's, once nothing of the dead process is left.
    fn revoke(&mut self, number: usize) -> Option<()> {
        let node = &mut self.nodes[number];
        if node.browser.is_some() || node.process.is_some() {
            return None;
        }
        let life = node.to_revoke.take()?;
        if node.registered.is_some_and(|registered| registered.life == life) {
            node.registered = None;
            node.ack = None;
        }
        Some(())
    }

    fn leave(&mut self, number: usize) -> Option<()> {
        let registered = self.nodes[number].registered.as_mut().filter(|registered| !registered.leaving)?;
        self.budget.departures = self.budget.departures.checked_sub(1)?;
        registered.leaving = true;
        Some(())
    }
}
