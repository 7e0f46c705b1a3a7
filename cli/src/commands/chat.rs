//! `roost chat`

use clap::{Args, Subcommand};
use roost_proto::v1::{
    Chat, GetChatRequest, ReleaseChatRequest, SendChatMessageRequest, TakeOverChatRequest,
};

use super::Context;
use crate::{failure::Failure, views::ChatView};

#[derive(Debug, Subcommand)]
pub enum ChatVerb {
    /// Says who answers in a chat.
    Get(ChatArgs),
    /// Answers in a chat yourself from now on: nothing is answered by itself meanwhile.
    TakeOver(ChatArgs),
    /// Has a chat answered by itself again, whoever has it.
    Release(ChatArgs),
    /// Sends a text in a chat that you have taken over.
    Send {
        #[command(flatten)]
        chat: ChatArgs,
        text: String,
        /// The same key sends once.
        #[arg(long, value_name = "KEY", default_value = "")]
        idempotency_key: String,
    },
}

#[derive(Debug, Args)]
pub struct ChatArgs {
    tenant: String,
    /// The chat's WhatsApp id, such as 255700000001@c.us.
    chat: String,
}

impl ChatVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Get(chat) => {
                let found = get(context, chat).await?;
                context.output.one(&ChatView::from(found))
            }
            Self::TakeOver(chat) => {
                let Chat { tenant_id, chat_id, version, .. } = get(context, chat).await?;
                let request = TakeOverChatRequest { tenant_id, chat_id, version };
                let taken = context.admin()?.chats().take_over_chat(request).await?.into_inner();
                context.output.one(&ChatView::from(taken))
            }
            Self::Release(chat) => {
                let Chat { tenant_id, chat_id, version, .. } = get(context, chat).await?;
                let request = ReleaseChatRequest { tenant_id, chat_id, version };
                let released = context.admin()?.chats().release_chat(request).await?.into_inner();
                context.output.one(&ChatView::from(released))
            }
            Self::Send { chat, text, idempotency_key } => {
                let ChatArgs { tenant, chat } = chat;
                let request = SendChatMessageRequest {
                    tenant_id: tenant,
                    chat_id: chat.clone(),
                    body: text,
                    idempotency_key,
                };
                context.admin()?.chats().send_chat_message(request).await?;
                context.output.note(&format!("it is queued for {chat}"));
                Ok(())
            }
        }
    }
}

async fn get(context: &mut Context, chat: ChatArgs) -> Result<Chat, Failure> {
    let request = GetChatRequest { tenant_id: chat.tenant, chat_id: chat.chat };
    Ok(context.admin()?.chats().get_chat(request).await?.into_inner())
}
