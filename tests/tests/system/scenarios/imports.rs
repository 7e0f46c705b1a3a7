//! Businesses that come over from whatsapp-web.js: their bots are stopped, their profiles imported, and nobody scans again.

#![allow(clippy::print_stdout, reason = "what operators are told is printed, as the documentation shows it")]

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use roost_devcluster::{
    Cluster, Options, Simulator, TenantRecord, browser, demo_tenant, product, wait_until,
};
use roost_proto::v1::{
    BusinessTexts, CreateTenantRequest, EventKind, GetSessionRequest, ImportSessionRequest,
    ListEventsRequest, ProfileDescription, ProfileFile, Session, SessionStatus, StartWorkerRequest, Tenant,
    Worker, import_session_request::Part, import_session_response::Part as Answer,
};
use roost_simulator::Hardness;
use roost_tests::{Conversation, SOON, bots::Bots, judge, scenario::processes_that_name};
use tempfile::TempDir;
use tokio::process::Command;
use tonic::{Code, Status};

/// Where bots and browsers find the simulator in the place of the real site.
struct Site {
    server: roost_simulator::Simulator,
    phones: Simulator,
}

impl Site {
    fn start() -> Result<Self> {
        let any = "127.0.0.1:0".parse()?;
        let (timing, hardness) = (roost_simulator::Timing::default(), Hardness::default().hard());
        let config = roost_simulator::Config { http: any, tls: any, timing, hardness };
        let server = roost_simulator::Simulator::start(&config)?;
        let phones = Simulator::new(&server.http_url())?;
        Ok(Self { server, phones })
    }

    /// A browser to which it is https://web.whatsapp.com, as the bots' browsers are told by their own flags.
    fn browser(&self, dir: &Path) -> Result<PathBuf> {
        let command = dir.join("browser-with-the-site");
        let port = self.server.tls_addr().port();
        let script = format!(
            "#!/bin/sh\nexec '{}' \"$@\" '--host-resolver-rules=MAP web.whatsapp.com:443 127.0.0.1:{port}' \
             --ignore-certificate-errors\n",
            browser()?.display()
        );
        fs::write(&command, script)?;
        fs::set_permissions(&command, Permissions::from_mode(0o755))?;
        Ok(command)
    }
}

struct Stage {
    cluster: Cluster,
    site: Site,
    dir: TempDir,
}

impl Stage {
    /// A cluster for the real site's address, with these tenants, whose workers are stopped.
    async fn set(tenants: &[TenantRecord]) -> Result<Self> {
        let dir = TempDir::with_prefix("roost-imports-")?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
        let site = Site::start()?;
        // The node's own look at the site needs an open port; its browsers are told to ask nobody.
        let proxy = format!("http://{}", site.server.tls_addr());
        let environment: Vec<(OsString, OsString)> =
            [("https_proxy", proxy.as_str()), ("no_proxy", "web.whatsapp.com")]
                .map(|(name, value)| (name.into(), value.into()))
                .to_vec();
        let command = site.browser(dir.path())?;
        let mut options = Options::new(dir.path().join("state"));
        (options.nodes, options.tenants, options.phones_scan) = (2, 0, false);
        options.page_url = Some("https://web.whatsapp.com".into());
        for node in ["node-1", "node-2"] {
            options.node_env.insert(node.into(), environment.clone());
            options.browsers.insert(node.into(), command.clone());
        }
        let cluster = Cluster::start(options).await?;
        for TenantRecord { id, name, phone } in tenants {
            let texts = BusinessTexts { fallback: "echo: {message}".into(), ..Default::default() };
            let tenant = Tenant {
                display_name: name.clone(),
                phone: phone.clone(),
                texts: Some(texts),
                reply_limit_per_minute: Some(0),
                ..Default::default()
            };
            let create = CreateTenantRequest { tenant: Some(tenant), tenant_id: id.clone() };
            cluster.admin().tenants().create_tenant(create).await?;
        }
        Ok(Self { cluster, site, dir })
    }

    async fn bots(&self, tenants: &[TenantRecord]) -> Result<Bots> {
        let tls = self.site.server.tls_addr().to_string();
        Bots::start(tenants.to_vec(), &browser()?, &self.site.server.http_url(), &tls).await
    }

    fn conversation(&self, tenant: &TenantRecord) -> Conversation {
        Conversation::new(self.site.phones.clone(), tenant)
    }

    async fn roost(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(product("roost")?);
        command.args(args).env_clear().env("ROOST_ADDR", self.cluster.admin().address()).env("USER", "asha");
        command.arg("--token-file").arg(self.cluster.token_file()).kill_on_drop(true);
        Ok(command.output().await?)
    }

