//! What is started while a cluster runs: more nodes and tenants, and again what is dead.

use futures::future::try_join_all;

use super::Cluster;
use crate::{error::Result, launches, member::Member, record::TenantRecord, tenants};

impl Cluster {
    /// Starts one node more; its id.
    pub async fn add_node(&mut self) -> Result<String> {
        let number = self.nodes.len() + 1;
        if self.options.relays {
            self.roads.build(&launches::node_id(number), &self.etcd, &self.postgres).await?;
        }
        let mut node = self.new_node(number)?;
        node.start().await?;
        let id = node.id().to_owned();
        self.nodes.push(node);
        self.remember()?;
        Ok(id)
    }

    /// Makes one demo tenant more, with its phone, and starts its worker.
    pub async fn add_tenant(&mut self) -> Result<TenantRecord> {
        let index = self.tenants.len();
        let tenant = tenants::demo_tenant(index);
        tenants::prepare(self.admin(), index, &tenant, self.options.echo).await?;
        self.tenants.push(tenant.clone());
        if let (Some(phones), Some(site)) = (&mut self.phones, &self.simulator) {
            phones.add(self.admins[0].clone(), site.client.clone(), tenant.clone());
        }
        Ok(tenant)
    }

    /// Starts a node that is dead again, with the profiles that it has on its disk.
    pub async fn start_node(&mut self, id: &str) -> Result<()> {
        self.node(id)?.start().await?;
        self.remember()
    }

    /// Starts again whatever is dead; the names of what was.
    pub async fn revive(&mut self) -> Result<Vec<String>> {
        let mut revived = vec![];
        if !self.postgres.is_running() {
            self.postgres.restart().await?;
            revived.push("postgres".to_owned());
        }
        // Together: one of several alone would wait in vain for the others.
        let dead = self.etcd.iter_mut().filter_map(|member| (!member.is_running()).then_some(member));
        let restarted = dead.map(async |member| member.restart().await.map(|()| member.name().to_owned()));
        revived.extend(try_join_all(restarted).await?);
        let members = self.simulator.as_mut().map(|site| &mut site.member).into_iter();
        for member in members.chain(&mut self.coordinators).chain(&mut self.nodes) {
            if !member.is_running() {
                member.start_again().await?;
                revived.push(member.id().to_owned());
            }
        }
        self.remember()?;
        Ok(revived)
    }

    pub(super) async fn start_nodes(&mut self) -> Result<()> {
        let nodes =
            (1..=self.options.nodes).map(|number| self.new_node(number)).collect::<Result<Vec<_>>>()?;
        self.nodes = nodes;
        try_join_all(self.nodes.iter_mut().map(Member::start)).await?;
        self.remember()
    }

    fn new_node(&self, number: usize) -> Result<Member> {
        let programs = launches::Programs::find(&self.options)?;
        let simulator = self.simulator.as_ref();
        let (etcd, roads, postgres) = (&self.etcd, &self.roads, &self.postgres);
        let certificates = self.certificates.as_ref();
        let services = launches::Services { etcd, roads, postgres, simulator, certificates };
        launches::node(&launches::node_id(number), &programs, &self.state_dir, &self.options, &services)
    }
}
