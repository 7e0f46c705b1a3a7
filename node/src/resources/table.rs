//! The browsers that are looked at, and the task that looks.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_model::{ResourceLimits, ResourceUsage, causes, ids::TenantId};
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{
    control_groups,
    rules::{Excess, Judge, Limits, Over, Urgency},
    sampler::{SHARES_WITHIN, Sampler},
};
use crate::blocking::run_blocking;

/// Between two looks, where they cost no more than they should.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How many times what a look has cost passes until the next: half a hundredth of a core.
const COST_TO_PAUSE: u32 = 200;

/// What the browsers of a node use. One of a process; cheap to clone, and all clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What a tenant has that sets nothing.
    limits: Limits,
    /// Why the kernel holds no browser to its limits; empty where it does.
    without_groups: String,
    browsers: Mutex<Browsers>,
    came: Notify,
}

/// By their meters: the number of a process group may be another browser's before the meter of the one before is dropped.
#[derive(Debug, Default)]
struct Browsers {
    metered: HashMap<u64, Metered>,
    meters: u64,
}

#[derive(Debug)]
struct Metered {
    group: i32,
    /// None of one that is nobody's yet.
    tenant: Option<TenantId>,
    memory_request_bytes: Option<u64>,
    limits: Limits,
    /// Its own, where it has one.
    control_group: Option<PathBuf>,
    since: Instant,
    usage: Option<ResourceUsage>,
    /// Why some of its memory is to be given back, while the node is short of it.
    asked_back: Option<String>,
    judge: Judge,
    excess: watch::Sender<Option<Excess>>,
}

impl Metered {
    /// What a browser has started may have left its process group, by which the look knows it; nothing leaves a control group.
    fn with_all_processes(&self, usage: ResourceUsage) -> ResourceUsage {
        let in_group = self.control_group.as_deref().and_then(control_groups::processes_in);
        ResourceUsage { processes: usage.processes.max(in_group.unwrap_or(0)), ..usage }
    }

    /// A bound that the kernel does not take is held by the looks.
    fn bound(&self) {
        if let Some(group) = &self.control_group
            && let Err(error) = control_groups::bound(group, &self.limits)
        {
            tracing::warn!(error = %causes(&error), group = %group.display(), "a browser's control group could not be given its limits");
        }
    }
}

impl Resources {
    /// `without_groups`: why browsers are in no control groups of their own; empty where they are.
    pub fn new(limits: Limits, without_groups: String) -> Self {
        Self { shared: Arc::new(Shared { limits, without_groups, ..Shared::default() }) }
    }

    /// Looks at this browser, whose processes are the group of its root, until the meter is dropped.
    pub fn meter(&self, tenant: &TenantId, pid: u32, limits: &ResourceLimits) -> Meter {
        let owner = Some((tenant.clone(), limits.memory_request_bytes));
        self.meter_group(owner, pid, self.shared.limits.of(limits))
    }

    /// The same with a browser that is nobody's, which has no limits.
    pub fn meter_spare(&self, pid: u32) -> Meter {
        self.meter_group(None, pid, Limits::default())
    }

    /// `owner` with the memory that it requests.
    fn meter_group(&self, owner: Option<(TenantId, Option<u64>)>, pid: u32, limits: Limits) -> Meter {
        let (tenant, memory_request_bytes) =
            owner.map_or((None, None), |(tenant, request)| (Some(tenant), request));
        let (excess, seen) = watch::channel(None);
        let metered = Metered {
            group: pid.cast_signed(),
            tenant,
            memory_request_bytes,
            limits,
            control_group: control_groups::of_browser(pid),
            since: Instant::now(),
            usage: None,
            asked_back: None,
            judge: Judge::default(),
            excess,
        };
        metered.bound();
        let mut browsers = self.shared.browsers.lock();
        browsers.meters += 1;
        let id = browsers.meters;
        browsers.metered.insert(id, metered);
        self.shared.came.notify_one();
        Meter { resources: self.clone(), id, excess: seen }
    }

