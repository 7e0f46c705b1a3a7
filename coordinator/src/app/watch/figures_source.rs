//! What is read of what changes of workers all the time: of all of them together, by the clock, while somebody follows.

use std::{collections::BTreeSet, time::Duration};

use roost_model::ids::TenantId;
use roost_store::{Store, StoreError, WorkerFigures};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{
    state_feed::{Found, Source, Wakeups},
    wakeups::Look,
};

/// As often as nodes write them.
const EVERY: Duration = Duration::from_secs(10);
/// Rows of one statement.
const CHUNK: u32 = 5_000;

pub(super) struct Figures(Store);

impl Figures {
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

impl Source for Figures {
    type Key = TenantId;
    type State = WorkerFigures;
    type Wakeups = FigureWakeups;
    const EACH: bool = false;

    async fn read(
        &mut self,
        _look: Look<TenantId>,
        _followed: BTreeSet<TenantId>,
    ) -> Result<Found<TenantId, WorkerFigures>, StoreError> {
        let mut all: Vec<WorkerFigures> = Vec::new();
        loop {
            let page = self.0.worker_figures(all.last().map(|last| &last.tenant), CHUNK).await?;
            let more = page.len() == CHUNK as usize;
            all.extend(page);
            if !more {
                return Ok(Found::all(all, |figures| figures.tenant.clone()));
            }
        }
    }

    fn differs(before: &WorkerFigures, now: &WorkerFigures) -> bool {
        seen(before) != seen(now)
    }
}

/// What a person sees of them: to the MiB, and to the hundredth of a core.
fn seen(figures: &WorkerFigures) -> impl PartialEq + use<> {
    let usage =
        figures.usage.map(|usage| (usage.memory_bytes >> 20, usage.cpu_millicores / 10, usage.processes));
    (usage, figures.messages_per_minute, figures.queue)
}

pub(super) struct FigureWakeups(Interval);

impl FigureWakeups {
    pub fn begin() -> Self {
        let mut timer = interval(EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer.reset();
        Self(timer)
    }
}

impl Wakeups<TenantId> for FigureWakeups {
    async fn next(&mut self) -> Look<TenantId> {
        self.0.tick().await;
        Look::Everything
    }
}

#[cfg(test)]
mod tests {
    use roost_model::ResourceUsage;
    use roost_store::QueueDepths;

    use super::*;

    #[test]
    fn what_nobody_would_see_is_no_news() {
        let figures = |memory_bytes, cpu_millicores, inbound| WorkerFigures {
            tenant: TenantId::new("asha").unwrap(),
            usage: Some(ResourceUsage { memory_bytes, cpu_millicores, processes: 6 }),
            messages_per_minute: Some(3),
            queue: QueueDepths { inbound, outbound: 0 },
        };
        let differs = |now| Figures::differs(&figures(100 << 20, 40, 0), &now);
        assert!(!differs(figures((100 << 20) + 4_096, 49, 0)));
        assert!(differs(figures(101 << 20, 40, 0)));
        assert!(differs(figures(100 << 20, 50, 0)));
        assert!(differs(figures(100 << 20, 40, 1)), "a message waits");
    }
}
