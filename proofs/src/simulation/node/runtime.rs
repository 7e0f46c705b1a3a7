//! The runtime of a simulated node, under the product's supervisor: runs whose browsers are the simulation's, and preparations
//! that only take time.

use std::{sync::Arc, time::Duration};

use roost_cluster::lease_deadline::Standing;
use roost_model::ids::{Generation, TenantId};
use roost_node::host::tenant_runtime::{Disposition, PrepareRequest, Readiness, RunRequest, TenantRuntime};
use roost_store::Fence;
use tokio::{sync::watch, time::sleep};

use super::{
    super::{postgres, process::Process},
    Machine,
    browsers::Pid,
};

/// As the product's.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For fetching a snapshot and starting a browser, at the worst that the simulation has.
const PREPARED_WITHIN: Duration = Duration::from_millis(800);

/// What all of one life share.
pub struct SimulatedRuntime {
    pub machine: Arc<Machine>,
    pub process: Process,
    pub standing: watch::Receiver<Standing>,
}

impl TenantRuntime for SimulatedRuntime {
    type Standby = WarmStandby;

    fn run(self: &Arc<Self>, request: RunRequest<WarmStandby>) -> impl Future<Output = ()> + Send + 'static {
        let Fence { tenant, generation } = request.fence.clone();
        let run = TenantRun { runtime: self.clone(), tenant, generation, request };
        self.process.clone().run(run.run())
    }

    fn prepare(
        self: &Arc<Self>,
        request: PrepareRequest<WarmStandby>,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.process.clone().run(prepare(self.clone(), request))
    }
}

/// A browser that opens nothing: the judge does not see it.
pub struct WarmStandby;

async fn prepare(runtime: Arc<SimulatedRuntime>, request: PrepareRequest<WarmStandby>) {
    let PrepareRequest { tenant, generation, readiness, mut disposition } = request;
    let dice = runtime.machine.dice.of("prepare").of(tenant.as_str()).nth(generation.0 as u64);
    let early = tokio::select! {
        early = &mut disposition => Some(early),
        () = sleep(dice.between(Duration::ZERO, PREPARED_WITHIN)) => None,
    };
    readiness.send_replace(Readiness::Ready);
    let disposition = match early {
        Some(disposition) => disposition,
        None => disposition.await,
    };
    match disposition {
        Ok(Disposition::HandOver(to)) => drop(to.send(Some(WarmStandby))),
        // Its browser takes a moment to die.
        Ok(Disposition::GiveUp) | Err(_) => sleep(runtime.machine.shared.timing.kill_time / 2).await,
    }
}

struct TenantRun {
    runtime: Arc<SimulatedRuntime>,
    tenant: TenantId,
    generation: Generation,
    request: RunRequest<WarmStandby>,
}

enum Ended {
    Asked,
    /// A write was refused.
    Fenced,
}

impl TenantRun {
    async fn run(mut self) {
        tokio::select! {
            biased;
            () = self.request.stopped() => return,
            published = self.request.published.wait() => if published.is_err() { return },
        }
        let _opens_nothing = self.request.take_warm().await;
        loop {
            tokio::select! {
                biased;
                () = self.request.stopped() => return,
                () = self.until_it_may_run() => {}
            }
            let machine = self.runtime.machine.clone();
            let browser = machine.browsers.launch(&self.tenant, self.generation);
            let ended = tokio::select! {
                biased;
                () = self.request.stopped() => Ended::Asked,
                () = self.work() => Ended::Fenced,
            };
            match ended {
                Ended::Asked => {
                    self.wind_down(browser).await;
                    return;
                }
                Ended::Fenced => {
                    machine.browsers.kill(browser);
                    machine.browsers.until_gone(browser).await;
                }
            }
        }
    }

    /// The spec names this generation and wants the tenant to run, and the lease is good for a launch.
    async fn until_it_may_run(&self) {
        let (machine, dice) = (&self.runtime.machine, self.runtime.machine.dice);
        let mut standing = self.runtime.standing.clone();
        let kind = format!("spec of {}", self.tenant);
        loop {
            let (postgres, tenant) = (machine.shared.postgres.clone(), self.tenant.clone());
            let asked = machine.to_ledger.call(
                &self.runtime.process,
                &kind,
                machine.shared.timing.ledger_timeout,
                async move { postgres.reach().ok().and_then(|ledger| ledger.desired(&tenant)) },
            );
            let demand = asked.await.flatten();
            if demand.is_some_and(|demand| demand.running && demand.generation == self.generation) {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        // Restoring the session, and waiting for a turn to launch.
        let dice = dice.of("restore").of(self.tenant.as_str()).nth(self.generation.0 as u64);
        sleep(dice.between(Duration::ZERO, Duration::from_millis(400))).await;
        // An error means that this life is over, and the stop is on its way.
        if standing.wait_for(|standing| *standing == Standing::Good).await.is_err() {
            std::future::pending().await
        }
    }

    /// The worker's: writes as long as they are taken. The first tells that the page works.
    async fn work(&self) {
        let machine = &self.runtime.machine;
        let mut standing = self.runtime.standing.clone();
        sleep(Duration::from_millis(300)).await;
        loop {
            if standing.wait_for(|standing| *standing == Standing::Good).await.is_err() {
                std::future::pending().await
            }
            if self.write().await == Some(Err(postgres::Refused)) {
                return;
            }
            sleep(machine.shared.timing.ttl / 2).await;
        }
    }

    /// None when there was no answer.
    async fn write(&self) -> Option<Result<(), postgres::Refused>> {
        let machine = &self.runtime.machine;
        let (postgres, tenant, generation) =
            (machine.shared.postgres.clone(), self.tenant.clone(), self.generation);
        let kind = format!("write of {}", self.tenant);
        let limit = machine.shared.timing.ledger_timeout;
        let write = async move { postgres.reach().ok().map(|_| postgres.write(&tenant, generation)) };
        machine.to_ledger.call(&self.runtime.process, &kind, limit, write).await.flatten()
    }

    async fn wind_down(&self, browser: Pid) {
        let machine = &self.runtime.machine;
        if !machine.shared.guards.let_go {
            // The browser goes on for a while after its end was acknowledged.
            let browsers = machine.browsers.clone();
            tokio::spawn(async move {
                sleep(LOOK_AGAIN).await;
                browsers.kill(browser);
            });
            return;
        }
        let dice = machine.dice.of("drain").of(self.tenant.as_str()).nth(self.generation.0 as u64);
        let drain = async {
            sleep(dice.between(Duration::ZERO, Duration::from_millis(500))).await;
            self.write().await
        };
        tokio::select! {
            biased;
            () = self.request.killed() => {}
            _ = drain => {}
        }
        machine.browsers.kill(browser);
        machine.browsers.until_gone(browser).await;
    }
}