    /// What holds the browser of this process to its limits, in words.
    pub fn limits_held_by(&self, pid: u32) -> String {
        let browsers = self.shared.browsers.lock();
        let group = browsers.metered.values().find(|metered| metered.group == pid.cast_signed());
        match group.and_then(|metered| metered.control_group.as_ref()) {
            Some(group) => format!("the control group {}, and the node's looks at it", group.display()),
            None if self.shared.without_groups.is_empty() => {
                "the node's looks at it alone: it was not put into a control group".to_owned()
            }
            None => format!("the node's looks at it alone: {}", self.shared.without_groups),
        }
    }

    /// What each tenant's browser used at the last look at it.
    pub fn usages(&self) -> HashMap<TenantId, ResourceUsage> {
        let browsers = self.shared.browsers.lock();
        browsers
            .metered
            .values()
            .filter_map(|metered| Some((metered.tenant.clone()?, metered.usage?)))
            .collect()
    }

    /// The memory of those that are nobody's, at the last look at each.
    pub fn spares_memory_bytes(&self) -> u64 {
        let browsers = self.shared.browsers.lock();
        let spares = browsers.metered.values().filter(|metered| metered.tenant.is_none());
        spares.filter_map(|metered| Some(metered.usage?.memory_bytes)).sum()
    }

    pub fn memory_demands(&self) -> Vec<MemoryDemand> {
        let browsers = self.shared.browsers.lock();
        let demands = browsers.metered.values().filter_map(|metered| {
            Some(MemoryDemand {
                tenant: metered.tenant.clone()?,
                used_bytes: metered.usage?.memory_bytes,
                requested_bytes: metered.memory_request_bytes,
                since: metered.since,
            })
        });
        demands.collect()
    }

    /// From its next look on the browser of this tenant is restarted at a quiet moment, unless it is restarted before. None: no
    /// more of what was asked for before is.
    pub fn ask_back(&self, asked: Option<(&TenantId, &str)>) {
        for metered in self.shared.browsers.lock().metered.values_mut() {
            let of_it = asked.filter(|(tenant, _)| metered.tenant.as_ref() == Some(*tenant));
            metered.asked_back = of_it.map(|(_, told)| told.to_owned());
        }
    }

    /// One browser that was looked at.
    #[cfg(test)]
    pub fn with_usage(tenant: &str, memory_bytes: u64) -> (Self, Meter) {
        let (resources, tenant) = (Self::default(), TenantId::new(tenant).unwrap());
        let meter = resources.meter(&tenant, 10, &ResourceLimits::default());
        let usage = ResourceUsage { memory_bytes, cpu_millicores: 0, processes: 1 };
        resources.took(&HashMap::from([(10, usage)]), Instant::now());
        (resources, meter)
    }

    /// Finds what the last look has found.
    #[cfg(test)]
    pub fn look_again(&self) {
        let found = |metered: &Metered| Some((metered.group, metered.usage?));
        let usage = self.shared.browsers.lock().metered.values().filter_map(found).collect();
        self.took(&usage, Instant::now());
    }

