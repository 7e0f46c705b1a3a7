//! The browsers that are looked at, and the task that looks.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
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
    rules::{Excess, Judge, Limits},
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
    limits: Limits,
    usage: Option<ResourceUsage>,
    judge: Judge,
    excess: watch::Sender<Option<Excess>>,
}

impl Resources {
    pub fn new(limits: Limits) -> Self {
        Self { shared: Arc::new(Shared { limits, ..Shared::default() }) }
    }

    /// Looks at this browser, whose processes are the group of its root, until the meter is dropped.
    pub fn meter(&self, tenant: &TenantId, pid: u32, limits: &ResourceLimits) -> Meter {
        self.meter_group(Some(tenant.clone()), pid, self.shared.limits.of(limits))
    }

    /// The same with a browser that is nobody's, which has no limits.
    pub fn meter_spare(&self, pid: u32) -> Meter {
        self.meter_group(None, pid, Limits::default())
    }

    fn meter_group(&self, tenant: Option<TenantId>, pid: u32, limits: Limits) -> Meter {
        let (excess, seen) = watch::channel(None);
        let metered = Metered {
            group: pid.cast_signed(),
            tenant,
            limits,
            usage: None,
            judge: Judge::default(),
            excess,
        };
        let mut browsers = self.shared.browsers.lock();
        browsers.meters += 1;
        let id = browsers.meters;
        browsers.metered.insert(id, metered);
        self.shared.came.notify_one();
        Meter { resources: self.clone(), id, excess: seen }
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
            metered.usage = usage.get(&metered.group).copied();
            let excess = metered.usage.and_then(|usage| metered.judge.judge(&usage, &metered.limits, now));
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

    use super::{super::rules::Urgency, *};

    const MIB: u64 = 1 << 20;

    fn used(mib: u64) -> ResourceUsage {
        ResourceUsage { memory_bytes: mib * MIB, cpu_millicores: 0, processes: 1 }
    }

    fn resources() -> (Resources, TenantId) {
        let limits = Limits { memory_bytes: Some(512 * MIB), ..Limits::default() };
        (Resources::new(limits), TenantId::new("acme").unwrap())
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
