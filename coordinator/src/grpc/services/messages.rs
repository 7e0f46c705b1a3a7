//! MessageService.

use roost_proto::v1::{self, message_service_server::MessageService};
use roost_store::MessageFilter;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::App,
    grpc::{
        answers::{Answers, answers, fill_page},
        request::{Checks, List, Text, page},
        wire,
    },
};

const CHAT_ID: Text = Text::line(0, 128);
/// One that must be given.
const ONE_CHAT: Text = Text::line(1, 128);
const MAX_BACKLOG: u32 = 1_000;

pub struct Messages {
    pub app: App,
}

#[async_trait]
impl MessageService for Messages {
    async fn list_messages(
        &self,
        request: Request<v1::ListMessagesRequest>,
    ) -> Result<Response<v1::ListMessagesResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let direction_text = request.direction.to_string();
        let tenant_text = request.tenant_id.clone();
        let chat_text = request.chat_id.clone();
        let chosen = [tenant_text.as_str(), &chat_text, &direction_text];
        let size = checks.page_size(request.page_size);
        let before =
            checks.page_token(List::Messages, &chosen, &request.page_token, |key| key.parse::<i64>().ok());
        let direction = checks.optional_enum("direction", request.direction);
        let tenant = checks.optional_tenant_id("tenant_id", &request.tenant_id);
        let chat = checks.text("chat_id", &CHAT_ID, request.chat_id);
        if request.tenant_id.is_empty() && !chat_text.is_empty() {
            checks.take::<()>("tenant_id", Err("is required when chat_id is given".to_owned()));
        }
        let (Some(size), Some(before), Some(direction), Some(tenant), Some(chat), true) =
            (size, before, direction, tenant, chat, checks.passed())
        else {
            return Err(checks.refusal().into());
        };
        let chat = Some(chat).filter(|chat| !chat.is_empty());
        let filter = &MessageFilter { tenant, chat, direction: direction.and_then(wire::direction_filter) };
        self.app.check_tenant_of(filter).await?;
        let fetch = |before, limit| self.app.list_messages(filter, before, limit);
        let page = fill_page(size, before, fetch, |row| (row.id, wire::message(row))).await?;
        let next = page.last.map(|last| page::encode(List::Messages, &chosen, &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListMessagesResponse { messages: page.items, next_page_token }))
    }

    async fn erase_chat(
        &self,
        request: Request<v1::EraseChatRequest>,
    ) -> Result<Response<v1::EraseChatResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let chat = checks.text("chat_id", &ONE_CHAT, request.chat_id);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(tenant), Some(chat), Some(by)) = (tenant, chat, by) else {
            return Err(checks.refusal().into());
        };
        let rows = self.app.erase_chat(&tenant, &chat, &by).await?;
        Ok(Response::new(v1::EraseChatResponse { erased_rows: i64::try_from(rows).unwrap_or(i64::MAX) }))
    }

    type WatchMessagesStream = Answers<v1::Message>;

    async fn watch_messages(
        &self,
        request: Request<v1::WatchMessagesRequest>,
    ) -> Result<Response<Self::WatchMessagesStream>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.optional_tenant_id("tenant_id", &request.tenant_id);
        let backlog = checks.backlog(request.backlog, MAX_BACKLOG);
        let (Some(tenant), Some(backlog)) = (tenant, backlog) else { return Err(checks.refusal().into()) };
        let filter = MessageFilter { tenant, ..MessageFilter::default() };
        Ok(Response::new(answers(self.app.watch_messages(filter, backlog).await?, wire::message)))
    }
}
