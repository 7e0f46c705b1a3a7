//! A cluster by TLS: what is shown between coordinators and nodes, and what is replaced while they run.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use roost_cluster::{
    keys,
    records::NodeRecord,
    registry::{EtcdAccessArgs, EtcdRegistry, Registry},
};
use roost_devcluster::{Authority, CertificateUse, Cluster, Options};
use roost_proto::{
    internal::{GetStatusRequest, node_agent_service_client::NodeAgentServiceClient},
    v1::DescribeWorkerRequest,
};
use roost_tls::{Advice, CertifiedFiles, ClientTls, Trust, advice, names};
use tonic::{Status, transport::Endpoint};

use crate::node_rpc::stage::{PATIENCE, until};

#[tokio::test]
async fn nodes_answer_the_clusters_coordinators_alone_and_new_certificates_are_taken_without_a_restart()
-> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = Options {
        nodes: 1,
        tenants: 1,
        phones_scan: false,
        lease_ttl: Duration::from_secs(3),
        node_args: ["--engine", "null"].map(str::to_owned).to_vec(),
        tls: true,
        ..Options::new(dir.path().join("state"))
    };
    let mut cluster = Cluster::start(options).await?;
    described(&cluster).await?;
    let tls = cluster.state_dir().join("tls");
    let record = record(&mut cluster, &tls).await?;
    let address =
        record.rpc_address.strip_prefix("https://").context("it says that it is by TLS")?.to_owned();
    let authority = Authority::open(&tls)?;
    let shown = |file: &str, name: &str| -> Result<ClientTls> {
        let own = authority.issue(file, &[name], CertificateUse::Client)?;
        client(&authority, Some(CertifiedFiles { cert: own.cert, key: own.key, own_name: None }))
    };
    ask(&address, shown("another-coordinator", names::COORDINATOR)?).await?;
    ensure!(why(&address, client(&authority, None)?).await? == Advice::WantsCertificate);
    let of_node = why(&address, shown("a-node", "node-1.node.roost")?).await?;
    ensure!(of_node == Advice::Refused("AccessDenied".to_owned()), "{of_node}");
    let secret = cluster.state_dir().join("cluster.secret");
    ensure!(!secret.exists(), "there is no secret where there are certificates");

    // Another authority beside the first one, and its certificate for the node in the old one's place.
    let next = Authority::open(&dir.path().join("next"))?;
    let both = fs::read_to_string(authority.ca_file())? + &fs::read_to_string(next.ca_file())?;
    replace(&tls.join("ca.crt"), both.as_bytes())?;
    let own = next.issue("node-1", &["node-1.node.roost"], CertificateUse::Server)?;
    replace(&tls.join("node-1.key"), &fs::read(own.key)?)?;
    replace(&tls.join("node-1.crt"), &fs::read(own.cert)?)?;
    let coordinators =
        authority.issue("another-coordinator", &[names::COORDINATOR], CertificateUse::Client)?;
    let shown = CertifiedFiles { cert: coordinators.cert, key: coordinators.key, own_name: None };
    let trusting_next = client(&next, Some(shown))?;
    until(async || Ok(ask(&address, trusting_next.clone()).await?)).await?;
    // The coordinator, which was not started anew, makes its next connection by what the files say now.
    cluster.node("node-1")?.kill().await?;
    cluster.start_node("node-1").await?;
    described(&cluster).await?;
    cluster.stop().await?;
    Ok(())
}

/// Whole, as an operator does it.
fn replace(path: &Path, text: &[u8]) -> Result<()> {
    let aside = path.with_extension("new");
    fs::write(&aside, text)?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))?;
    Ok(fs::rename(aside, path)?)
}

fn client(authority: &Authority, own: Option<CertifiedFiles>) -> Result<ClientTls> {
    Ok(ClientTls::open(Trust::Only(authority.ca_file()), own)?)
}

async fn ask(address: &str, tls: ClientTls) -> Result<(), Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").timeout(PATIENCE);
    let channel = roost_tls::channel(&endpoint, tls, names::node("node-1"));
    NodeAgentServiceClient::new(channel).get_status(GetStatusRequest {}).await.map(drop)
}

async fn why(address: &str, tls: ClientTls) -> Result<Advice> {
    match ask(address, tls).await {
        Ok(()) => bail!("it was answered"),
        Err(refused) => advice(&refused).with_context(|| format!("no advice on {refused:?}")),
    }
}

/// The node has told the coordinator of its worker.
async fn described(cluster: &Cluster) -> Result<()> {
    until(async || {
        let request = DescribeWorkerRequest { tenant_id: cluster.tenants()[0].id.clone() };
        let told = cluster.admin().inspection().describe_worker(request).await?.into_inner();
        if told.live.is_some() { Ok(()) } else { bail!("it is {told:?}") }
    })
    .await
}

async fn record(cluster: &mut Cluster, tls: &Path) -> Result<NodeRecord> {
    let etcd = [cluster.etcd().endpoint().to_owned()];
    let access = EtcdAccessArgs {
        etcd_ca_file: Some(tls.join("ca.crt")),
        etcd_cert_file: Some(tls.join("client.crt")),
        etcd_key_file: Some(tls.join("client.key")),
        ..EtcdAccessArgs::default()
    };
    let registry = EtcdRegistry::connect_by(&etcd, "dev", PATIENCE, access.open(&etcd)?).await?;
    let entry = registry.get(&keys::node(&"node-1".parse()?)).await?.context("a record")?;
    Ok(keys::decode(&entry)?)
}
