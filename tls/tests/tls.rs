//! TLS between two sides with certificates from files, which are replaced while they talk.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

mod channels;

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures::StreamExt;
use roost_devcluster::{Authority, CertificateFiles, CertificateUse};
use roost_tls::{
    Accepted, Advice, CertifiedFiles, ClientTls, RpcTlsArgs, ServerTls, TlsFileError, Trust, accept, advice,
    names,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::TcpListenerStream;

const SOON: Duration = Duration::from_secs(10);

struct Stage {
    dir: TempDir,
    authority: Authority,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path()).unwrap();
        Self { dir, authority }
    }

    fn issue(&self, file: &str, names: &[&str], usage: CertificateUse) -> CertifiedFiles {
        certified(self.authority.issue(file, names, usage).unwrap())
    }

    fn server(&self, client_ca: Option<&Path>) -> ServerTls {
        let own = self.issue("server", &["127.0.0.1"], CertificateUse::Server);
        ServerTls::open(own, client_ca.map(Into::into)).unwrap()
    }

    fn trust(&self) -> Trust {
        Trust::Only(self.authority.ca_file())
    }

    fn client(&self, own: Option<CertifiedFiles>) -> ClientTls {
        ClientTls::open(self.trust(), own).unwrap()
    }
}

fn certified(CertificateFiles { cert, key }: CertificateFiles) -> CertifiedFiles {
    CertifiedFiles { cert, key, own_name: None }
}

/// Says back what it is told, to each caller.
async fn echo(tls: ServerTls) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut callers = Box::pin(accept(TcpListenerStream::new(listener), Some(tls)));
        while let Some(caller) = callers.next().await {
            let mut caller: Accepted<TcpStream> = caller.unwrap();
            tokio::spawn(async move {
                let mut said = [0; 1];
                while caller.read_exact(&mut said).await.is_ok() {
                    caller.write_all(&said).await.unwrap();
                }
            });
        }
    });
    addr
}

/// Whether a byte comes back.
async fn ask(tls: &ClientTls, addr: SocketAddr, name: &str) -> io::Result<()> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = timeout(SOON, tls.connect(addr, name)).await.expect("an end")?;
    stream.write_all(b"!").await?;
    let said = timeout(SOON, stream.read_u8()).await.expect("an answer")?;
    assert_eq!(said, b'!');
    Ok(())
}

async fn why(tls: &ClientTls, addr: SocketAddr, name: &str) -> Advice {
    let failed = ask(tls, addr, name).await.expect_err("it was refused");
    advice(&failed).unwrap_or_else(|| panic!("no advice on {failed:?}"))
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_and_under_its_name_alone() {
    let stage = Stage::new();
    let addr = echo(stage.server(None)).await;
    ask(&stage.client(None), addr, "127.0.0.1").await.unwrap();
    let other_name = why(&stage.client(None), addr, "db.internal").await;
    assert!(
        matches!(&other_name, Advice::OtherName { expected, .. } if expected == "db.internal"),
        "{other_name}"
    );
    let stranger = Stage::new();
    assert_eq!(why(&stranger.client(None), addr, "127.0.0.1").await, Advice::NotTrusted);
}

#[tokio::test]
async fn a_server_that_has_ended_or_does_not_speak_tls_is_told_of() {
    let stage = Stage::new();
    let end = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
    let ended = stage.authority.issue_until("server", &["127.0.0.1"], CertificateUse::Server, end).unwrap();
    let tls = ServerTls::open(certified(ended), None).unwrap();
    assert!(tls.warnings()[0].contains("has ended at "), "{:?}", tls.warnings());
    let addr = echo(tls).await;
    assert_eq!(why(&stage.client(None), addr, "127.0.0.1").await, Advice::Ended);

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = plain.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut caller, _) = plain.accept().await.unwrap();
        caller.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        caller.read_to_end(&mut vec![]).await.ok();
    });
    assert_eq!(why(&stage.client(None), addr, "127.0.0.1").await, Advice::NotTls);
}

