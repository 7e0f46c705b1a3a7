//! `roost session import`: sessions of whatsapp-web.js, taken over without a scan.

mod fleet;
mod send;

use std::path::PathBuf;

use super::{Context, attribution::Attribution, consent::Consent};
use crate::failure::Failure;
use send::Sender;

#[derive(Debug, clap::Args)]
pub struct Import {
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    tenant: Option<String>,
    /// Its bot's profile: LocalAuth's dataPath, or the directory `session` or `session-CLIENTID` in it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    dir: Option<PathBuf>,
    /// Every tenant of whom there is a profile in this directory, as TENANT/session or session-TENANT.
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
    /// Only say what would be done.
    #[arg(long)]
    plan: bool,
    /// Also where the tenant has a session, which is lost. Asks first.
    #[arg(long)]
    replace: bool,
    /// With --all: so many at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    max_concurrent: u8,
    #[command(flatten)]
    attribution: Attribution,
    #[command(flatten)]
    consent: Consent,
}

impl Import {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Self { tenant, dir, all, plan, replace, max_concurrent, attribution, consent } = self;
        if replace && !plan {
            let whose = tenant.as_deref().unwrap_or("each tenant");
            consent.obtain(&format!("have the session of {whose} replaced by the one that is imported"))?;
        }
        let (requested_by, reason) = attribution.into_parts();
        let sender = Sender { client: context.admin()?.sessions(), replace, plan, requested_by, reason };
        match (all, tenant.zip(dir)) {
            (Some(all), _) => fleet::run(context, sender, all, max_concurrent.into()).await,
            (None, Some((tenant, dir))) => {
                let imported = sender.send_from(tenant, dir).await?;
                context.output.one(&imported)
            }
            (None, None) => Err(Failure::Refused("give a tenant and its bot's profile, or --all".to_owned())),
        }
    }
}