    /// Runs for as long as the process; while there is no browser it waits for one.
    pub(crate) async fn run(self) {
        let (mut sampler, mut pause) = (Sampler::new(Path::new("/proc"), SHARES_WITHIN), LOOK_EVERY);
        loop {
            self.until_any().await;
            sleep(pause).await;
            let groups: HashSet<i32> =
                self.shared.browsers.lock().metered.values().map(|metered| metered.group).collect();
            let looked = run_blocking(move || {
                let (now, before) = (Instant::now(), processor_time());
                let usage = sampler.look(&groups, now);
                (sampler, usage, now, processor_time().saturating_sub(before))
            });
            let (back, usage, now, cost) = looked.await;
            sampler = back;
            pause = LOOK_EVERY.max(cost * COST_TO_PAUSE);
            match usage {
                Ok(usage) => self.took(&usage, now),
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "what the browsers use cannot be seen")
                }
            }
        }
    }

    async fn until_any(&self) {
        while self.shared.browsers.lock().metered.is_empty() {
            self.shared.came.notified().await;
        }
    }

    /// Of one that came after the look, nothing is known yet.
    fn took(&self, usage: &HashMap<i32, ResourceUsage>, now: Instant) {
        for metered in self.shared.browsers.lock().metered.values_mut() {
            metered.usage = usage.get(&metered.group).map(|usage| metered.with_all_processes(*usage));
            let over_limit =
                metered.usage.and_then(|usage| metered.judge.judge(&usage, &metered.limits, now));
            let asked_back = metered.asked_back.clone();
            let over_request =
                asked_back.map(|told| Excess { over: Over::Request, urgency: Urgency::WhenQuiet, told });
            let excess = over_limit.or(over_request);
            metered.excess.send_if_modified(|present| {
                let urgency = |excess: &Option<Excess>| excess.as_ref().map(|excess| excess.urgency);
                let is_news = urgency(present) != urgency(&excess);
                *present = excess;
                is_news
            });
        }
    }
}

/// Of this thread.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    let (secs, nanos) = (u64::try_from(spent.tv_sec), u32::try_from(spent.tv_nsec));
    Duration::new(secs.unwrap_or_default(), nanos.unwrap_or_default())
}

/// What a tenant's browser used of memory at the last look at it, and what is kept free for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryDemand {
    pub tenant: TenantId,
    pub used_bytes: u64,
    pub requested_bytes: Option<u64>,
    /// Since when this browser is looked at.
    pub since: Instant,
}

/// That a browser is looked at.
#[derive(Debug)]
pub struct Meter {
    resources: Resources,
    id: u64,
    excess: watch::Receiver<Option<Excess>>,
}

impl Meter {
    /// The tenant was changed, perhaps in its limits.
    pub fn set_limits(&self, limits: &ResourceLimits) {
        if let Some(metered) = self.resources.shared.browsers.lock().metered.get_mut(&self.id) {
            metered.limits = self.resources.shared.limits.of(limits);
            metered.memory_request_bytes = limits.memory_request_bytes;
            metered.bound();
        }
    }

