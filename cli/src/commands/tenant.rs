//! `roost tenant`

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use prost_types::FieldMask;
use roost_proto::v1::{
    CreateTenantRequest, DeleteTenantRequest, GetTenantRequest, ListTenantsRequest, ResendPolicy,
    StartWorkerRequest, Tenant, TenantStatus, UpdateTenantRequest,
};

use super::{
    Context, all_pages,
    attribution::Attribution,
    browser_settings::BrowserArgs,
    consent::Consent,
    fleet::Workers,
    labels::{Entry, Selection},
    limits::LimitArgs,
    place,
    proxy_file::ProxyArgs,
    restart_schedule::RestartArgs,
    timing::TimingArgs,
    words::Words,
};
use crate::{
    choices::{OwnLogLevel, ResendChoice, own_log_level},
    failure::Failure,
    views::TenantView,
};

#[derive(Debug, Subcommand)]
pub enum TenantVerb {
    /// Creates a tenant; its worker is stopped until `roost worker start`.
    Create {
        /// 1 to 63 of a-z, 0-9 and '-'; chosen by the coordinator when left out.
        id: Option<String>,
        /// Start its worker, too.
        #[arg(long)]
        start: bool,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Shows a tenant with its texts.
    Get { id: String },
    /// Lists tenants by id.
    List {
        /// Only tenants in this status.
        #[arg(long, value_enum)]
        status: Option<StatusArg>,
        #[command(flatten)]
        selection: Selection,
        /// At most this many.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Changes the settings that are given, of one tenant, or of many, a few at a time, as an operation that can be undone (roost operation
    /// undo); a running worker uses them from its next message on, and its browser those that are its own from its next start on
    /// (roost worker restart).
    Update {
        #[command(flatten)]
        tenants: Box<Workers>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Moves a tenant to a node and waits for the end. Ctrl-C ends the waiting and not the move.
    Move(place::Move),
    /// Lets the tenant be on this node only.
    Pin {
        id: String,
        node: String,
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Lets the tenant be on any node again; it stays where it is.
    Unpin {
        id: String,
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Stops the worker and removes everything the tenant has, its session included. Asks first.
    Delete {
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
}

/// An option that is not given is not changed; a text given as "" is the template's own again.
#[derive(Debug, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    words: Words,
    /// The WhatsApp number: '+' and 8 to 15 digits.
    #[arg(long)]
    phone: Option<String>,
    /// Replies in any 60 seconds, up to 10000; 0 lifts the limit.
    #[arg(long, value_name = "N")]
    reply_limit: Option<i32>,
    /// What was written longer ago when it comes is not answered, such as 24h; 1m to 7d.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    answer_within: Option<Duration>,
    /// What becomes of a reply that may have been sent already, after a crash or a restore.
    #[arg(long, value_enum)]
    resend_policy: Option<ResendChoice>,
    #[command(flatten)]
    restart: RestartArgs,
    /// QR codes that are shown in a row without a scan before its browser is closed, up to 10000; 0 shows them without an end,
    /// default is what its node says.
    #[arg(long, value_name = "N", value_parser = rotations)]
    qr_rotations: Option<Rotations>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    browser: BrowserArgs,
    #[command(flatten)]
    proxy: ProxyArgs,
    #[command(flatten)]
    timing: TimingArgs,
    /// What is written in its worker's log: trace, debug, info, warn or error and above; default is what its node logs.
    #[arg(long, value_name = "LEVEL", value_parser = own_log_level)]
    log_level: Option<OwnLogLevel>,
    /// A label, by which tenants are chosen; NAME- removes it. May be given again.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = Entry::parse)]
    labels: Vec<Entry>,
    /// Anything that is to be kept with the tenant; NAME- removes it. May be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = Entry::parse)]
    metadata: Vec<Entry>,
}

/// None as the node says.
#[derive(Debug, Clone, Copy)]
struct Rotations(Option<i32>);

fn rotations(given: &str) -> Result<Rotations, String> {
    match given {
        "default" => Ok(Rotations(None)),
        number => number
            .parse()
            .map(|codes| Rotations(Some(codes)))
            .map_err(|_| "takes a number, or default".into()),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StatusArg {
    New,
    QrPending,
    Active,
    Paused,
    Error,
}

impl From<StatusArg> for TenantStatus {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::New => TenantStatus::New,
            StatusArg::QrPending => TenantStatus::QrPending,
            StatusArg::Active => TenantStatus::Active,
            StatusArg::Paused => TenantStatus::Paused,
            StatusArg::Error => TenantStatus::Error,
        }
    }
}

impl TenantVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create { id, start, settings } => {
                create(context, id.unwrap_or_default(), start, *settings).await
            }
            Self::Get { id } => {
                let tenant =
                    context.admin()?.tenants().get_tenant(GetTenantRequest { id }).await?.into_inner();
                context.output.one(&TenantView::from(tenant))
            }
            Self::List { status, selection, limit } => list(context, status, selection, limit).await,
            Self::Update { tenants, settings } => match tenants.tenant.clone() {
                Some(id) => update(context, id, *settings).await,
                None => update_many(context, *tenants, *settings).await,
            },
            Self::Move(order) => order.run(context).await,
            Self::Pin { id, node, attribution } => place::pin(context, id, node, attribution).await,
            Self::Unpin { id, attribution } => place::unpin(context, id, attribution).await,
            Self::Delete { id, consent } => delete(context, id, consent).await,
        }
    }
}

async fn create(context: &mut Context, id: String, start: bool, settings: Settings) -> Result<(), Failure> {
    let admin = context.admin()?;
    let (tenant, _) = settings.into_tenant(String::new(), Tenant::default())?;
    let request = CreateTenantRequest { tenant: Some(tenant), tenant_id: id };
    let tenant = admin.tenants().create_tenant(request).await?.into_inner();
    if start {
        admin.workers().start_worker(StartWorkerRequest { tenant_id: tenant.id.clone() }).await?;
    }
    context.output.one(&TenantView::from(tenant))
}

async fn list(
    context: &mut Context,
    status: Option<StatusArg>,
    selection: Selection,
    limit: Option<usize>,
) -> Result<(), Failure> {
    let admin = context.admin()?;
    let status = status.map_or(TenantStatus::Unspecified, TenantStatus::from) as i32;
    let tenants = all_pages(limit, |page_size, page_token| {
        let mut client = admin.tenants();
        let selector = selection.selector.clone();
        async move {
            let request = ListTenantsRequest { page_size, page_token, status, selector };
            let page = client.list_tenants(request).await?.into_inner();
            Ok((page.tenants, page.next_page_token))
        }
    });
    let rows: Vec<_> = tenants.await?.into_iter().map(TenantView::from).collect();
    context.output.list(&rows)
}

async fn update(context: &mut Context, id: String, settings: Settings) -> Result<(), Failure> {
    let mut client = context.admin()?.tenants();
    let present = client.get_tenant(GetTenantRequest { id: id.clone() }).await?.into_inner();
    let (tenant, paths) = settings.into_tenant(id, present)?;
    let mut paths: Vec<String> = some_of(paths)?.into_iter().map(whole).collect();
    // Those of one field are beside each other.
    paths.dedup();
    let is_for_next_browser = paths.iter().any(|path| is_for_next_browser(path));
    let request = UpdateTenantRequest { tenant: Some(tenant), update_mask: Some(FieldMask { paths }) };
    let tenant = client.update_tenant(request).await?.into_inner();
    if is_for_next_browser {
        context
            .output
            .note(&format!("a browser that runs stays as it is until: roost worker restart {}", tenant.id));
    }
    context.output.one(&TenantView::from(tenant))
}

async fn update_many(context: &mut Context, tenants: Workers, settings: Settings) -> Result<(), Failure> {
    let (tenant, paths) = settings.into_tenant(String::new(), Tenant::default())?;
    let paths = some_of(paths)?;
    let restart = (!tenants.plan && paths.iter().any(|path| is_for_next_browser(path))).then(|| {
        format!("browsers that run stay as they are until: roost worker restart {}", tenants.options())
    });
    tenants.update(context, (tenant, paths)).await?;
    restart.iter().for_each(|note| context.output.note(note));
    Ok(())
}

fn some_of(paths: Vec<String>) -> Result<Vec<String>, Failure> {
    if paths.is_empty() {
        let why = "nothing to change; give at least one setting (see roost tenant update --help)";
        return Err(Failure::Refused(why.into()));
    }
    Ok(paths)
}

/// The field of an entry that is not changed alone in an update of one tenant: the others of the field are as they were.
pub(super) fn whole(path: String) -> String {
    match path.split_once('.') {
        Some((field @ ("texts" | "browser" | "timing"), _)) => field.to_owned(),
        _ => path,
    }
}

fn is_for_next_browser(path: &str) -> bool {
    path == "proxy" || path == "browser" || path.starts_with("browser.")
}

async fn delete(context: &mut Context, id: String, consent: Consent) -> Result<(), Failure> {
    consent.obtain(&format!("delete tenant {id} with its session, messages and settings"))?;
    context.admin()?.tenants().delete_tenant(DeleteTenantRequest { id: id.clone() }).await?;
    context.output.note(&format!("tenant {id} is deleted; its messages are being removed"));
    Ok(())
}

impl Settings {
    /// The tenant with what was given, and the update mask of it, entry by entry. The API changes one tenant's texts, restart schedule,
    /// browser's settings and worker's timing as a whole, hence `present`: what is not given of them stays as it is.
    fn into_tenant(self, id: String, present: Tenant) -> Result<(Tenant, Vec<String>), Failure> {
        let (said, of_words) = self.words.over(present.texts.unwrap_or_default())?;
        let given = [
            ("phone", self.phone.is_some()),
            ("reply_limit_per_minute", self.reply_limit.is_some()),
            ("answer_within", self.answer_within.is_some()),
            ("resend_policy", self.resend_policy.is_some()),
            ("restart_schedule", self.restart.is_given()),
            ("qr_rotations", self.qr_rotations.is_some()),
            ("proxy", self.proxy.is_given()),
            ("log_level", self.log_level.is_some()),
        ];
        let entries = self.browser.paths().into_iter().chain(self.timing.paths());
        let given = given.into_iter().chain(entries).chain(self.limits.paths());
        let given = given.filter(|(_, is_given)| *is_given).map(|(path, _)| path);
        let mut paths: Vec<_> = of_words.into_iter().chain(given).map(str::to_owned).collect();
        let mut tenant = Tenant {
            id,
            display_name: said.display_name,
            phone: self.phone.unwrap_or_default(),
            template: said.template,
            language: said.language,
            texts: said.texts,
            reply_limit_per_minute: self.reply_limit,
            answer_within: self.answer_within.and_then(|span| span.try_into().ok()),
            resend_policy: self.resend_policy.map_or(ResendPolicy::Unspecified, ResendPolicy::from) as i32,
            restart_schedule: self.restart.over(present.restart_schedule),
            browser: self.browser.over(present.browser),
            timing: self.timing.over(present.timing),
            qr_rotations: self.qr_rotations.and_then(|Rotations(codes)| codes),
            proxy: self.proxy.read()?,
            log_level: self.log_level.and_then(OwnLogLevel::to_wire),
            ..self.limits.into_tenant()
        };
        let entries = [("labels", self.labels), ("metadata", self.metadata)];
        for (field, entries) in entries {
            paths.extend(entries.iter().map(|entry| format!("{field}.{}", entry.name)));
            let given = entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            if field == "labels" { &mut tenant.labels } else { &mut tenant.metadata }.extend(given);
        }
        Ok((tenant, paths))
    }
}
