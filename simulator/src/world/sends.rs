//! What a page sends: whether it arrives, whether the page learns of it, and whether its recipient can read it.

use super::World;
use crate::clock::UnixMillis;
use crate::journal::ConnectionId;
use crate::later::{Due, Later};
use crate::sent::{Cause, Frame};
use crate::wire::{DELIVERED, ToPage};

/// A message as the page's frame has it.
pub(super) struct Outgoing {
    pub id: String,
    pub to: String,
    pub body: String,
    pub counter: u64,
    pub cause: Cause,
}

impl World {
    pub(super) fn send(
        &mut self,
        connection: ConnectionId,
        outgoing: Outgoing,
        now: UnixMillis,
    ) -> Option<Later> {
        let (page, phone) = self.in_force(connection)?;
        let Outgoing { id, to, body, counter, cause } = outgoing;
        phone.advance(counter);
        let loses_ack = phone.hardness.loses_ack();
        let arrives = !loses_ack || phone.hardness.lost_acks_delivered;
        let is_behind = page.regressed && !page.healed_chats.contains(&to);
        let unreadable = arrives && is_behind && phone.hardness.refuse_regressed;
        phone.sent.record(Frame {
            id: id.clone(),
            to: to.clone(),
            body,
            at: now,
            connection,
            life: page.life.clone(),
            cause,
            delivered: arrives && !unreadable,
            acknowledged: !loses_ack,
        });
        if !loses_ack {
            page.tell(ToPage::Sent { id: id.clone(), t: now.seconds() });
        }
        if unreadable {
            page.tell(ToPage::Retry { id: id.clone() });
            phone.retries.insert(id);
            // Asked once, a recipient and the page have a session of their own again.
            if let Some(page) = self.pages.get_mut(&connection) {
                page.healed_chats.insert(to);
            }
            return None;
        }
        if arrives {
            phone.retries.remove(&id);
        }
        // The delivery's receipt would tell the page as much as the acknowledgement: both are lost.
        if loses_ack {
            return None;
        }
        let stanza = id.split('_').nth(2).unwrap_or_default().to_owned();
        phone.receipts.insert(stanza.clone(), to);
        Some(Due::Receipt { stanza }.after_ms(phone.hardness.receipt_after_ms))
    }

    /// The page learns that a recipient has the message.
    pub(super) fn receipt(&mut self, connection: ConnectionId, stanza: String) {
        let Some((page, phone)) = self.in_force(connection) else { return };
        let Some(chat) = phone.receipts.remove(&stanza) else { return };
        page.tell(ToPage::Receipt { chat, ids: vec![stanza], ack: DELIVERED });
    }
}
