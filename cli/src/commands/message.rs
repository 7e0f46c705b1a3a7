//! `roost message`

use clap::{Subcommand, ValueEnum};
use roost_proto::v1::{Direction, EraseChatRequest, ListMessagesRequest, MessageState, WatchMessagesRequest};

use super::{
    Context, all_pages, attribution::Attribution, consent::Consent, dead_letter::DeadVerb,
    direction::DirectionArg, look::Look,
};
use crate::{
    failure::Failure,
    views::{ErasureView, MessageView},
};

#[derive(Debug, Subcommand)]
pub enum MessageVerb {
    /// Lists messages, newest first.
    List {
        /// Only this tenant's.
        tenant: Option<String>,
        /// Only this chat's, such as 255700000001@c.us.
        #[arg(long, requires = "tenant")]
        chat: Option<String>,
        #[arg(long, value_enum)]
        direction: Option<DirectionArg>,
        /// Only those that have no answer for this reason.
        #[arg(long, value_enum)]
        state: Option<StateArg>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        look: Look,
    },
    /// Prints the last messages, then each new one, until Ctrl-C.
    Tail {
        /// Only this tenant's.
        tenant: Option<String>,
        /// Messages from before, up to 1000.
        #[arg(long, default_value_t = 10)]
        backlog: i32,
        #[command(flatten)]
        look: Look,
    },
    /// Removes everything that is kept of a chat: its texts, its number, and what waits in the queues. The phone keeps
    /// what it has.
    Erase {
        tenant: String,
        /// Such as 255700000001@c.us.
        chat: String,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Messages and replies that were given up.
    #[command(subcommand)]
    Dead(DeadVerb),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StateArg {
    /// It was too old when it came.
    TooOld,
    /// The reply limit left it unanswered.
    Suppressed,
    /// A person had the chat.
    Held,
}

impl From<StateArg> for MessageState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::TooOld => Self::TooOld,
            StateArg::Suppressed => Self::Suppressed,
            StateArg::Held => Self::Held,
        }
    }
}

impl MessageVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::List { tenant, chat, direction, state, limit, look } => {
                let filter = ListMessagesRequest {
                    tenant_id: tenant.unwrap_or_default(),
                    chat_id: chat.unwrap_or_default(),
                    direction: direction.map_or(Direction::Unspecified, Direction::from) as i32,
                    state: state.map_or(MessageState::Unspecified, MessageState::from) as i32,
                    reason: look.reason,
                    ..ListMessagesRequest::default()
                };
                list(context, filter, limit).await
            }
            Self::Dead(verb) => verb.run(context).await,
            Self::Erase { tenant, chat, consent, attribution } => {
                let (requested_by, reason) = attribution.into_parts();
                let request = EraseChatRequest { tenant_id: tenant, chat_id: chat, requested_by, reason };
                erase(context, request, consent).await
            }
            Self::Tail { tenant, backlog, look } => {
                let (tenant_id, reason) = (tenant.unwrap_or_default(), look.reason);
                let request = WatchMessagesRequest { tenant_id, backlog, reason };
                let mut messages = context.admin()?.messages().watch_messages(request).await?.into_inner();
                while let Some(message) = messages.message().await? {
                    context.output.event(&MessageView::from(message))?;
                }
                Ok(())
            }
        }
    }
}

async fn list(context: &mut Context, filter: ListMessagesRequest, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let messages = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.messages();
        let request = ListMessagesRequest { page_size, page_token, ..filter.clone() };
        async move {
            let page = client.list_messages(request).await?.into_inner();
            Ok((page.messages, page.next_page_token))
        }
    });
    let rows: Vec<_> = messages.await?.into_iter().map(MessageView::from).collect();
    context.output.list(&rows)
}

async fn erase(context: &mut Context, request: EraseChatRequest, consent: Consent) -> Result<(), Failure> {
    let EraseChatRequest { tenant_id, chat_id, .. } = &request;
    consent.obtain(&format!("erase everything that is kept of chat {chat_id} of tenant {tenant_id}"))?;
    let mut client = context.admin()?.messages();
    let erased = client.erase_chat(request).await?.into_inner();
    context.output.one(&ErasureView::from(erased))
}
