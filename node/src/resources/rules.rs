//! What is over a limit, and what is to be done about it. Pure.
//!
//! A page that grows is restarted at a quiet moment: nobody notices, and its session is saved. One that grows faster than a quiet
//! moment comes, or that starts one process after the other, does harm to its neighbours meanwhile, and is ended at once.

use std::time::{Duration, Instant};

use roost_model::{ResourceLimits, ResourceUsage};

const MIB: u64 = 1 << 20;
/// From here on a page over its limit is not waited for.
pub(super) const FAR_OVER_PERCENT: u64 = 150;
/// Processor time is over its limit when it was so for this long: a session that is read for the first time takes minutes.
pub(super) const SPINS_AFTER: Duration = Duration::from_secs(300);

/// What holds for one browser; none is without a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: Option<u64>,
    pub cpu_millicores: Option<u32>,
    pub processes: Option<u32>,
}

impl Limits {
    /// Those of a tenant where `self` is what the node gives each. A request that is more than the node's limit raises that:
    /// what is kept free for a tenant may be used.
    #[must_use]
    pub fn of(self, tenant: &ResourceLimits) -> Self {
        let or_own =
            |given: Option<u32>, own| given.map_or(own, |limit| Some(limit).filter(|limit| *limit > 0));
        let own_memory = self.memory_bytes.map(|limit| limit.max(tenant.memory_request_bytes.unwrap_or(0)));
        let memory = tenant.memory_limit_bytes;
        Self {
            memory_bytes: memory.map_or(own_memory, |limit| Some(limit).filter(|limit| *limit > 0)),
            cpu_millicores: or_own(tenant.cpu_limit_millicores, self.cpu_millicores),
            processes: or_own(tenant.process_limit, self.processes),
        }
    }
}

/// How soon a browser that is over a limit has to be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    WhenQuiet,
    AtOnce,
}

/// What a browser uses more than.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Limit,
    /// What it requests of memory, on a node that is short of it.
    Request,
}

/// That a browser uses too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    pub over: Over,
    pub urgency: Urgency,
    /// What it used and what it may, for people.
    pub told: String,
}

/// What has to be remembered of a browser between looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judge {
    /// Since when it has used more processor time than it may, without a break.
    spinning_since: Option<Instant>,
}

impl Judge {
    /// The worst that is to be said of what a browser used.
    pub fn judge(&mut self, usage: &ResourceUsage, limits: &Limits, now: Instant) -> Option<Excess> {
        let spins = self.spins(usage, limits, now);
        let over = [too_many(usage, limits), too_much_memory(usage, limits), spins];
        let mut over = over.into_iter().flatten();
        let first = over.next()?;
        Some(if first.urgency == Urgency::AtOnce {
            first
        } else {
            over.find(|other| other.urgency == Urgency::AtOnce).unwrap_or(first)
        })
    }

    fn spins(&mut self, usage: &ResourceUsage, limits: &Limits, now: Instant) -> Option<Excess> {
        let limit = limits.cpu_millicores.filter(|limit| usage.cpu_millicores > *limit);
        let Some(limit) = limit else {
            self.spinning_since = None;
            return None;
        };
        let since = *self.spinning_since.get_or_insert(now);
        let told = || {
            let (used, limit) = (f64::from(usage.cpu_millicores) / 1_000.0, f64::from(limit) / 1_000.0);
            let minutes = SPINS_AFTER.as_secs() / 60;
            format!(
                "it used {used:.2} cores, over {minutes} minutes more than the {limit:.2} that it may use"
            )
        };
        (now.saturating_duration_since(since) >= SPINS_AFTER).then(|| Excess {
            over: Over::Limit,
            urgency: Urgency::WhenQuiet,
            told: told(),
        })
    }
}

fn too_many(usage: &ResourceUsage, limits: &Limits) -> Option<Excess> {
    let limit = limits.processes.filter(|limit| usage.processes > *limit)?;
    let told = format!("it had {} processes and may have {limit}", usage.processes);
    Some(Excess { over: Over::Limit, urgency: Urgency::AtOnce, told })
}

