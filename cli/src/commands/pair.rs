//! `roost session pair`: a code that is typed on the phone.

use std::time::{Duration, SystemTime};

use roost_proto::v1::{PairingCode, RequestPairingCodeRequest, SessionStatus, WatchSessionRequest};

use super::Context;
use crate::{failure::Failure, views::PairingCodeView};

#[derive(Debug, clap::Args)]
pub struct Pair {
    tenant: String,
    /// The tenant's own number, to be sure that it is the phone at hand.
    #[arg(long)]
    phone: Option<String>,
    /// Wait until the phone is linked, and ask for another code when one has expired.
    #[arg(short, long)]
    watch: bool,
}

impl Pair {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        loop {
            let code = self.ask(context).await?;
            let left = left_of(&code);
            show(context, &self.tenant, code)?;
            if !self.watch {
                return Ok(());
            }
            match tokio::time::timeout(left, linked(context, &self.tenant)).await {
                Err(_elapsed) => context.output.note(&format!("{}: the code has expired", self.tenant)),
                Ok(linked) => {
                    linked?;
                    context.output.note(&format!("{} is linked", self.tenant));
                    return Ok(());
                }
            }
        }
    }

    async fn ask(&self, context: &mut Context) -> Result<PairingCode, Failure> {
        let phone_number = self.phone.clone().unwrap_or_default();
        let request = RequestPairingCodeRequest { tenant_id: self.tenant.clone(), phone_number };
        Ok(context.admin()?.sessions().request_pairing_code(request).await?.into_inner())
    }
}

fn show(context: &mut Context, tenant: &str, code: PairingCode) -> Result<(), Failure> {
    let phone = code.phone_number.clone();
    let view = PairingCodeView::new(tenant, code);
    if context.output.is_data() {
        return context.output.event(&view);
    }
    context.output.text(view.typed())?;
    context.output.note(&format!(
        "{tenant}: on the phone {phone}, WhatsApp > Linked devices > Link a device > Link with phone number instead; the code is \
         good for three minutes"
    ));
    Ok(())
}

/// By this machine's clock, which may be wrong: at least so long that not one code follows the other.
fn left_of(code: &PairingCode) -> Duration {
    let expires = code.expire_time.and_then(|time| SystemTime::try_from(time).ok());
    let left = expires.and_then(|at| at.duration_since(SystemTime::now()).ok()).unwrap_or_default();
    left.max(Duration::from_secs(60))
}

async fn linked(context: &mut Context, tenant: &str) -> Result<(), Failure> {
    let request = WatchSessionRequest { tenant_id: tenant.to_owned() };
    let mut changes = context.admin()?.sessions().watch_session(request).await?.into_inner();
    while let Some(session) = changes.message().await? {
        if session.status() == SessionStatus::Connected {
            return Ok(());
        }
    }
    Err(Failure::Refused("the coordinator ended the stream before a phone was linked; try again".into()))
}