    /// What is said on success.
    async fn done(&self, args: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = self.roost(args).await?;
        let (out, err) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
        ensure!(status.success(), "{args:?}: {out}{err}");
        Ok(out + &err)
    }

    /// What is said on refusal.
    async fn refused(&self, args: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = self.roost(args).await?;
        let (out, err) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
        ensure!(status.code() == Some(1), "{args:?} was not refused: {out}{err}");
        Ok(out + &err)
    }

    async fn session(&self, tenant: &TenantRecord) -> Result<Session> {
        let request = GetSessionRequest { tenant_id: tenant.id.clone() };
        Ok(self.cluster.admin().sessions().get_session(request).await?.into_inner())
    }

    async fn start(&self, tenant: &TenantRecord) -> Result<Worker> {
        let start = StartWorkerRequest { tenant_id: tenant.id.clone() };
        self.cluster.admin().workers().start_worker(start).await?;
        let connected = |worker: &Worker| worker.session_status() == SessionStatus::Connected;
        // Whoever asks for a scan is never answered here.
        Ok(self.cluster.worker_until(&tenant.id, "is connected without a scan", SOON, connected).await?)
    }

    async fn finish(self) -> Result<()> {
        let Self { cluster, site, dir } = self;
        judge::never_two_browsers(&site.phones.connections().await?)?;
        let logs = cluster.logs();
        cluster.stop().await?;
        site.server.stop().await;
        judge::no_error_was_logged(&logs, &[])?;
        let left = processes_that_name(&dir.path().display().to_string())?;
        ensure!(left.is_empty(), "processes are left: {left:#?}");
        dir.close().context("removing the directory")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bots_of_whatsapp_web_js_come_over_without_a_scan_and_the_messages_of_the_gap_are_answered_once()
-> Result<()> {
    let tenants: Vec<_> = (0..2).map(demo_tenant).collect();
    let stage = Stage::set(&tenants).await?;
    let mut bots = stage.bots(&tenants).await?;
    let mut conversations: Vec<_> = tenants.iter().map(|tenant| stage.conversation(tenant)).collect();
    for conversation in &mut conversations {
        conversation.say(1).await?;
        conversation.settle(SOON).await?;
    }
    let sessions = bots.dir().to_owned();
    let of_first = sessions.join(&tenants[0].id);

    let live = stage.refused(&["session", "import", &tenants[0].id, text(&of_first)]).await?;
    ensure!(live.contains("is in use by process ") && live.contains("stop the bot first"), "{live}");
    let all_live = stage.refused(&["session", "import", "--all", text(&sessions), "--plan"]).await?;
    ensure!(all_live.contains("0 to import, 0 done before, 2 failed"), "{all_live}");

    bots.stop().await?;
    for conversation in &mut conversations {
        for _ in 0..4 {
            conversation.say(2).await?;
        }
    }
    let planned = stage.done(&["session", "import", "--all", text(&sessions), "--plan"]).await?;
    ensure!(planned.contains("2 to import, 0 done before, 0 failed; nothing was done"), "{planned}");
    let import = ["session", "import", "--all", text(&sessions), "--reason", "off the old box"];
    let imported = stage.done(&import).await?;
    ensure!(imported.contains("2 imported, 0 done before, 0 failed"), "{imported}");
    let again = stage.done(&import).await?;
    ensure!(again.contains("0 imported, 2 done before, 0 failed"), "{again}");

    println!("{planned}{imported}{again}");

    for tenant in &tenants {
        let session = stage.session(tenant).await?;
        ensure!(session.import_time.is_some() && session.snapshot_time.is_some(), "{session:?}");
        stage.start(tenant).await?;
    }
    for conversation in &mut conversations {
        conversation.settle(SOON).await?;
        conversation.say(2).await?;
        conversation.settle(SOON).await?;
    }
    let while_it_runs = stage.done(&["session", "import", &tenants[0].id, text(&of_first)]).await?;
    ensure!(while_it_runs.contains("DONE_BEFORE"), "{while_it_runs}");
    let request = ListEventsRequest { page_size: 100, ..Default::default() };
    let events = stage.cluster.admin().cluster().list_events(request).await?.into_inner().events;
    let told: Vec<_> = events.iter().filter(|event| event.kind() == EventKind::SessionImported).collect();
    ensure!(told.len() == 2 && told.iter().all(|event| event.requested_by == "asha"), "{told:?}");
    drop(bots);
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_foreign_torn_or_of_a_tenant_that_runs_is_refused_with_what_to_do() -> Result<()> {
    let tenant = demo_tenant(0);
    let stage = Stage::set(std::slice::from_ref(&tenant)).await?;
    let import = async |dir: &Path| stage.refused(&["session", "import", &tenant.id, text(dir)]).await;
    let profile = stage.dir.path().join("bot/session");
    let site = profile.join("Default/IndexedDB/http_127.0.0.1_8080.indexeddb.leveldb");
    fs::create_dir_all(&site)?;
    let foreign = import(&profile).await?;
    // No database without a file.
    ensure!(foreign.contains("has sessions of no site"), "{foreign}");
    fs::write(site.join("CURRENT"), "MANIFEST-000001\n")?;
    let foreign = import(&profile).await?;
    for said in ["http_127.0.0.1_8080", "https://web.whatsapp.com"] {
        ensure!(foreign.contains(said), "{foreign}");
    }

    let own = profile.join("Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb");
    for dir in [&own, &profile.join("Default/Local Storage/leveldb")] {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("CURRENT"), "MANIFEST-000001\n")?;
        fs::write(dir.join("MANIFEST-000001"), "no manifest at all")?;
    }
    let torn = import(&profile).await?;
    ensure!(torn.contains("is not whole") && torn.contains("copy the profile anew"), "{torn}");
    fs::remove_file(own.join("MANIFEST-000001"))?;
    let torn = import(&profile).await?;
    ensure!(torn.contains("it has no MANIFEST-000001"), "{torn}");
    let nobody = stage.refused(&["session", "import", "nobody", text(&profile)]).await?;
    ensure!(nobody.contains("there is no tenant \"nobody\""), "{nobody}");

    breaks_off(&stage, &tenant).await?;

    let start = StartWorkerRequest { tenant_id: tenant.id.clone() };
    stage.cluster.admin().workers().start_worker(start).await?;
    let running = import(&profile).await?;
    ensure!(running.contains("its worker is to run; stop it first"), "{running}");
    ensure!(stage.session(&tenant).await?.import_time.is_none());
    let ready = |worker: &Worker| worker.session_status() == SessionStatus::QrReady;
    stage.cluster.worker_until(&tenant.id, "shows a code", SOON, ready).await?;
    let Stage { cluster, site, dir } = stage;
    cluster.stop().await?;
    site.server.stop().await;
    dir.close().context("removing the directory")
}

/// A caller that leaves in the midst of a file, and one that does not keep to what is described.
async fn breaks_off(stage: &Stage, tenant: &TenantRecord) -> Result<()> {
    let profile = Part::Profile(ProfileDescription {
        tenant_id: tenant.id.clone(),
        databases: vec!["https_web.whatsapp.com_0".into()],
        digest: "0f".repeat(32),
        ..Default::default()
    });
    let path = "Default/Local Storage/leveldb/CURRENT".to_owned();
    let file = Part::File(ProfileFile { path, size_bytes: 100 });
    let request = |part: &Part| ImportSessionRequest { part: Some(part.clone()) };
    let mut sessions = stage.cluster.admin().sessions();
    let sent = stream::iter([request(&profile), request(&file)]).chain(stream::pending());
    let mut answers = sessions.import_session(sent).await?.into_inner();
    let accepted = answers.message().await?.and_then(|answer| answer.part);
    ensure!(matches!(accepted, Some(Answer::Accepted(_))), "{accepted:?}");
    let received = || files_in_imports(&stage.dir.path().join("state"));
    wait_until("the file's beginning has come", SOON, || async { received() == 1 }).await?;
    drop(answers);
    wait_until("what has come is gone", SOON, || async { received() == 0 }).await?;
    ensure!(stage.session(tenant).await?.import_time.is_none());

    for (parts, said) in [
        (vec![file.clone()], "profile: is required, and comes first"),
        (vec![profile.clone(), Part::Content(vec![1])], "before any file"),
        (vec![profile.clone(), file], "broke off before its end; nothing was imported"),
    ] {
        let parts: Vec<_> = parts.iter().map(request).collect();
        // The last one ends there; the others are refused before they go on.
        let goes_on = !said.contains("broke off");
        let parts = stream::iter(parts).chain(stream::pending().take_until(async move {
            if goes_on {
                std::future::pending::<()>().await;
            }
        }));
        let refused = async {
            let mut answers = sessions.import_session(parts).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok::<(), Status>(())
        };
        let refused = refused.await.err().context("it was taken")?;
        ensure!(refused.code() == Code::InvalidArgument && refused.message().contains(said), "{refused:?}");
    }
    wait_until("nothing is left", SOON, || async { received() == 0 }).await?;
    Ok(())
}

fn files_in_imports(state: &Path) -> usize {
    fn files(dir: &Path) -> usize {
        let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
    }
    ["node-1", "node-2"].iter().map(|node| files(&state.join("nodes").join(node).join("imports"))).sum()
}
