//! `dev.json`: what runs and where, for scripts, tests and the `roost` command itself.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevRecord {
    pub etcd: EtcdRecord,
    pub postgres: PostgresRecord,
    /// HOST:PORT of the first coordinator.
    pub admin_addr: String,
    /// HOST:PORT where it serves the same in JSON over HTTP.
    pub http_addr: Option<String>,
    /// Of the portal: the link by which an owner of the first tenant comes in, once; where one has come in already, the portal itself.
    pub portal_url: Option<String>,
    /// The link by which somebody comes in to ask for a business of his own, once.
    #[serde(default)]
    pub setup_url: Option<String>,
    /// Of the console: the link by which an admin comes in, once; where one has come in already, the console itself.
    #[serde(default)]
    pub console_url: Option<String>,
    /// The authority that has signed for the coordinators, at both addresses; none of a cluster without TLS.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Holds the bearer token.
    pub token_file: PathBuf,
    /// Null when the cluster runs against the real site.
    pub simulator_url: Option<String>,
    pub simulator_tls_addr: Option<String>,
    /// A page of the simulator that stands for a phone: it links, and writes as a customer.
    #[serde(default)]
    pub phone_url: Option<String>,
    pub coordinators: Vec<CoordinatorRecord>,
    pub nodes: Vec<NodeRecord>,
    pub tenants: Vec<TenantRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdRecord {
    pub endpoint: String,
    pub pid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresRecord {
    pub url: String,
    pub pid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorRecord {
    pub id: String,
    pub pid: u32,
    pub admin_addr: String,
    pub http_addr: Option<String>,
}

/// A node that runs. The pid is that of the process that was started: the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub id: String,
    pub pid: u32,
    pub addr: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    pub id: String,
    pub name: String,
    /// E.164, with '+'.
    pub phone: String,
}

impl DevRecord {
    pub fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("dev.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts read these names.
    #[test]
    fn the_shape_is_as_documented() {
        let record = DevRecord {
            etcd: EtcdRecord { endpoint: "http://127.0.0.1:1".into(), pid: 1 },
            postgres: PostgresRecord { url: "postgres://127.0.0.1:2/postgres".into(), pid: 2 },
            admin_addr: "127.0.0.1:3".into(),
            http_addr: Some("127.0.0.1:7".into()),
            portal_url: Some("http://127.0.0.1:7/welcome/roost_x".into()),
            setup_url: Some("http://127.0.0.1:7/welcome/roost_y".into()),
            console_url: Some("http://127.0.0.1:7/console/welcome/roost_x".into()),
            ca_file: None,
            token_file: "/d/token".into(),
            simulator_url: Some("http://127.0.0.1:4".into()),
            simulator_tls_addr: Some("127.0.0.1:5".into()),
            phone_url: Some("http://127.0.0.1:4/phone".into()),
            coordinators: vec![CoordinatorRecord {
                id: "c1".into(),
                pid: 3,
                admin_addr: "127.0.0.1:3".into(),
                http_addr: Some("127.0.0.1:7".into()),
            }],
            nodes: vec![NodeRecord { id: "node-1".into(), pid: 6, addr: "127.0.0.1:6".into() }],
            tenants: vec![TenantRecord { id: "t".into(), name: "T".into(), phone: "+255700000001".into() }],
        };
        let expected = serde_json::json!({
            "etcd": {"endpoint": "http://127.0.0.1:1", "pid": 1},
            "postgres": {"url": "postgres://127.0.0.1:2/postgres", "pid": 2},
            "admin_addr": "127.0.0.1:3",
            "http_addr": "127.0.0.1:7",
            "portal_url": "http://127.0.0.1:7/welcome/roost_x",
            "setup_url": "http://127.0.0.1:7/welcome/roost_y",
            "console_url": "http://127.0.0.1:7/console/welcome/roost_x",
            "ca_file": null,
            "token_file": "/d/token",
            "simulator_url": "http://127.0.0.1:4",
            "simulator_tls_addr": "127.0.0.1:5",
            "phone_url": "http://127.0.0.1:4/phone",
            "coordinators": [{"id": "c1", "pid": 3, "admin_addr": "127.0.0.1:3", "http_addr": "127.0.0.1:7"}],
            "nodes": [{"id": "node-1", "pid": 6, "addr": "127.0.0.1:6"}],
            "tenants": [{"id": "t", "name": "T", "phone": "+255700000001"}],
        });
        assert_eq!(serde_json::to_value(&record).unwrap(), expected);
    }
}