#[tokio::test]
async fn where_callers_need_a_certificate_nobody_is_let_in_without_one_that_is_signed() {
    let stage = Stage::new();
    let addr = echo(stage.server(Some(&stage.authority.ca_file()))).await;
    assert_eq!(why(&stage.client(None), addr, "127.0.0.1").await, Advice::WantsCertificate);
    let own = stage.issue("asha", &["asha"], CertificateUse::Client);
    ask(&stage.client(Some(own)), addr, "127.0.0.1").await.unwrap();
    let stranger = Stage::new();
    let strangers = stranger.issue("asha", &["asha"], CertificateUse::Client);
    let asked = stage.client(Some(strangers.clone()));
    let refused = why(&asked, addr, "127.0.0.1").await;
    assert!(matches!(refused, Advice::Refused(_)), "{refused}");
    let signed = stage.issue("asha", &["asha"], CertificateUse::Client);
    fs::rename(signed.key, strangers.key).unwrap();
    fs::rename(signed.cert, strangers.cert).unwrap();
    until("the signed one is shown", async || ask(&asked, addr, "127.0.0.1").await.is_ok()).await;
    let servers = stage.issue("other-server", &["asha"], CertificateUse::Server);
    let refused = why(&stage.client(Some(servers)), addr, "127.0.0.1").await;
    assert!(matches!(refused, Advice::Refused(_)), "a server's is no caller's: {refused}");
}

/// What the two sides have agreed upon.
async fn agreed(stage: &Stage, addr: SocketAddr, spoken: &[&str]) -> io::Result<Option<String>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(stage.authority.ca_file()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = spoken.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let agreed = connected.get_ref().1.alpn_protocol();
    Ok(agreed.map(|name| String::from_utf8(name.to_vec()).unwrap()))
}

#[tokio::test]
async fn a_listener_speaks_its_own_protocol_alone_with_the_same_certificate() {
    let stage = Stage::new();
    let server = stage.server(None);
    let (grpc, pages) = (echo(server.clone()).await, echo(server.http1()).await);
    let both = ["h2", "http/1.1"];
    assert_eq!(agreed(&stage, grpc, &both).await.unwrap().as_deref(), Some("h2"));
    assert_eq!(agreed(&stage, pages, &both).await.unwrap().as_deref(), Some("http/1.1"));
    assert_eq!(agreed(&stage, pages, &[]).await.unwrap(), None, "a caller that names none is taken");
    for (addr, other) in [(grpc, "http/1.1"), (pages, "h2")] {
        let refused = agreed(&stage, addr, &[other]).await.unwrap_err();
        assert_eq!(advice(&refused), Some(Advice::Other("NoApplicationProtocol".to_owned())));
    }
}

fn rpc(stage: &Stage, file: &str, names: &[&str], usage: CertificateUse) -> RpcTlsArgs {
    let own = stage.authority.issue(file, names, usage).unwrap();
    RpcTlsArgs {
        rpc_tls_cert_file: Some(own.cert),
        rpc_tls_key_file: Some(own.key),
        rpc_tls_ca_file: Some(stage.authority.ca_file()),
    }
}

#[tokio::test]
async fn a_node_answers_coordinators_alone_and_is_asked_under_its_own_name_alone() {
    let stage = Stage::new();
    let node = rpc(&stage, "n1", &["n1.node.roost"], CertificateUse::Both);
    let coordinator = rpc(&stage, "c1", &["coordinator.roost"], CertificateUse::Client);
    let n1 = names::node("n1").unwrap();
    let addr = echo(node.files().unwrap().node(n1.clone()).unwrap()).await;
    let c1 = coordinator.files().unwrap().coordinator().unwrap();
    ask(&c1, addr, "n1.node.roost").await.unwrap();
    assert!(
        matches!(why(&c1, addr, "n2.node.roost").await, Advice::OtherName { .. }),
        "another node is there"
    );

    // As a node that was taken over would call another one.
    let nodes_own = stage.issue("n1-as-client", &["n1.node.roost"], CertificateUse::Both);
    let refused = why(&stage.client(Some(nodes_own)), addr, "n1.node.roost").await;
    assert_eq!(refused, Advice::Refused("AccessDenied".to_owned()));

    let not_ours = node.files().unwrap().coordinator().unwrap_err();
    assert!(not_ours.to_string().contains("coordinator.roost"), "{not_ours}");
    let not_ours = node.files().unwrap().node(names::node("n2").unwrap()).err().unwrap();
    assert!(matches!(&not_ours, TlsFileError::NotOurs { name, .. } if name == "n2.node.roost"), "{not_ours}");
}

