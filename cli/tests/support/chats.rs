//! The scripted coordinator's chats.

use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{chat_service_server::ChatService, *},
};
use tonic::{Request, Response, async_trait};

use super::{Answer, Script, at, unknown};

fn free(tenant_id: String, chat_id: String) -> Answer<Chat> {
    match chat_id.as_str() {
        "255700000001@c.us" => Ok(Response::new(Chat { tenant_id, chat_id, version: 4, ..Chat::default() })),
        other => Err(unknown("chat", other)),
    }
}

#[async_trait]
impl ChatService for Script {
    async fn get_chat(&self, request: Request<GetChatRequest>) -> Answer<Chat> {
        let GetChatRequest { tenant_id, chat_id } = request.into_inner();
        free(tenant_id, chat_id)
    }

    async fn take_over_chat(&self, request: Request<TakeOverChatRequest>) -> Answer<Chat> {
        let TakeOverChatRequest { tenant_id, chat_id, version } = request.into_inner();
        let (held_by, version) = ("token ci".to_owned(), version + 1);
        Ok(Response::new(Chat { tenant_id, chat_id, held_by, hold_time: at(60), version }))
    }

    async fn release_chat(&self, request: Request<ReleaseChatRequest>) -> Answer<Chat> {
        let ReleaseChatRequest { tenant_id, chat_id, .. } = request.into_inner();
        free(tenant_id, chat_id)
    }

    async fn send_chat_message(
        &self,
        request: Request<SendChatMessageRequest>,
    ) -> Answer<SendChatMessageResponse> {
        let SendChatMessageRequest { chat_id, idempotency_key, .. } = request.into_inner();
        if chat_id != "255700000001@c.us" {
            let told = "chat \"255700000009@c.us\" is held by user asha@duka.example; look at it, and take it over first";
            return Err(ApiError::new(ErrorCode::FailedPrecondition, told).into());
        }
        Ok(Response::new(SendChatMessageResponse { idempotency_key }))
    }
}
