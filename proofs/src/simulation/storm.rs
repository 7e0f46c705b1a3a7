//! Doing what was drawn, and putting an end to it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{
    faults::{Fault, From, Planned, Targets, Who, draw},
    link::{Cut, Link, Weather},
    world::World,
};

impl World {
    /// From the first fault to calm weather, in which nothing is broken or cut any more.
    pub async fn weather_the_storm(&mut self) {
        let targets = Targets {
            machines: self.machines.len(),
            coordinators: self.coordinators.len(),
            tenants: self.tenants.len(),
        };
        let shared = self.shared.clone();
        let (planned, length) = draw(shared.dice.of("storm"), &shared.timing, targets);
        shared.weather.send_replace(Weather::Rough { ttl: shared.timing.ttl });
        let began = Instant::now();
        for (at, fault, begins) in in_order(&planned).into_iter().filter(|(at, ..)| *at <= length) {
            sleep_until(began + at).await;
            shared.judge.note(format!("{fault} {}", if begins { "begins" } else { "ends" }));
            if begins { self.begin(fault) } else { self.end(fault) }
        }
        sleep_until(began + length).await;
        self.heal();
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::KillChild(machine) => self.machines[machine].kill_child(),
            Fault::FreezeChild(machine) => self.machines[machine].freeze_child(),
            Fault::CutPower(machine) => self.machines[machine].cut_power(),
            Fault::MassLoss(survivor) => {
                self.all_but(survivor, |world, lost| world.machines[lost].cut_power())
            }
            Fault::Suspend(machine) => self.machines[machine].suspend(),
            Fault::Restart(machine) => self.machines[machine].ask_to_stop(),
            Fault::Retire(machine) => self.retire(machine),
            Fault::KillCoordinator(coordinator) => self.coordinators[coordinator].kill(),
            Fault::FreezeCoordinator(coordinator) => self.coordinators[coordinator].process.freeze(),
            Fault::Resign(coordinator) => self.coordinators[coordinator].resign(),
            Fault::Cut { who, from, ways } => self.cut(who, from, ways),
            Fault::RegistryDown => self.shared.registry.cut_off(),
            Fault::LedgerDown => self.shared.postgres.set_down(true),
            Fault::AddMachine => self.add_machine(),
            Fault::AddTenant => self.add_tenant(),
            Fault::RemoveTenant(tenant) => self.remove_tenant(tenant),
            Fault::StopTenant(tenant) => self.set_running(tenant, false),
            Fault::Order(order) => self.give(order),
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::FreezeChild(machine) => self.machines[machine].thaw_child(),
            Fault::CutPower(machine) | Fault::Restart(machine) => self.start_machine(machine),
            Fault::MassLoss(survivor) => self.all_but(survivor, Self::start_machine),
            Fault::Suspend(machine) => self.machines[machine].resume(),
            Fault::KillCoordinator(coordinator) | Fault::Resign(coordinator) => {
                self.coordinators[coordinator].start();
            }
            Fault::FreezeCoordinator(coordinator) => self.coordinators[coordinator].process.thaw(),
            Fault::Cut { who, from, .. } => self.cut(who, from, Cut::NONE),
            Fault::RegistryDown => self.shared.registry.reconnect(),
            Fault::LedgerDown => self.shared.postgres.set_down(false),
            Fault::StopTenant(tenant) => self.set_running(tenant, true),
            Fault::Order(order) => self.take_back(order),
            Fault::KillChild(_)
            | Fault::Retire(_)
            | Fault::AddMachine
            | Fault::AddTenant
            | Fault::RemoveTenant(_) => {}
        }
    }

    fn all_but(&self, survivor: usize, what: impl Fn(&Self, usize)) {
        (0..self.machines.len()).filter(|&number| number != survivor).for_each(|number| what(self, number));
    }

    fn cut(&self, who: Who, from: From, ways: Cut) {
        let (to_registry, to_ledger): (&Link, &Link) = match who {
            Who::Machine(machine) => (&self.machines[machine].to_registry, &self.machines[machine].to_ledger),
            Who::Coordinator(coordinator) => {
                (&self.coordinators[coordinator].to_registry, &self.coordinators[coordinator].to_ledger)
            }
        };
        if from != From::Ledger {
            to_registry.cut(ways);
        }
        if from != From::Registry {
            to_ledger.cut(ways);
        }
    }

    /// Everything that should run runs, and everybody reaches everybody.
    fn heal(&mut self) {
        self.shared.weather.send_replace(Weather::Calm);
        self.shared.registry.reconnect();
        self.shared.postgres.set_down(false);
        for number in 0..self.machines.len() {
            self.cut(Who::Machine(number), From::Both, Cut::NONE);
            self.machines[number].resume();
            self.machines[number].thaw_child();
            self.start_machine(number);
        }
        for (number, coordinator) in self.coordinators.iter().enumerate() {
            self.cut(Who::Coordinator(number), From::Both, Cut::NONE);
            coordinator.process.thaw();
            coordinator.start();
        }
        self.lift_orders();
        self.shared.judge.begin_calm();
    }
}

/// The beginnings and ends, by time.
fn in_order(planned: &[Planned]) -> Vec<(Duration, Fault, bool)> {
    let both = planned.iter().flat_map(|one| [(one.begins, one.fault, true), (one.ends, one.fault, false)]);
    let mut both: Vec<_> = both.collect();
    both.sort_by_key(|(at, ..)| *at);
    both
}
