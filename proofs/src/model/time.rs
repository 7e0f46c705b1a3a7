//! Time in whole steps. The proportions are the product's, the numbers are not: a lease of four steps, a clock that may be
//! slow by a quarter, and the rest of the lease divided as in `Timing`.

use std::time::Duration;

use roost_cluster::{
    lease_deadline::{LeaseDeadline, Standing},
    timing::Timing,
};

use super::{
    guards::Guards,
    state::{Budget, Node, State},
};

/// In steps of true time.
pub const TTL: u8 = 4;
/// In steps of the node's clock.
pub const KILL: u8 = 1;
pub const DEADLINE: u8 = 2;

/// The node whose clock is slow; the other's is exact.
pub const SLOW: usize = 0;
/// What the slow clock shows of a lease's time.
pub const SHOWN_BY_THE_SLOW: u8 = 3;

/// The product's, with the model's numbers as seconds.
pub fn timing() -> Timing {
    let span = |steps: u8| Duration::from_secs(steps.into());
    Timing {
        ttl: span(TTL),
        deadline_after: span(DEADLINE),
        // The model's node and its guard act in one step.
        guard_deadline_after: span(DEADLINE),
        soft_stop_after: span(DEADLINE - 1),
        kill_time: span(KILL),
        ..Timing::default()
    }
}

/// What the product's deadline says that long after the last acknowledged keepalive was sent.
pub fn standing(age: u8) -> Standing {
    let mut deadline = LeaseDeadline::new(&timing());
    deadline.renewed(Duration::ZERO);
    deadline.standing(Duration::from_secs(age.into()))
}

/// How old the deadline's renewal is once a keepalive sent `sent` steps ago is answered.
pub fn renewed(age: u8, sent: u8) -> u8 {
    const NOW: u64 = 100;
    let at = |ago: u8| Duration::from_secs(NOW - u64::from(ago));
    let mut deadline = LeaseDeadline::new(&timing());
    deadline.renewed(at(age));
    deadline.renewed(at(sent));
    let renewed_at = deadline.deadline() - timing().deadline_after;
    u8::try_from(NOW - renewed_at.as_secs()).expect("a small number")
}

/// Something is due that does not wait.
pub fn is_urgent(node: &Node, guards: Guards) -> bool {
    let must_kill = guards.deadline
        && node.process.as_ref().is_some_and(|process| standing(process.age) == Standing::Expired);
    must_kill || node.browser.is_some_and(|browser| browser.dying == Some(0))
}

impl State {
    pub fn may_tick(&self, guards: Guards) -> bool {
        self.budget.ticks > 0 && !self.nodes.iter().any(|node| is_urgent(node, guards))
    }

    /// One step of true time.
    pub fn tick(&mut self) {
        if self.budget.ticks != Budget::FOREVER {
            self.budget.ticks -= 1;
        }
        let slow_stands_still = self.step == SHOWN_BY_THE_SLOW;
        self.step = (self.step + 1) % TTL;
        for (number, node) in self.nodes.iter_mut().enumerate() {
            if let Some(registered) = &mut node.registered {
                registered.left = registered.left.saturating_sub(1);
            }
            if number == SLOW && slow_stands_still {
                continue;
            }
            if let Some(process) = &mut node.process {
                process.age = older(process.age);
            }
            if let Some(dying) = node.browser.as_mut().and_then(|browser| browser.dying.as_mut()) {
                *dying = dying.saturating_sub(1);
            }
        }
        for message in &mut self.flying {
            message.grow_older(slow_stands_still);
        }
        self.flying.sort();
    }
}

/// Beyond the deadline all ages are the same.
pub fn older(age: u8) -> u8 {
    (age + 1).min(DEADLINE)
}
