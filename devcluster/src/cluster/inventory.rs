//! What runs: for people, for dev.json, and for a later run that has to end what a crash has left.

use std::path::PathBuf;

use super::Cluster;
use crate::{
    certificates::Certificates,
    error::Result,
    etcd::Etcd,
    member::Member,
    record::{CoordinatorRecord, DevRecord, EtcdRecord, NodeRecord, PostgresRecord},
    state_dir::Started,
};

impl Cluster {
    /// The coordinators, the simulator and the stores: the name of each, its pid, and whether it runs.
    pub fn services(&mut self) -> Vec<(String, u32, bool)> {
        let etcd = self.etcd.iter_mut();
        let mut services: Vec<_> =
            etcd.map(|member| (member.name().to_owned(), member.pid(), member.is_running())).collect();
        services.push(("postgres".to_owned(), self.postgres.pid(), self.postgres.is_running()));
        let members =
            self.simulator.as_mut().map(|site| &mut site.member).into_iter().chain(&mut self.coordinators);
        services.extend(
            members.map(|member| {
                (member.id().to_owned(), member.pid().unwrap_or_default(), member.is_running())
            }),
        );
        services
    }

    /// Writes dev.json: what runs now.
    pub fn publish(&mut self) -> Result<()> {
        self.remember()?;
        let record = self.record();
        self.state_dir.publish(&record)
    }

    /// What dev.json says.
    pub fn record(&mut self) -> DevRecord {
        let nodes = self.nodes.iter_mut().filter_map(|node| {
            let (id, addr) = (node.id().to_owned(), node.addr().to_owned());
            if node.is_running() { Some(NodeRecord { id, pid: node.pid()?, addr }) } else { None }
        });
        let nodes = nodes.collect();
        let coordinators = self.coordinators.iter().filter_map(|coordinator| {
            Some(CoordinatorRecord {
                id: coordinator.id().to_owned(),
                pid: coordinator.pid()?,
                admin_addr: coordinator.addr().to_owned(),
                http_addr: coordinator.http_addr().map(str::to_owned),
            })
        });
        DevRecord {
            etcd: EtcdRecord { endpoint: self.etcd[0].endpoint().to_owned(), pid: self.etcd[0].pid() },
            postgres: PostgresRecord { url: self.postgres.url().to_owned(), pid: self.postgres.pid() },
            admin_addr: self.admin().address().to_owned(),
            http_addr: self.http_addr().map(str::to_owned),
            portal_url: self.portal_url().map(str::to_owned),
            setup_url: self.setup_url().map(str::to_owned),
            console_url: self.console_url().map(str::to_owned),
            ca_file: self.certificates.as_ref().map(Certificates::ca_file),
            token_file: self.token_file(),
            simulator_url: self.simulator.as_ref().map(|site| site.client.url().to_owned()),
            simulator_tls_addr: self.simulator.as_ref().map(|site| site.tls_addr.clone()),
            phone_url: self.phone_url(),
            coordinators: coordinators.collect(),
            nodes,
            tenants: self.tenants.clone(),
        }
    }

    /// Every log, with the name of its process.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        let members = self.simulator.as_ref().map(|site| &site.member).into_iter();
        let members = members.chain(&self.coordinators).chain(&self.nodes);
        let stores = self.etcd.iter().map(Etcd::name).chain(["postgres"]);
        let stores = stores.map(|name| (name.to_owned(), self.state_dir.log(name)));
        members.map(|member| (member.id().to_owned(), member.log().to_owned())).chain(stores).collect()
    }

    pub(super) fn remember(&self) -> Result<()> {
        let members = self.simulator.as_ref().map(|site| &site.member).into_iter();
        let members = members.chain(&self.coordinators).chain(&self.nodes).filter_map(Member::started);
        let etcd = self.etcd.iter().map(|member| (member.name(), member.identity()));
        let stores = etcd.chain([("postgres", self.postgres.identity())]);
        let stores = stores.map(|(name, identity)| Started { name: name.to_owned(), identity });
        self.state_dir.remember(&stores.chain(members).collect::<Vec<_>>())
    }
}
