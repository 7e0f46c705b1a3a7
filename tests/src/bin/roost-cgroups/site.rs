//! What the scenarios share: the tenants of the guest's node, their phones, and how to ask after them.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use roost_devcluster::{Phones, Simulator, TenantRecord, demo_tenant, is_connected, wait_until};
use roost_proto::{
    client::Admin,
    v1::{
        BusinessTexts, CreateTenantRequest, DescribeWorkerRequest, EventKind, GetWorkerRequest, Language,
        ListEventsRequest, LiveBrowser, StartWorkerRequest, Template, Tenant, UpdateTenantRequest, Worker,
    },
};
use serde_json::{Value, json};

use crate::group::Group;

/// What any step may take on a machine that is emulated.
pub const SOON: Duration = Duration::from_secs(300);
const TENANTS: usize = 4;
pub const UNIT: &str = "roost-node";

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    simulator: String,
    #[arg(long)]
    admin: String,
    #[arg(long)]
    token_file: PathBuf,
}

pub struct Site {
    admin: Admin,
    pub simulator: Simulator,
    tenants: Vec<TenantRecord>,
    token_file: PathBuf,
    /// They scan by themselves for as long as they are held.
    _phones: Phones,
}

impl Site {
    /// Echoing tenants without a limit of replies, all connected.
    pub async fn start(args: &Args) -> Result<Self> {
        let token = std::fs::read_to_string(&args.token_file).context("the token")?;
        let admin = Admin::new(&args.admin, token.trim())?;
        let simulator = Simulator::new(&args.simulator)?;
        let tenants: Vec<_> = (0..TENANTS).map(demo_tenant).collect();
        for record in &tenants {
            create(&admin, record).await?;
        }
        let _phones = Phones::watch(&admin, &simulator, &tenants);
        Ok(Self { admin, simulator, tenants, token_file: args.token_file.clone(), _phones })
    }

    /// The one that does harm.
    pub fn offender(&self) -> &TenantRecord {
        &self.tenants[0]
    }

    pub fn neighbours(&self) -> &[TenantRecord] {
        &self.tenants[1..]
    }

    /// Every tenant is connected, and nothing is left of what a scenario before has ordered.
    pub async fn recovered(&self) -> Result<()> {
        self.harm(json!({ "leak_mib_per_s": 0, "spin_threads": 0 })).await?;
        self.limit(Tenant {
            memory_limit_bytes: Some(512 << 20),
            cpu_limit_millicores: Some(0),
            process_limit: Some(64),
            ..Tenant::default()
        })
        .await?;
        for tenant in &self.tenants {
            self.until(&format!("{} is connected", tenant.id), SOON, async |site: &Self| {
                Ok(is_connected(&site.worker(tenant).await?))
            })
            .await?;
        }
        Ok(())
    }

    /// What the offender's page does from now on, by the names of the simulator's settings.
    pub async fn harm(&self, settings: Value) -> Result<()> {
        Ok(self.simulator.harden(Some(&self.offender().phone), settings).await?)
    }

    /// The offender's limits.
    pub async fn limit(&self, limits: Tenant) -> Result<()> {
        let tenant = Some(Tenant { id: self.offender().id.clone(), ..limits });
        let request = UpdateTenantRequest { tenant, update_mask: None };
        self.admin.tenants().update_tenant(request).await?;
        Ok(())
    }

    pub async fn worker(&self, tenant: &TenantRecord) -> Result<Worker> {
        let request = GetWorkerRequest { tenant_id: tenant.id.clone() };
        Ok(self.admin.workers().get_worker(request).await?.into_inner())
    }

    pub async fn browser(&self, tenant: &TenantRecord) -> Result<LiveBrowser> {
        let request = DescribeWorkerRequest { tenant_id: tenant.id.clone() };
        let described = self.admin.inspection().describe_worker(request).await?.into_inner();
        described.live.and_then(|live| live.browser).with_context(|| format!("{} has no browser", tenant.id))
    }

    /// The control group that this tenant's browser is in.
    pub async fn group(&self, tenant: &TenantRecord) -> Result<Group> {
        Group::of(self.browser(tenant).await?.pid)
    }

    /// What an operator reads of it.
    pub fn described(&self, tenant: &TenantRecord) -> Result<String> {
        let mut roost = Command::new("roost");
        roost.args(["--addr", self.admin.address(), "--token-file"]).arg(&self.token_file);
        said_by(roost.args(["worker", "describe", &tenant.id]))
    }

