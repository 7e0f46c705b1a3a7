//! `roost token` and `roost whoami`

use std::{
    io::{self, Read},
    time::Duration,
};

use clap::Subcommand;
use roost_proto::v1::{CreateTokenRequest, GetCallerRequest, ListTokensRequest, RevokeTokenRequest, Role};
use sha2::{Digest, Sha256};

use super::{Context, all_pages, consent::Consent, wire_duration};
use crate::{
    choices::RoleChoice,
    failure::Failure,
    views::{CallerView, NewTokenView, TokenView},
};

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Makes a token and prints it, this once.
    Create(Create),
    /// Lists the tokens, newest first.
    List {
        /// Also those that were revoked or have lapsed.
        #[arg(long)]
        all: bool,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Refuses a token from now on, and ends its streams. Asks first.
    Revoke {
        /// Of `roost token list`.
        id: i64,
        #[command(flatten)]
        consent: Consent,
    },
    /// Reads a token from standard input and prints the line that a coordinator's token file has for it.
    Hash,
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// 1 to 64 letters, digits and . _ -, for the list and the audit.
    name: String,
    /// What its bearer may do.
    #[arg(long, value_enum)]
    role: RoleChoice,
    /// The only tenant of which its bearer sees anything, for owner, staff and processor.
    #[arg(long)]
    tenant: Option<String>,
    /// For how long it counts, up to 10years.
    #[arg(long, value_name = "TIME", default_value = "90days", value_parser = humantime::parse_duration)]
    lifetime: Duration,
}

impl TokenVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(context).await,
            Self::List { all, limit } => list(context, all, limit).await,
            Self::Revoke { id, consent } => {
                consent.obtain(&format!("revoke token {id}"))?;
                let request = RevokeTokenRequest { id };
                let revoked = context.admin()?.access().revoke_token(request).await?.into_inner();
                context.output.one(&TokenView::from(revoked))
            }
            Self::Hash => {
                let mut token = String::new();
                let what = "standard input".to_owned();
                io::stdin().read_to_string(&mut token).map_err(|source| Failure::Input { what, source })?;
                let token = token.trim();
                if token.is_empty() || token.contains(char::is_whitespace) {
                    let why = "standard input has to hold one token and nothing else".to_owned();
                    return Err(Failure::Refused(why));
                }
                let digest = Sha256::digest(token.as_bytes());
                let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                context.output.raw(format!("sha256:{digits}\n").as_bytes())
            }
        }
    }
}

impl Create {
    async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let request = CreateTokenRequest {
            name: self.name,
            role: Role::from(self.role).into(),
            tenant_id: self.tenant.unwrap_or_default(),
            lifetime: Some(wire_duration(self.lifetime)?),
        };
        let made = context.admin()?.access().create_token(request).await?.into_inner();
        let view = NewTokenView::new(made);
        context.output.one(&view)?;
        context.output.note("keep it now: it is shown this once");
        Ok(())
    }
}

async fn list(context: &mut Context, show_ended: bool, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let tokens = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.access();
        let request = ListTokensRequest { page_size, page_token, show_ended };
        async move {
            let page = client.list_tokens(request).await?.into_inner();
            Ok((page.tokens, page.next_page_token))
        }
    });
    let rows: Vec<_> = tokens.await?.into_iter().map(TokenView::from).collect();
    context.output.list(&rows)
}

/// `roost whoami`
pub async fn whoami(context: &mut Context) -> Result<(), Failure> {
    let caller = context.admin()?.access().get_caller(GetCallerRequest {}).await?.into_inner();
    context.output.one(&CallerView::from(caller))
}
