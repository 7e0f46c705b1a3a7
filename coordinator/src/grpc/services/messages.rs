//! MessageService.

use roost_model::ids::TenantId;
use roost_proto::v1::{self, message_service_server::MessageService};
use roost_store::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterKey, InvalidDeadLetterId, MessageFilter,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::{App, Redrive},
    grpc::{
        admit::About,
        answers::{Answers, answers, fill_page},
        request::{Checks, List, Text, page},
        wire,
    },
};

const CHAT_ID: Text = Text::line(0, 128);
/// One that must be given.
const ONE_CHAT: Text = Text::line(1, 128);
const MAX_BACKLOG: u32 = 1_000;
/// Dead letters that one order redrives.
const REDRIVEN: u32 = 100;
const MAX_REDRIVEN: u32 = 1_000;

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
        let state_text = request.state.to_string();
        let chosen = [tenant_text.as_str(), &chat_text, &direction_text, &state_text];
        let size = checks.page_size(request.page_size);
        let before =
            checks.page_token(List::Messages, &chosen, &request.page_token, |key| key.parse::<i64>().ok());
        let direction = checks.optional_enum("direction", request.direction);
        let state = checks.optional_enum("state", request.state);
        let tenant = checks.optional_tenant_id("tenant_id", &request.tenant_id);
        let chat = checks.text("chat_id", &CHAT_ID, request.chat_id);
        if request.tenant_id.is_empty() && !chat_text.is_empty() {
            checks.take::<()>("tenant_id", Err("is required when chat_id is given".to_owned()));
        }
        let (Some(size), Some(before), Some(direction), Some(state), Some(tenant), Some(chat), true) =
            (size, before, direction, state, tenant, chat, checks.passed())
        else {
            return Err(checks.refusal().into());
        };
        let chat = Some(chat).filter(|chat| !chat.is_empty());
        let direction = direction.and_then(wire::direction_filter);
        let state = state.and_then(wire::message_state_filter);
        let filter = &MessageFilter { tenant, chat, direction, state };
        self.app.check_tenant(filter.tenant.as_ref()).await?;
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

    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [request.tenant_id.clone(), request.direction.to_string()];
        let chosen = [chosen[0].as_str(), &chosen[1]];
        let size = checks.page_size(request.page_size);
        let after = checks.page_token(List::DeadLetters, &chosen, &request.page_token, dead_letter_key);
        let direction = checks.optional_enum("direction", request.direction);
        let tenant = checks.optional_tenant_id("tenant_id", &request.tenant_id);
        let (Some(size), Some(after), Some(direction), Some(tenant)) = (size, after, direction, tenant)
        else {
            return Err(checks.refusal().into());
        };
        self.app.check_tenant(tenant.as_ref()).await?;
        let direction = direction.and_then(wire::direction_filter);
        let filter = &DeadLetterFilter { tenant, direction, redrivable: false };
        let fetch = |after, limit| self.app.list_dead_letters(filter, after, limit);
        let item = |row: DeadLetter| ((row.tenant.clone(), row.id), wire::dead_letter(row));
        let page = fill_page(size, after, fetch, item).await?;
        let key = |(tenant, id): DeadLetterKey| format!("{tenant}/{id}");
        let next = page.last.map(|last| page::encode(List::DeadLetters, &chosen, &key(last)));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListDeadLettersResponse { dead_letters: page.items, next_page_token }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<v1::GetDeadLetterRequest>,
    ) -> Result<Response<v1::DeadLetter>, Status> {
        let mut checks = Checks::default();
        let Some(id) = dead_letter_id(&mut checks, "id", &request.into_inner().id) else {
            return Err(checks.refusal().into());
        };
        let letter = self.app.dead_letter(id).await?;
        let about = About(letter.tenant.clone());
        let mut answer = Response::new(wire::dead_letter(letter));
        answer.extensions_mut().insert(about);
        Ok(answer)
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<v1::RedriveDeadLettersRequest>,
    ) -> Result<Response<v1::RedriveDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let dry_run = request.dry_run;
        let which = which_to_redrive(&mut checks, &request);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(which), Some(by), true) = (which, by, checks.passed()) else {
            return Err(checks.refusal().into());
        };
        let redriven = self.app.redrive(which, &by, dry_run).await?;
        let ids = redriven.ids.iter().map(DeadLetterId::to_string).collect();
        Ok(Response::new(v1::RedriveDeadLettersResponse { ids, more: redriven.more }))
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

fn dead_letter_key(token: &str) -> Option<DeadLetterKey> {
    let (tenant, id) = token.split_once('/')?;
    Some((TenantId::new(tenant).ok()?, id.parse().ok()?))
}

fn dead_letter_id(checks: &mut Checks, field: &str, given: &str) -> Option<DeadLetterId> {
    checks.take(field, given.parse().map_err(|error: InvalidDeadLetterId| error.to_string()))
}

/// Either ids or a tenant, with what belongs to it.
fn which_to_redrive(checks: &mut Checks, request: &v1::RedriveDeadLettersRequest) -> Option<Redrive> {
    let by_tenant = !request.tenant_id.is_empty();
    let is_one_of_both = by_tenant == request.ids.is_empty() && request.ids.len() <= MAX_REDRIVEN as usize;
    let wrong = || format!("give either 1 to {MAX_REDRIVEN} ids or a tenant_id");
    checks.take("ids", is_one_of_both.then_some(()).ok_or_else(wrong))?;
    let direction = checks.optional_enum("direction", request.direction)?.and_then(wire::direction_filter);
    let limit = checks.limit("limit", request.limit, REDRIVEN, MAX_REDRIVEN)?;
    if by_tenant {
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id)?;
        return Some(Redrive::Of { tenant, direction, limit });
    }
    let ids: Vec<_> = request.ids.iter().filter_map(|id| dead_letter_id(checks, "ids", id)).collect();
    Some(Redrive::These(ids))
}