    /// Waits until the offender's worker says that its last error was such.
    pub async fn reason_with(&self, text: &str) -> Result<String> {
        let told = parking_lot::Mutex::new(String::new());
        self.until(&format!("last_error has {text:?}"), SOON, async |site: &Self| {
            *told.lock() = site.worker(site.offender()).await?.last_error;
            Ok(told.lock().contains(text))
        })
        .await?;
        Ok(told.into_inner())
    }

    /// The last event of this kind about the offender, if it is later than `after`; its id and its text.
    pub async fn event(&self, kind: EventKind, after: i64) -> Result<Option<(i64, String)>> {
        let events = self.events().await?.into_iter();
        let found =
            events.filter(|event| event.kind() == kind && event.id > after).max_by_key(|event| event.id);
        Ok(found.map(|event| (event.id, event.text)))
    }

    /// The id of the last event about the offender.
    pub async fn last_event(&self) -> Result<i64> {
        Ok(self.events().await?.iter().map(|event| event.id).max().unwrap_or(0))
    }

    async fn events(&self) -> Result<Vec<roost_proto::v1::Event>> {
        let request =
            ListEventsRequest { tenant_id: self.offender().id.clone(), ..ListEventsRequest::default() };
        Ok(self.admin.cluster().list_events(request).await?.into_inner().events)
    }

    /// Waits until it holds; an error is taken for a no, and told if it is the last.
    pub async fn until(
        &self,
        what: &str,
        within: Duration,
        holds: impl AsyncFn(&Self) -> Result<bool>,
    ) -> Result<()> {
        let last = parking_lot::Mutex::new(None);
        let looks = || async {
            let found = holds(self).await;
            let is_so = matches!(found, Ok(true));
            *last.lock() = found.err();
            is_so
        };
        match wait_until(what, within, looks).await {
            Ok(()) => Ok(()),
            Err(late) => match last.into_inner() {
                Some(error) => Err(error.context(late)),
                None => Err(late.into()),
            },
        }
    }

    pub async fn standing(&self) -> Result<Standing> {
        let mut restarts = Vec::new();
        for tenant in self.neighbours() {
            restarts.push(self.worker(tenant).await?.restarts);
        }
        let node = said_by(Command::new("systemctl").args(["show", "--property=MainPID,NRestarts", UNIT]))?;
        Ok(Standing { node, restarts })
    }
}

/// What is the same before and after, whatever one tenant does.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    /// The process of the unit, and how often systemd has started it anew.
    node: String,
    /// Of each neighbour.
    restarts: Vec<i64>,
}

impl Standing {
    pub async fn is_kept(&self, site: &Site) -> Result<()> {
        let now = site.standing().await?;
        ensure!(*self == now, "the node or a neighbour was restarted: {self:?} became {now:?}");
        for tenant in site.neighbours() {
            let worker = site.worker(tenant).await?;
            ensure!(is_connected(&worker), "{} is not connected: {}", tenant.id, worker.last_error);
        }
        Ok(())
    }
}

/// Runs a command beside this program, with systemd for its parent.
pub fn in_a_unit(options: &[&str], command: &[&str]) -> Result<()> {
    said_by(Command::new("systemd-run").args(["--quiet", "--collect"]).args(options).args(command)).map(drop)
}

pub fn said_by(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, errors.trim());
    Ok(String::from_utf8(output.stdout)?)
}

async fn create(admin: &Admin, record: &TenantRecord) -> Result<()> {
    let texts = BusinessTexts { fallback: "echo: {message}".into(), ..BusinessTexts::default() };
    let tenant = Tenant {
        display_name: record.name.clone(),
        phone: record.phone.clone(),
        template: Template::Support as i32,
        language: Language::En as i32,
        texts: Some(texts),
        reply_limit_per_minute: Some(0),
        ..Tenant::default()
    };
    let request = CreateTenantRequest { tenant_id: record.id.clone(), tenant: Some(tenant) };
    // A new database is migrated after the coordinator has begun to listen.
    let created = || async { admin.tenants().create_tenant(request.clone()).await.is_ok() };
    wait_until(&format!("{} is created", record.id), SOON, created).await?;
    let request = StartWorkerRequest { tenant_id: record.id.clone() };
    admin.workers().start_worker(request).await?;
    Ok(())
}