fn too_much_memory(usage: &ResourceUsage, limits: &Limits) -> Option<Excess> {
    let used = usage.memory_bytes;
    let limit = limits.memory_bytes.filter(|limit| used > *limit)?;
    let is_far_over = u128::from(used) * 100 >= u128::from(limit) * u128::from(FAR_OVER_PERCENT);
    let urgency = if is_far_over { Urgency::AtOnce } else { Urgency::WhenQuiet };
    let told = format!("it used {} MiB of memory and may use {}", used.div_ceil(MIB), limit / MIB);
    Some(Excess { over: Over::Limit, urgency, told })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { memory_bytes: Some(512 * MIB), cpu_millicores: Some(500), processes: Some(40) };

    fn usage(mib: u64, cpu_millicores: u32, processes: u32) -> ResourceUsage {
        ResourceUsage { memory_bytes: mib * MIB, cpu_millicores, processes }
    }

    fn urgency(usage: ResourceUsage) -> Option<Urgency> {
        Judge::default().judge(&usage, &LIMITS, Instant::now()).map(|excess| excess.urgency)
    }

    #[test]
    fn more_memory_than_the_limit_waits_for_a_quiet_moment_and_half_as_much_again_does_not() {
        assert_eq!(urgency(usage(512, 0, 1)), None);
        assert_eq!(urgency(usage(513, 0, 1)), Some(Urgency::WhenQuiet));
        assert_eq!(urgency(usage(767, 0, 1)), Some(Urgency::WhenQuiet));
        assert_eq!(urgency(usage(768, 0, 1)), Some(Urgency::AtOnce));
        let told = Judge::default().judge(&usage(600, 0, 1), &LIMITS, Instant::now()).unwrap().told;
        assert_eq!(told, "it used 600 MiB of memory and may use 512");
    }

    #[test]
    fn more_processes_than_the_limit_are_ended_at_once_whatever_else_there_is() {
        assert_eq!(urgency(usage(1, 0, 40)), None);
        assert_eq!(urgency(usage(1, 0, 41)), Some(Urgency::AtOnce));
        let told = Judge::default().judge(&usage(600, 0, 41), &LIMITS, Instant::now()).unwrap().told;
        assert_eq!(told, "it had 41 processes and may have 40");
    }

    #[test]
    fn processor_time_is_over_its_limit_when_it_was_for_long_without_a_break() {
        let (mut judge, began) = (Judge::default(), Instant::now());
        let mut look = |cpu, secs| judge.judge(&usage(1, cpu, 1), &LIMITS, began + Duration::from_secs(secs));
        assert_eq!(look(900, 0), None);
        assert_eq!(look(900, 299), None);
        assert_eq!(look(500, 300), None, "a break");
        assert_eq!(look(900, 301), None);
        assert_eq!(look(900, 600), None);
        let excess = look(900, 601).unwrap();
        assert_eq!(excess.urgency, Urgency::WhenQuiet);
        assert!(excess.told.starts_with("it used 0.90 cores"), "{}", excess.told);
    }

    #[test]
    fn where_memory_is_far_over_a_spinning_page_is_not_waited_for() {
        let (mut judge, began) = (Judge::default(), Instant::now());
        judge.judge(&usage(513, 900, 1), &LIMITS, began);
        let excess = judge.judge(&usage(800, 900, 1), &LIMITS, began + SPINS_AFTER).unwrap();
        assert_eq!(excess.urgency, Urgency::AtOnce);
    }

    #[test]
    fn without_a_limit_nothing_is_over_it() {
        let much = usage(1 << 20, 64_000, 10_000);
        assert_eq!(Judge::default().judge(&much, &Limits::default(), Instant::now()), None);
    }

    #[test]
    fn a_tenants_own_limit_comes_before_the_nodes_zero_lifts_it_and_a_request_may_be_used() {
        let of = |tenant| LIMITS.of(&tenant);
        let none = ResourceLimits::default();
        assert_eq!(of(none), LIMITS);
        let lifted = ResourceLimits {
            memory_limit_bytes: Some(0),
            cpu_limit_millicores: Some(0),
            process_limit: Some(0),
            ..none
        };
        assert_eq!(of(lifted), Limits::default());
        let more = ResourceLimits {
            memory_limit_bytes: Some(64 * MIB),
            cpu_limit_millicores: Some(50),
            process_limit: Some(8),
            ..none
        };
        let own = Limits { memory_bytes: Some(64 * MIB), cpu_millicores: Some(50), processes: Some(8) };
        assert_eq!(of(more), own);
        let requested = |mib| ResourceLimits { memory_request_bytes: Some(mib * MIB), ..none };
        assert_eq!(of(requested(600)).memory_bytes, Some(600 * MIB));
        assert_eq!(of(requested(100)).memory_bytes, Some(512 * MIB));
        assert_eq!(Limits::default().of(&requested(600)).memory_bytes, None);
    }
}