#[tokio::test]
async fn a_caller_that_says_nothing_holds_up_nobody_and_is_given_up() {
    let stage = Stage::new();
    let addr = echo(stage.server(None)).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(addr).await.unwrap());
    }
    let begun = Instant::now();
    ask(&stage.client(None), addr, "127.0.0.1").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    for mut caller in silent {
        let end = timeout(SOON, caller.read(&mut [0; 1])).await.expect("it is closed");
        assert!(!matches!(end, Ok(1..)), "{end:?}");
    }
}

#[tokio::test]
async fn changed_files_are_in_use_for_the_next_connection_and_wrong_ones_change_nothing() {
    let stage = Stage::new();
    let server = stage.server(None);
    let addr = echo(server.clone()).await;
    let before = stage.client(None);
    ask(&before, addr, "127.0.0.1").await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut there = before.connect(addr, name).await.unwrap();

    let next = Stage::new();
    let files = next.authority.issue("next", &["127.0.0.1"], CertificateUse::Server).unwrap();
    let put = |from: &Path, to: &str| {
        let aside = stage.dir.path().join("aside");
        fs::copy(from, &aside).unwrap();
        fs::rename(aside, stage.dir.path().join(to)).unwrap();
    };
    // The certificate alone: it and the key do not belong together.
    put(&files.cert, "server.crt");
    until("it is noticed", async || {
        server.warnings().iter().any(|told| told.contains("do not belong together"))
    })
    .await;
    ask(&before, addr, "127.0.0.1").await.unwrap();
    put(&files.key, "server.key");
    let after = next.client(None);
    until("it is in use", async || ask(&after, addr, "127.0.0.1").await.is_ok()).await;
    assert_eq!(why(&before, addr, "127.0.0.1").await, Advice::NotTrusted);
    assert_eq!(server.warnings(), Vec::<String>::new());

    there.write_all(b"?").await.unwrap();
    assert_eq!(there.read_u8().await.unwrap(), b'?', "a connection that is there stays");
    // The caller's side.
    put(&next.authority.ca_file(), "ca.crt");
    until("the new authority is believed", async || ask(&before, addr, "127.0.0.1").await.is_ok()).await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let stage = Stage::new();
    let own = stage.issue("server", &["127.0.0.1"], CertificateUse::Server);
    let open = |own: CertifiedFiles| ServerTls::open(own, None).err().unwrap();
    let missing = open(CertifiedFiles { cert: "/nowhere/tls.crt".into(), ..own.clone() });
    assert_eq!(missing.to_string(), "cannot read /nowhere/tls.crt");
    let no_pem = open(CertifiedFiles { cert: own.key.clone(), ..own.clone() });
    assert!(matches!(no_pem, TlsFileError::Empty { .. }), "{no_pem}");
    let other = stage.issue("other", &["127.0.0.1"], CertificateUse::Server);
    let mismatch = open(CertifiedFiles { cert: other.cert, ..own.clone() });
    assert!(mismatch.to_string().ends_with("do not belong together"), "{mismatch}");
    let mut mode = fs::metadata(&own.key).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    fs::set_permissions(&own.key, mode).unwrap();
    let told = open(own).to_string();
    assert!(told.contains("open to others (mode 0644)") && told.contains("chmod 600"), "{told}");
}

#[tokio::test]
async fn the_end_of_a_certificate_is_told_until_it_is_replaced() {
    let stage = Stage::new();
    let end = time::OffsetDateTime::now_utc() + time::Duration::days(3) + time::Duration::hours(1);
    let files = stage.authority.issue_until("server", &["127.0.0.1"], CertificateUse::Server, end).unwrap();
    let tls = ServerTls::open(certified(files), None).unwrap();
    let told = tls.warnings();
    assert!(told.len() == 1 && told[0].contains("server.crt ends in 3 days"), "{told:?}");
    stage.authority.issue("server", &["127.0.0.1"], CertificateUse::Server).unwrap();
    until("it is replaced", async || tls.warnings().is_empty()).await;
}
