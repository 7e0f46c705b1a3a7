//! `roost message dead`

use clap::Subcommand;
use roost_proto::v1::{Direction, GetDeadLetterRequest, ListDeadLettersRequest, RedriveDeadLettersRequest};

use super::{Context, all_pages, attribution::Attribution, direction::DirectionArg, look::Look};
use crate::{
    failure::Failure,
    views::{DeadLetterView, RedriveView},
};

#[derive(Debug, Subcommand)]
pub enum DeadVerb {
    /// Lists messages and replies that were given up, with the reasons.
    List {
        /// Only this tenant's.
        tenant: Option<String>,
        #[arg(long, value_enum)]
        direction: Option<DirectionArg>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        look: Look,
    },
    /// Shows one, with all of its text and its reason.
    Show {
        /// Such as in-7 or out-7.
        id: String,
        #[command(flatten)]
        look: Look,
    },
    /// Has them tried again: messages are answered, replies are sent.
    Redrive {
        /// Such as in-7 or out-7.
        #[arg(required_unless_present = "tenant", conflicts_with = "tenant")]
        ids: Vec<String>,
        /// The first ones of this tenant.
        #[arg(long)]
        tenant: Option<String>,
        #[arg(long, value_enum, requires = "tenant")]
        direction: Option<DirectionArg>,
        /// At most this many of the tenant's, up to 1000.
        #[arg(long, default_value_t = 100, requires = "tenant")]
        limit: i32,
        /// Only says which.
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        attribution: Attribution,
    },
}

fn direction(given: Option<DirectionArg>) -> i32 {
    given.map_or(Direction::Unspecified, Direction::from) as i32
}

impl DeadVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::List { tenant, direction: given, limit, look } => {
                let filter = ListDeadLettersRequest {
                    tenant_id: tenant.unwrap_or_default(),
                    direction: direction(given),
                    reason: look.reason,
                    ..ListDeadLettersRequest::default()
                };
                list(context, filter, limit).await
            }
            Self::Show { id, look } => {
                let mut client = context.admin()?.messages();
                let letter = client
                    .get_dead_letter(GetDeadLetterRequest { id, reason: look.reason })
                    .await?
                    .into_inner();
                context.output.one(&DeadLetterView::from(letter))
            }
            Self::Redrive { ids, tenant, direction: given, limit, plan, attribution } => {
                let (requested_by, reason) = attribution.into_parts();
                let limit = if tenant.is_some() { limit } else { 0 };
                let request = RedriveDeadLettersRequest {
                    ids,
                    tenant_id: tenant.unwrap_or_default(),
                    direction: direction(given),
                    limit,
                    dry_run: plan,
                    requested_by,
                    reason,
                };
                redrive(context, request).await
            }
        }
    }
}

async fn list(context: &mut Context, filter: ListDeadLettersRequest, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let letters = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.messages();
        let request = ListDeadLettersRequest { page_size, page_token, ..filter.clone() };
        async move {
            let page = client.list_dead_letters(request).await?.into_inner();
            Ok((page.dead_letters, page.next_page_token))
        }
    });
    let rows: Vec<_> = letters.await?.into_iter().map(DeadLetterView::from).collect();
    context.output.list(&rows)
}

async fn redrive(context: &mut Context, request: RedriveDeadLettersRequest) -> Result<(), Failure> {
    let (asked, dry_run) = (request.ids.len(), request.dry_run);
    let mut client = context.admin()?.messages();
    let redriven = client.redrive_dead_letters(request).await?.into_inner();
    let left = asked.saturating_sub(redriven.ids.len());
    if left > 0 {
        context
            .output
            .note(&format!("{left} of {asked} cannot be tried again or are no dead letters any more"));
    }
    if redriven.more {
        context.output.note("the tenant has more; ask again, or with a higher --limit");
    }
    context.output.one(&RedriveView::new(redriven, dry_run))
}
