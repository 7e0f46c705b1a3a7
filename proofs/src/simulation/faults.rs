//! What may go wrong, and what operators do meanwhile. Drawn from the seed before anything runs.

use std::{fmt, time::Duration};

use roost_cluster::timing::Timing;

use super::{dice::Dice, link::Cut};

/// Numbers are those of machines, coordinators and tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// SIGKILL to a node's working process.
    KillChild(usize),
    /// SIGSTOP to it.
    FreezeChild(usize),
    CutPower(usize),
    /// To all machines but this one.
    MassLoss(usize),
    Suspend(usize),
    /// SIGTERM, and a new start.
    Restart(usize),
    /// SIGTERM, for good.
    Retire(usize),
    KillCoordinator(usize),
    FreezeCoordinator(usize),
    Resign(usize),
    Cut {
        who: Who,
        from: From,
        ways: Cut,
    },
    RegistryDown,
    LedgerDown,
    AddMachine,
    AddTenant,
    RemoveTenant(usize),
    StopTenant(usize),
    Order(Order),
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// With a deadline, it becomes urgent in the end.
    Drain {
        machine: usize,
        has_deadline: bool,
        is_cancelled: bool,
    },
    Move {
        tenant: usize,
        to: usize,
        is_cancelled: bool,
    },
    Rebalance {
        is_cancelled: bool,
    },
    Cordon(usize),
    Pin {
        tenant: usize,
        to: usize,
    },
    /// And the node restarts in it.
    RestartWindow(usize),
    PauseFailover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    Machine(usize),
    Coordinator(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum From {
    Registry,
    Ledger,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    pub fault: Fault,
    /// Since the storm began.
    pub begins: Duration,
    pub ends: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// How many there are to be harmed.
#[derive(Debug, Clone, Copy)]
pub struct Targets {
    pub machines: usize,
    pub coordinators: usize,
    pub tenants: usize,
}

/// The storm of a seed, and how long it is.
pub fn draw(dice: Dice, timing: &Timing, targets: Targets) -> (Vec<Planned>, Duration) {
    let ttl = timing.ttl;
    let length = dice.of("length").between(ttl * 2, ttl * 5);
    let count = 2 + dice.of("count").below(6);
    let planned = (0..count).map(|number| {
        let dice = dice.of("fault").nth(number);
        let begins = dice.of("begins").between(Duration::ZERO, length);
        let lasts = dice.of("lasts").between(ttl / 2, ttl * 3);
        Planned { fault: fault(dice, targets), begins, ends: begins + lasts }
    });
    (planned.collect(), length + ttl)
}

fn fault(dice: Dice, targets: Targets) -> Fault {
    let some = |name: &str, count: usize| dice.of(name).below(count as u64) as usize;
    let machine = some("machine", targets.machines);
    let coordinator = some("coordinator", targets.coordinators);
    let tenant = some("tenant", targets.tenants);
    match dice.of("kind").below(47) {
        0..=2 => Fault::KillChild(machine),
        3..=5 => Fault::FreezeChild(machine),
        6..=7 => Fault::CutPower(machine),
        8 => Fault::Suspend(machine),
        9..=10 => Fault::Restart(machine),
        11 => Fault::Retire(machine),
        12..=13 => Fault::KillCoordinator(coordinator),
        14..=16 => Fault::FreezeCoordinator(coordinator),
        17 => Fault::Resign(coordinator),
        18..=22 => cut(dice, Who::Machine(machine)),
        23..=25 => cut(dice, Who::Coordinator(coordinator)),
        26 => Fault::RegistryDown,
        27 => Fault::LedgerDown,
        28 => Fault::AddMachine,
        29 => Fault::AddTenant,
        30 => Fault::RemoveTenant(tenant),
        31 => Fault::StopTenant(tenant),
        32 => Fault::MassLoss(machine),
        _ => Fault::Order(order(dice, machine, tenant)),
    }
}

fn order(dice: Dice, machine: usize, tenant: usize) -> Order {
    let is_cancelled = dice.of("cancel").percent(30);
    match dice.of("order").below(14) {
        0..=3 => Order::Drain { machine, has_deadline: dice.of("deadline").percent(30), is_cancelled },
        4..=6 => Order::Move { tenant, to: machine, is_cancelled },
        7..=8 => Order::Rebalance { is_cancelled },
        9 => Order::Cordon(machine),
        10..=11 => Order::Pin { tenant, to: machine },
        12 => Order::RestartWindow(machine),
        _ => Order::PauseFailover,
    }
}

fn cut(dice: Dice, who: Who) -> Fault {
    let from = match dice.of("from").below(4) {
        0 | 1 => From::Registry,
        2 => From::Ledger,
        _ => From::Both,
    };
    let (there, back) = match dice.of("way").below(3) {
        0 => (true, true),
        1 => (true, false),
        _ => (false, true),
    };
    Fault::Cut { who, from, ways: Cut { there, back } }
}
