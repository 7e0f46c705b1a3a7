//! The tour, step by step.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roost_devcluster::{Cluster, DevError, Options, Result, TenantRecord, is_connected};
use roost_proto::v1::{Tenant, UpdateTenantRequest};

use super::{customers::Customers, figures::Figures};
use crate::{failure::Failure, output::Output};

const PAIRED_WITHIN: Duration = Duration::from_secs(180);
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(90);
const MESSAGES_EACH: usize = 5;

pub async fn run(options: Options, output: &Output) -> std::result::Result<Figures, Failure> {
    let begun = Instant::now();
    output.note(&format!(
        "starting etcd, PostgreSQL, the simulator, a coordinator and {} nodes",
        options.nodes
    ));
    let mut cluster = Cluster::start(options).await?;
    let toured = Tour { cluster: &mut cluster, output, customers: Customers::default(), begun }.walk().await;
    let stopped = cluster.stop().await;
    let figures = toured?;
    stopped?;
    Ok(figures)
}

struct Tour<'a> {
    cluster: &'a mut Cluster,
    output: &'a Output,
    customers: Customers,
    begun: Instant,
}

/// What the failover took.
struct Failover {
    tenants: usize,
    connected: Duration,
    answered: Duration,
    rescans: u64,
}

impl Tour<'_> {
    async fn walk(mut self) -> Result<Figures> {
        let tenants = self.cluster.tenants().len();
        let paired_in = self.pair().await?;
        self.exchange().await?;
        let failover = self.kill_a_node().await?;
        let node_added_in = self.add_a_node().await?;
        let simulator = self.cluster.simulator()?;
        Ok(Figures {
            tenants,
            paired_in,
            failed_over: failover.tenants,
            failover_connected: failover.connected,
            failover_answered: failover.answered,
            rescans: failover.rescans,
            node_added_in,
            messages: self.customers.tally(simulator).await?,
            overlaps: simulator.connections().await?.overlaps.len(),
        })
    }

    async fn pair(&self) -> Result<Duration> {
        self.output
            .note(&format!("{} phones scan the QR codes of their tenants", self.cluster.tenants().len()));
        self.cluster.connected(PAIRED_WITHIN).await?;
        for tenant in self.cluster.tenants() {
            let worker = self.cluster.worker(&tenant.id).await?;
            self.output.note(&format!(
                "  {} ({}) is linked and runs on {}",
                tenant.name, tenant.phone, worker.node_id
            ));
        }
        Ok(self.begun.elapsed())
    }

    /// The reply limit is lifted first: the tour asks more in a minute than a customer would.
    async fn exchange(&mut self) -> Result<()> {
        let tenants = self.cluster.tenants().to_vec();
        for tenant in &tenants {
            lift_limit(self.cluster, tenant).await?;
        }
        self.output.note(&format!("customers write {MESSAGES_EACH} messages to each"));
        for body in
            ["Hello", "Habari", "1", "What are your prices?", "Asante!"].iter().cycle().take(MESSAGES_EACH)
        {
            for tenant in &tenants {
                self.customers.write(self.cluster.simulator()?, tenant, body).await?;
            }
        }
        self.customers.answered(self.cluster, ANSWERED_WITHIN).await?;
        for tenant in tenants.iter().take(2) {
            let sent = self.cluster.simulator()?.sent(&tenant.phone, 0).await?;
            let answer = sent.first().map_or("", |message| message.body.lines().next().unwrap_or_default());
            self.output.note(&format!("  {} answers: {answer}", tenant.name));
        }
        Ok(())
    }

    async fn kill_a_node(&mut self) -> Result<Failover> {
        let (node, tenants) = self.busiest_node().await?;
        let scans = self.cluster.scans();
        self.output
            .note(&format!("SIGKILL of {node}, which has {} tenants; customers keep writing", tenants.len()));
        let (killed, killed_ms) = (Instant::now(), now_ms());
        self.cluster.node(&node)?.kill().await?;
        for tenant in &tenants {
            self.customers.write(self.cluster.simulator()?, tenant, "Are you still there?").await?;
        }
        for tenant in &tenants {
            let elsewhere = |worker: &roost_proto::v1::Worker| worker.node_id != node && is_connected(worker);
            let what = "is connected on another node";
            let worker = self.cluster.worker_until(&tenant.id, what, FAILED_OVER_WITHIN, elsewhere).await?;
            self.output.note(&format!("  {} is on {} now", tenant.name, worker.node_id));
        }
        let connected = killed.elapsed();
        self.customers.answered(self.cluster, ANSWERED_WITHIN).await?;
        let last_ms = self.customers.last_answer_ms(self.cluster.simulator()?, tenants.len()).await?;
        let answered = Duration::from_millis(last_ms.saturating_sub(killed_ms));
        Ok(Failover { tenants: tenants.len(), connected, answered, rescans: self.cluster.scans() - scans })
    }

    async fn add_a_node(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let node = self.cluster.add_node().await?;
        let took = begun.elapsed();
        self.output.note(&format!("{node} is added; a new tenant is made"));
        let tenant = self.cluster.add_tenant().await?;
        let worker = self.cluster.tenant_connected(&tenant.id, PAIRED_WITHIN).await?;
        self.output.note(&format!("  {} runs on {}", tenant.name, worker.node_id));
        self.customers.write(self.cluster.simulator()?, &tenant, "Hello").await?;
        self.customers.answered(self.cluster, ANSWERED_WITHIN).await?;
        Ok(took)
    }

    async fn busiest_node(&mut self) -> Result<(String, Vec<TenantRecord>)> {
        let ids: Vec<String> = self.cluster.nodes().iter().map(|node| node.id().to_owned()).collect();
        let mut busiest = (String::new(), vec![]);
        for id in ids {
            let tenants = self.cluster.tenants_on(&id).await?;
            if tenants.len() > busiest.1.len() {
                busiest = (id, tenants);
            }
        }
        Ok(busiest)
    }
}

async fn lift_limit(cluster: &Cluster, tenant: &TenantRecord) -> Result<()> {
    let changed = Tenant { id: tenant.id.clone(), reply_limit_per_minute: Some(0), ..Tenant::default() };
    let mask = prost_types::FieldMask { paths: vec!["reply_limit_per_minute".to_owned()] };
    let request = UpdateTenantRequest { tenant: Some(changed), update_mask: Some(mask) };
    let updated = cluster.admin().tenants().update_tenant(request).await;
    updated.map(drop).map_err(DevError::call(format!("lift the reply limit of {}", tenant.id)))
}

/// By the clock that the simulator's times are taken from.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
