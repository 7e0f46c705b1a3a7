//! What tests and tours ask of a cluster, and wait for with a deadline. An error carries what is needed to understand
//! it: the workers as they are and the ends of the logs.

use std::{fmt::Write, future::Future, time::Duration};

use roost_proto::v1::{
    GetSessionRequest, GetWorkerRequest, ListWorkersRequest, SessionStatus, Worker, WorkerStatus,
};

use super::{
    cluster::Cluster,
    error::{DevError, Result},
    process::{tail, wait_until},
    record::TenantRecord,
    simulator::{Scan, SentMessage, Simulator},
};

impl Cluster {
    /// Every tenant's worker runs, placed on a node, and is connected.
    pub async fn connected(&self, within: Duration) -> Result<()> {
        self.wait("all tenants are connected", within, || async {
            let workers = self.workers().await.unwrap_or_default();
            let connected =
                |tenant: &TenantRecord| workers.iter().any(|w| w.tenant_id == tenant.id && is_connected(w));
            self.tenants().iter().all(connected)
        })
        .await
    }

    /// Every worker is connected, on this node.
    pub async fn all_connected_on(&self, node: &str, within: Duration) -> Result<()> {
        self.wait(&format!("all are connected on {node}"), within, || async {
            // Without an answer nothing is known of them.
            let there = |worker: &Worker| is_connected(worker) && worker.node_id == node;
            self.workers().await.is_ok_and(|workers| workers.iter().all(there))
        })
        .await
    }

    /// This tenant's worker runs and is connected.
    pub async fn tenant_connected(&self, tenant: &str, within: Duration) -> Result<Worker> {
        self.worker_until(tenant, "is connected", within, is_connected).await
    }

    /// Waits until the tenant's worker is as wanted; the worker.
    pub async fn worker_until(
        &self,
        tenant: &str,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Worker) -> bool,
    ) -> Result<Worker> {
        self.wait(&format!("the worker of {tenant} {what}"), within, || async {
            self.worker(tenant).await.is_ok_and(|worker| wanted(&worker))
        })
        .await?;
        self.worker(tenant).await
    }

    pub async fn worker(&self, tenant: &str) -> Result<Worker> {
        let request = GetWorkerRequest { tenant_id: tenant.to_owned() };
        let worker = self.admin().workers().get_worker(request).await;
        worker.map(tonic::Response::into_inner).map_err(DevError::call(format!("get the worker of {tenant}")))
    }

    /// All workers, by tenant.
    pub async fn workers(&self) -> Result<Vec<Worker>> {
        let request = ListWorkersRequest { page_size: 1_000, ..ListWorkersRequest::default() };
        let page = self.admin().workers().list_workers(request).await;
        page.map(|page| page.into_inner().workers).map_err(DevError::call("list the workers"))
    }

    /// The tenants that a node owns.
    pub async fn tenants_on(&self, node: &str) -> Result<Vec<TenantRecord>> {
        let workers = self.workers().await?;
        let owned =
            |tenant: &&TenantRecord| workers.iter().any(|w| w.tenant_id == tenant.id && w.node_id == node);
        Ok(self.tenants().iter().filter(owned).cloned().collect())
    }

    /// Holds the tenant's phone before its code, for clusters whose phones do not scan by themselves.
    pub async fn scan(&self, tenant: &TenantRecord, within: Duration) -> Result<()> {
        let simulator = self.simulator()?;
        self.wait(&format!("{} has been scanned", tenant.id), within, || async {
            let request = GetSessionRequest { tenant_id: tenant.id.clone() };
            let Ok(session) = self.admin().sessions().get_session(request).await else { return false };
            let Some(code) = session.into_inner().qr else { return false };
            simulator
                .scan(&code.text, &tenant.phone, &tenant.name)
                .await
                .is_ok_and(|scan| scan == Scan::Linked)
        })
        .await
    }

    /// Someone writes to the tenant, and the answer is awaited.
    pub async fn ask(
        &self,
        tenant: &TenantRecord,
        from: &str,
        body: &str,
        within: Duration,
    ) -> Result<SentMessage> {
        let simulator = self.simulator()?;
        let sent = simulator.sent(&tenant.phone, 0).await?;
        let before = sent.last().map_or(0, |message| message.index);
        simulator.message(&tenant.phone, from, body).await?;
        let chat = format!("{}@c.us", from.trim_start_matches('+'));
        let answers =
            self.sent_until(tenant, before, within, |sent| sent.iter().any(|m| m.to == chat)).await?;
        let answer = answers.into_iter().find(|message| message.to == chat);
        answer
            .ok_or_else(|| DevError::TimedOut { what: format!("{} has answered", tenant.id), waited: within })
    }

    /// Waits until what the tenant has sent after the message with the index `after` is as wanted.
    pub async fn sent_until(
        &self,
        tenant: &TenantRecord,
        after: u64,
        within: Duration,
        wanted: impl Fn(&[SentMessage]) -> bool,
    ) -> Result<Vec<SentMessage>> {
        let simulator: &Simulator = self.simulator()?;
        self.wait(&format!("{} has answered", tenant.id), within, || async {
            simulator.sent(&tenant.phone, after).await.is_ok_and(|sent| wanted(&sent))
        })
        .await?;
        simulator.sent(&tenant.phone, after).await
    }

    /// Waits until `holds`; the error says how the cluster is.
    pub async fn wait<F>(&self, what: &str, within: Duration, holds: impl FnMut() -> F) -> Result<()>
    where
        F: Future<Output = bool>,
    {
        match wait_until(what, within, holds).await {
            Ok(()) => Ok(()),
            Err(error) => {
                Err(DevError::Diagnosed { what: error.to_string(), diagnosis: self.diagnose().await })
            }
        }
    }

    /// The workers as they are and the ends of the logs.
    pub async fn diagnose(&self) -> String {
        let mut told = String::new();
        match self.workers().await {
            Ok(workers) => workers.iter().for_each(|worker| describe(&mut told, worker)),
            Err(error) => told.push_str(&format!("the workers cannot be listed: {error}\n")),
        }
        for (name, log) in self.logs() {
            told.push_str(&format!("--- {name}: the end of {}\n{}\n", log.display(), tail(&log).trim_end()));
        }
        told
    }
}

/// RUNNING, CONNECTED and placed.
pub fn is_connected(worker: &Worker) -> bool {
    worker.status() == WorkerStatus::Running
        && worker.session_status() == SessionStatus::Connected
        && !worker.node_id.is_empty()
}

fn describe(told: &mut String, worker: &Worker) {
    // Writing to a String cannot fail.
    writeln!(
        told,
        "{}: {}, desired {}, session {}, node {:?}, generation {}, {:?}",
        worker.tenant_id,
        worker.status().as_str_name(),
        worker.desired_state().as_str_name(),
        worker.session_status().as_str_name(),
        worker.node_id,
        worker.generation,
        worker.last_error,
    )
    .ok();
}
