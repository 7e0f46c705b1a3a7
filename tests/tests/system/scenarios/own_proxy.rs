//! A tenant whose browser goes by a proxy of its own, with credentials, that works, swallows and works again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use roost_proto::v1::{ConditionKind, Proxy, RestartWorkerRequest, Tenant, UpdateTenantRequest, Worker};
use roost_tests::{SOON, Scenario, scenario::processes_that_name};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

const PASSWORD: &str = "open-sesame";
/// "asha:open-sesame" as Basic has it.
const BASIC: &str = "YXNoYTpvcGVuLXNlc2FtZQ==";

/// An HTTP proxy that knows CONNECT. While it swallows it takes connections and lets nothing through, of those that there are either.
struct HttpProxy {
    url: String,
    swallows: watch::Sender<bool>,
    tunnels: Arc<AtomicUsize>,
}

impl HttpProxy {
    async fn serve() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://asha:{PASSWORD}@{}", listener.local_addr()?);
        let (swallows, told) = watch::channel(false);
        let tunnels = Arc::new(AtomicUsize::new(0));
        let opened = tunnels.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut told, opened) = (told.clone(), opened.clone());
                tokio::spawn(async move {
                    let mut swallowed = told.clone();
                    tokio::select! {
                        _ = swallowed.wait_for(|swallows| *swallows) => {}
                        relayed = relay(client, &opened) => return relayed,
                    }
                    // The connection has gone with what was being done to it; a client that comes meanwhile waits.
                    told.wait_for(|swallows| !swallows).await.map(drop).map_err(std::io::Error::other)
                });
            }
        });
        Ok(Self { url, swallows, tunnels })
    }
}

async fn relay(client: TcpStream, opened: &AtomicUsize) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut place, mut knows) = (String::new(), false);
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        match line.trim_end() {
            "" => break,
            line => {
                knows |= line == format!("Proxy-Authorization: Basic {BASIC}");
                if let Some(rest) = line.strip_prefix("CONNECT ") {
                    rest.split(' ').next().unwrap_or_default().clone_into(&mut place);
                }
            }
        }
    }
    if !knows {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    }
    let mut site = TcpStream::connect(place).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    opened.fetch_add(1, Ordering::Relaxed);
    copy_bidirectional(&mut client, &mut site).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_swallows_is_waited_for_costs_no_attempt_and_is_never_gone_around() -> Result<()> {
    let scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    let proxy = HttpProxy::serve().await?;
    let update = |url: String| UpdateTenantRequest {
        tenant: Some(Tenant {
            id: tenant.id.clone(),
            proxy: Some(Proxy { url, has_credentials: false }),
            ..Tenant::default()
        }),
        update_mask: None,
    };
    let admin = scenario.cluster.admin();
    let shown = admin.tenants().update_tenant(update(proxy.url.clone())).await?.into_inner().proxy;
    let shown = shown.unwrap_or_default();
    ensure!(shown.has_credentials && !shown.url.contains(PASSWORD), "{shown:?}");
    scenario.answers(&tenant, "by itself").await?;
    ensure!(proxy.tunnels.load(Ordering::Relaxed) == 0, "a browser that runs stays as it is");
    let restart = RestartWorkerRequest { tenant_id: tenant.id.clone() };
    admin.workers().restart_worker(restart.clone()).await?;
    // The check of the way, and the page's own connections.
    scenario
        .cluster
        .worker_until(&tenant.id, "is connected", SOON, |_| proxy.tunnels.load(Ordering::Relaxed) > 1)
        .await?;
    scenario.cluster.tenant_connected(&tenant.id, SOON).await?;
    scenario.answers(&tenant, "by its proxy").await?;
    ensure!(processes_that_name(PASSWORD)?.is_empty(), "the password is on a command line");

    let connections = async || -> Result<usize> {
        Ok(scenario.cluster.simulator()?.connections().await?.connections.len())
    };
    proxy.swallows.send_replace(true);
    admin.workers().restart_worker(restart).await?;
    let waits = |worker: &Worker| {
        let condition = worker.condition.clone().unwrap_or_default();
        condition.kind() == ConditionKind::WaitingForWhatsapp
            && condition.reason.starts_with("PROXY_UNREACHABLE")
            && worker.last_error.contains("waiting for its proxy")
    };
    scenario.cluster.worker_until(&tenant.id, "waits for its proxy", SOON, waits).await?;
    let before = connections().await?;
    let longer = |worker: &Worker| waits(worker) && worker.last_error.contains("waiting for its proxy for");
    let waiting = scenario.cluster.worker_until(&tenant.id, "tries again", SOON, longer).await?;
    ensure!(!waiting.last_error.contains("attempt"), "{}", waiting.last_error);
    ensure!(connections().await? == before, "the browser has gone around its proxy");

    proxy.swallows.send_replace(false);
    scenario.cluster.tenant_connected(&tenant.id, SOON + Duration::from_secs(60)).await?;
    scenario.answers(&tenant, "by its proxy again").await?;
    for (process, log) in scenario.cluster.logs() {
        let log = std::fs::read_to_string(&log)?;
        ensure!(!log.contains(PASSWORD) && !log.contains(BASIC), "{process} has logged the password");
    }
    scenario.finish().await
}