    /// Waits until the browser is over a limit, or more so, or no more.
    pub async fn changed(&mut self) {
        if self.excess.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub fn excess(&mut self) -> Option<Excess> {
        self.excess.borrow_and_update().clone()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.resources.shared.browsers.lock().metered.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn used(mib: u64) -> ResourceUsage {
        ResourceUsage { memory_bytes: mib * MIB, cpu_millicores: 0, processes: 1 }
    }

    fn resources() -> (Resources, TenantId) {
        let limits = Limits { memory_bytes: Some(512 * MIB), ..Limits::default() };
        (Resources::new(limits, "no such thing here".to_owned()), TenantId::new("acme").unwrap())
    }

    #[test]
    fn whoever_meters_hears_when_a_browser_comes_to_be_over_its_limit_and_when_it_is_no_more() {
        let (resources, tenant) = resources();
        let mut meter = resources.meter(&tenant, 10, &ResourceLimits::default());
        let mut hears = |mib| {
            resources.took(&HashMap::from([(10, used(mib))]), Instant::now());
            let heard = meter.changed().now_or_never().is_some();
            heard.then(|| meter.excess().map(|excess| excess.urgency))
        };
        assert_eq!(hears(512), None);
        assert_eq!(hears(600), Some(Some(Urgency::WhenQuiet)));
        assert_eq!(hears(601), None, "it knows");
        assert_eq!(hears(800), Some(Some(Urgency::AtOnce)));
        assert_eq!(hears(100), Some(None));
        assert_eq!(resources.usages(), HashMap::from([(tenant, used(100))]));
    }

    #[test]
    fn a_tenants_own_limit_counts_from_when_it_is_set() {
        let (resources, tenant) = resources();
        let mut meter = resources.meter(&tenant, 10, &ResourceLimits::default());
        let lower = ResourceLimits { memory_limit_bytes: Some(64 * MIB), ..ResourceLimits::default() };
        meter.set_limits(&lower);
        resources.took(&HashMap::from([(10, used(65))]), Instant::now());
        assert!(meter.excess().unwrap().told.ends_with("may use 64"));
        let requests = ResourceLimits { memory_request_bytes: Some(32 * MIB), ..ResourceLimits::default() };
        meter.set_limits(&requests);
        let demand = resources.memory_demands().pop().unwrap();
        assert_eq!((demand.requested_bytes, demand.used_bytes), (Some(32 * MIB), 65 * MIB));
    }

    #[test]
    fn what_is_asked_back_is_heard_once_unless_a_limit_says_more_and_no_more_when_it_is_not_needed() {
        let (resources, tenant) = resources();
        let mut meter = resources.meter(&tenant, 10, &ResourceLimits::default());
        let mut hears = |mib| {
            resources.took(&HashMap::from([(10, used(mib))]), Instant::now());
            let heard = meter.changed().now_or_never().is_some();
            heard.then(|| meter.excess().map(|excess| (excess.over, excess.urgency)))
        };
        resources.ask_back(Some((&TenantId::new("duka").unwrap(), "x")));
        assert_eq!(hears(300), None, "another's");
        resources.ask_back(Some((&tenant, "x")));
        assert_eq!(hears(300), Some(Some((Over::Request, Urgency::WhenQuiet))));
        assert_eq!(hears(300), None);
        assert_eq!(hears(800), Some(Some((Over::Limit, Urgency::AtOnce))));
        resources.ask_back(None);
        assert_eq!(hears(300), Some(None));
    }

    #[test]
    fn a_process_counts_that_is_in_the_browsers_control_group_alone() {
        let (resources, tenant) = resources();
        let limits = ResourceLimits { process_limit: Some(2), ..ResourceLimits::default() };
        let mut meter = resources.meter(&tenant, 10, &limits);
        let group = tempfile::tempdir().unwrap();
        std::fs::write(group.path().join("cgroup.procs"), "10\n11\n12\n").unwrap();
        resources.shared.browsers.lock().metered.get_mut(&meter.id).unwrap().control_group =
            Some(group.path().to_owned());
        resources.took(&HashMap::from([(10, used(1))]), Instant::now());
        assert_eq!(meter.excess().unwrap().told, "it had 3 processes and may have 2");
    }

    #[test]
    fn a_browser_without_a_control_group_says_why() {
        let (resources, tenant) = resources();
        let _meter = resources.meter(&tenant, std::process::id(), &ResourceLimits::default());
        let held_by = resources.limits_held_by(std::process::id());
        assert_eq!(held_by, "the node's looks at it alone: no such thing here");
    }

    #[test]
    fn what_spares_use_is_counted_and_no_tenants() {
        let (resources, tenant) = resources();
        let _tenants = resources.meter(&tenant, 10, &ResourceLimits::default());
        let mut spares = [11, 12].map(|pid| resources.meter_spare(pid));
        let usage = HashMap::from([(10, used(1)), (11, used(30)), (12, used(40))]);
        resources.took(&usage, Instant::now());
        assert_eq!(resources.spares_memory_bytes(), 70 * MIB);
        assert_eq!(resources.usages(), HashMap::from([(tenant, used(1))]));
        resources.took(&HashMap::from([(11, used(9_000))]), Instant::now());
        assert!(spares[0].excess().is_none(), "it has no limit");
    }

    #[test]
    fn one_that_is_not_metered_any_more_is_not_looked_at() {
        let (resources, tenant) = resources();
        let meter = resources.meter(&tenant, 10, &ResourceLimits::default());
        resources.took(&HashMap::from([(10, used(1))]), Instant::now());
        drop(meter);
        assert!(resources.usages().is_empty());
        assert!(resources.until_any().now_or_never().is_none());
    }
}
