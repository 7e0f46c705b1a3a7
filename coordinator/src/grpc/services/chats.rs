//! ChatService.

use roost_proto::v1::{self, chat_service_server::ChatService};
use tonic::{Request, Response, Status, async_trait};

use super::access::caller;
use crate::{
    app::App,
    grpc::{
        request::{Said, chat, said},
        wire,
    },
};

pub struct Chats {
    pub app: App,
}

#[async_trait]
impl ChatService for Chats {
    async fn get_chat(&self, request: Request<v1::GetChatRequest>) -> Result<Response<v1::Chat>, Status> {
        let v1::GetChatRequest { tenant_id, chat_id } = request.into_inner();
        let (tenant, chat) = chat(&tenant_id, chat_id)?;
        let hold = self.app.chat_hold(&tenant, &chat).await?;
        Ok(Response::new(wire::chat(tenant, chat, hold)))
    }

    async fn take_over_chat(
        &self,
        request: Request<v1::TakeOverChatRequest>,
    ) -> Result<Response<v1::Chat>, Status> {
        let by = caller(&request)?;
        let v1::TakeOverChatRequest { tenant_id, chat_id, version } = request.into_inner();
        let (tenant, chat) = chat(&tenant_id, chat_id)?;
        let hold = self.app.take_chat(&tenant, &chat, version, &by).await?;
        Ok(Response::new(wire::chat(tenant, chat, hold)))
    }

    async fn release_chat(
        &self,
        request: Request<v1::ReleaseChatRequest>,
    ) -> Result<Response<v1::Chat>, Status> {
        let by = caller(&request)?;
        let v1::ReleaseChatRequest { tenant_id, chat_id, version } = request.into_inner();
        let (tenant, chat) = chat(&tenant_id, chat_id)?;
        let hold = self.app.release_chat(&tenant, &chat, version, &by).await?;
        Ok(Response::new(wire::chat(tenant, chat, hold)))
    }

    async fn send_chat_message(
        &self,
        request: Request<v1::SendChatMessageRequest>,
    ) -> Result<Response<v1::SendChatMessageResponse>, Status> {
        let by = caller(&request)?;
        let Said { tenant, chat, body, key } = said(request.into_inner())?;
        self.app.say_in_chat(&tenant, &chat, body, &key, &by).await?;
        Ok(Response::new(v1::SendChatMessageResponse { idempotency_key: key }))
    }
}
