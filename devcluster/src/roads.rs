//! The relays of a whole cluster: one from each node and coordinator to each member of etcd and to PostgreSQL.

use std::collections::BTreeMap;

use super::{
    error::{DevError, Result},
    etcd::Etcd,
    postgres::Postgres,
    relay::{Relay, Road},
};

/// Which servers a fault on the network is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Servers {
    pub etcd: bool,
    pub postgres: bool,
}

/// All roads of a cluster; empty when its processes speak to the servers directly.
#[derive(Debug, Default)]
pub struct Roads(BTreeMap<String, OwnRoads>);

#[derive(Debug)]
struct OwnRoads {
    etcd: Vec<Relay>,
    postgres: Relay,
}

impl Roads {
    /// Builds those of one process.
    pub(super) async fn build(&mut self, id: &str, etcd: &[Etcd], postgres: &Postgres) -> Result<()> {
        let mut own = OwnRoads { etcd: vec![], postgres: Relay::to(postgres.port()).await? };
        for member in etcd {
            own.etcd.push(Relay::to(member.port()).await?);
        }
        self.0.insert(id.to_owned(), own);
        Ok(())
    }

    /// The endpoints by which a process reaches etcd, separated by commas.
    pub(super) fn etcd_of(&self, id: &str, etcd: &[Etcd]) -> String {
        let ports = match self.0.get(id) {
            Some(own) => own.etcd.iter().map(Relay::port).collect::<Vec<_>>(),
            None => etcd.iter().map(Etcd::port).collect(),
        };
        let scheme = |member: &Etcd| member.endpoint().split("://").next().unwrap_or("http").to_owned();
        let members = etcd.iter().map(scheme).zip(ports);
        members.map(|(scheme, port)| format!("{scheme}://127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// The address by which a process reaches PostgreSQL.
    pub(super) fn postgres_of(&self, id: &str, postgres: &Postgres) -> String {
        let through = self.0.get(id).map(|own| own.postgres.port());
        postgres.url_through(through.unwrap_or(postgres.port()))
    }

    /// Spoils or mends what lies between one process and the servers.
    pub fn set(&self, id: &str, servers: Servers, road: Road) -> Result<()> {
        let own = self.0.get(id).ok_or_else(|| DevError::UnknownNode { id: id.to_owned() })?;
        let etcd = own.etcd.iter().filter(|_| servers.etcd);
        let postgres = Some(&own.postgres).filter(|_| servers.postgres);
        etcd.chain(postgres).for_each(|relay| relay.set(road));
        Ok(())
    }
}
