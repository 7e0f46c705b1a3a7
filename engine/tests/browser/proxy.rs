//! A browser that goes by its tenant's own proxy, one of SOCKS 5 with a password, which Chromium itself could not use.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use roost_engine::{BrowserSetup, Engine, EngineError, ProxyProblem};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{
    site::Site,
    stage::{DEADLINE, Stage},
};

const PASSWORD: &str = "sesame";

/// Where it was asked to go. It takes the address of a host only as an address: the sites of these tests have one.
#[derive(Clone, Default)]
struct SocksProxy {
    asked: Arc<Mutex<Vec<(std::net::Ipv4Addr, u16)>>>,
    is_shut: Arc<AtomicBool>,
}

impl SocksProxy {
    /// Serves, and answers with its address.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let proxy = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let proxy = proxy.clone();
                tokio::spawn(async move { proxy.relay(client).await });
            }
        });
        place
    }

    async fn relay(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut part = [0; 512];
        let _methods = client.read(&mut part).await?;
        client.write_all(&[5, 2]).await?;
        let read = client.read(&mut part).await?;
        let knows = part[..read].ends_with(PASSWORD.as_bytes());
        client.write_all(&[1, u8::from(!knows)]).await?;
        let mut request = [0; 10];
        client.read_exact(&mut request).await?;
        let [5, 1, 0, 1, a, b, c, d, high, low] = request else { return Ok(()) };
        let place = (std::net::Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]));
        self.asked.lock().push(place);
        if self.is_shut.load(Ordering::Relaxed) {
            return client.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        }
        let mut site = TcpStream::connect(place).await?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        copy_bidirectional(&mut client, &mut site).await.map(drop)
    }
}

fn setup(place: &str, password: &str) -> BrowserSetup {
    let proxy = format!("socks5://asha:{password}@{place}").parse().unwrap();
    BrowserSetup { proxy: Some(proxy), ..BrowserSetup::default() }
}

/// All that it loads goes by the proxy, its websocket too; what is not its site's is not even asked of the proxy; and when the
/// proxy takes it nowhere any more it has no other way.
pub async fn with_a_password() {
    let neighbour = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let script = format!(
        r#"
        const echo = () => new Promise((resolve) => {{
          const socket = new WebSocket(`ws://${{location.host}}/echo`);
          socket.onopen = () => socket.send('hello');
          socket.onmessage = (message) => resolve(message.data);
          socket.onerror = () => resolve('failed');
        }});
        const ask = (url) => fetch(url, {{ mode: 'no-cors', cache: 'no-store' }}).then(() => 'reached', () => 'refused');
        (async () => {{
          tell({{ echo: await echo(), neighbour: await ask('http://{}/') }});
          while (true) {{
            localStorage.setItem('frame', await ask('/frame'));
            localStorage.setItem('echo', await echo());
            await new Promise((resolve) => setTimeout(resolve, 50));
          }}
        }})();"#,
        neighbour.local_addr().unwrap()
    );
    let mut site = Site::serve("127.0.0.2", &script).await;
    let stage = Stage::set(&site.url());
    let proxy = SocksProxy::default();
    let place = proxy.serve().await;
    let launched = stage.launch_as(setup(&place, PASSWORD)).await.unwrap();
    assert_eq!(site.told().await, json!({ "echo": "hello", "neighbour": "refused" }));
    let std::net::IpAddr::V4(address) = site.address.ip() else {
        unreachable!("the site's is an IPv4 address")
    };
    let own = (address, site.address.port());
    assert!(proxy.asked.lock().iter().all(|asked| *asked == own), "{:?}", proxy.asked.lock());
    let command = fs::read(format!("/proc/{}/cmdline", launched.pid.unwrap())).unwrap();
    assert!(!String::from_utf8_lossy(&command).contains(PASSWORD), "it is on no command line");

    proxy.is_shut.store(true, Ordering::Relaxed);
    let is_cut_off = async {
        loop {
            let items = launched.page.local_storage().await.unwrap().items;
            if items.get("echo").is_some_and(|echo| echo == "failed") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, is_cut_off).await.expect("the page goes by no proxy");
    launched.page.kill().await;
}

/// The way is tried, and told what it lacks, without a browser.
pub async fn tried_before() {
    let site = Site::serve("127.0.0.2", "").await;
    let stage = Stage::set(&site.url());
    let proxy = SocksProxy::default();
    let place = proxy.serve().await;
    let tried = async |password| stage.engine().check_way(&setup(&place, password)).await;
    tried(PASSWORD).await.unwrap();
    let Err(refused @ EngineError::Proxy { problem: ProxyProblem::Credentials, .. }) = tried("guessed").await
    else {
        panic!("a wrong password is taken");
    };
    let told = refused.to_string();
    assert!(told.starts_with("PROXY_UNREACHABLE: the proxy socks5://127.0.0.1:"), "{told}");
    assert!(told.contains("--proxy-file") && !told.contains("guessed"), "{told}");
    proxy.is_shut.store(true, Ordering::Relaxed);
    let shut = tried(PASSWORD).await;
    assert!(
        matches!(shut, Err(EngineError::Proxy { problem: ProxyProblem::Refused { .. }, .. })),
        "{shut:?}"
    );
    stage.engine().check_way(&BrowserSetup::default()).await.unwrap();
}
