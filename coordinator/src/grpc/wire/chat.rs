//! Who answers in a chat.

use roost_model::ids::TenantId;
use roost_proto::v1;
use roost_store::ChatHold;

use super::timestamp;

pub fn chat(tenant: TenantId, chat_id: String, hold: ChatHold) -> v1::Chat {
    let (held_by, hold_time) = hold.held.unzip();
    v1::Chat {
        tenant_id: tenant.into(),
        chat_id,
        held_by: held_by.unwrap_or_default(),
        hold_time: hold_time.map(timestamp),
        version: hold.version,
    }
}
