//! The pages' side: what a page's frames do.

use super::{Page, Standing, World};
use crate::clock::UnixMillis;
use crate::journal::{Connection, ConnectionId};
use crate::outlet::Outlet;
use crate::phone::Phone;
use crate::wire::{DELIVERED, FromPage, LogoutReason, ToPage};

impl World {
    pub fn connect(&mut self, outlet: Outlet) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.pages
            .insert(id, Page { outlet, keys: None, code: None, phone: None, standing: Standing::Sound });
        id
    }

    pub fn disconnect(&mut self, id: ConnectionId, now: UnixMillis) {
        let Some(page) = self.pages.remove(&id) else { return };
        if let Some(code) = page.code {
            self.codes.retire(code);
        }
        if let Some(phone) = page.phone.and_then(|phone| self.phones.get_mut(&phone))
            && phone.current == Some(id)
        {
            phone.current = None;
            phone.queue.return_all();
        }
        self.journal.closed(id, now);
    }

    pub fn frame(&mut self, id: ConnectionId, frame: FromPage, now: UnixMillis) {
        let Some(page) = self.pages.get_mut(&id) else { return };
        if page.standing != Standing::Sound {
            return;
        }
        match frame {
            FromPage::Hello { keys } => page.keys = Some(keys),
            FromPage::Login { device, token, counter } => self.log_in(id, &device, &token, counter, now),
            FromPage::Received { ids, counter } => self.received(id, &ids, counter),
            FromPage::Send { id: message, to, body, counter } => {
                self.send(id, message, to, body, counter, now)
            }
            FromPage::Query { request, wid } => {
                let exists = wid.ends_with("@c.us") || wid.ends_with("@lid");
                page.tell(ToPage::Answer { request, exists });
            }
            FromPage::Logout => {
                page.standing = Standing::Dismissed;
                if let Some(phone) = page.phone.as_ref().and_then(|phone| self.phones.get_mut(phone)) {
                    phone.unlink();
                }
            }
            // They concern the socket's timers and come back as `show_code` and `redeliver`.
            FromPage::RefreshCode | FromPage::Rejected { .. } => {}
        }
    }

    /// Gives the page its next pairing code. False when it needs none.
    pub fn show_code(&mut self, id: ConnectionId) -> bool {
        let Some(page) = self.pages.get_mut(&id) else { return false };
        if page.phone.is_some() || page.keys.is_none() {
            return false;
        }
        if let Some(rotated) = page.code.take() {
            self.codes.retire(rotated);
        }
        let reference = self.codes.show(id);
        page.code = Some(reference.clone());
        page.tell(ToPage::Code { reference });
        true
    }

    pub fn redeliver(&mut self, id: ConnectionId, ids: &[String]) {
        let Some((page, phone)) = self.in_force(id) else { return };
        let messages = phone.queue.again(ids);
        if !messages.is_empty() {
            page.tell(ToPage::Messages { messages });
        }
    }

    fn log_in(&mut self, id: ConnectionId, device: &str, token: &str, counter: u64, now: UnixMillis) {
        let Some(page) = self.pages.get_mut(&id).filter(|page| page.phone.is_none()) else { return };
        let number = device.split(':').next().unwrap_or_default();
        let known = self.phones.get_mut(number).and_then(|phone| {
            let fits = phone.device.as_ref().is_some_and(|known| known.id == device && known.token == token);
            fits.then_some(phone)
        });
        let is_down = self.down_until.is_some_and(|until| now < until)
            || known.as_ref().is_some_and(|p| p.is_down(now));
        if is_down {
            page.outlet.close();
            return;
        }
        let Some(phone) = known else {
            page.tell(ToPage::LoggedOut { reason: LogoutReason::UnknownDevice });
            return;
        };
        page.phone = Some(number.to_owned());
        page.tell(ToPage::Welcome);
        let regressed_by = phone.device.as_mut().map_or(0, |device| {
            let behind = device.counter.saturating_sub(counter);
            device.counter = counter;
            behind
        });
        let replaced = phone.current.replace(id);
        phone.queue.return_all();
        if let Some(older) = replaced.and_then(|older| self.pages.get_mut(&older)) {
            older.dismiss(ToPage::Conflict);
        }
        self.journal.opened(Connection {
            phone: number.to_owned(),
            device: device.to_owned(),
            id,
            opened_at_ms: now,
            closed_at_ms: None,
            regressed_by,
        });
        self.deliver(number);
    }

    fn received(&mut self, id: ConnectionId, ids: &[String], counter: u64) {
        let Some((page, phone)) = self.in_force(id) else { return };
        phone.queue.acknowledge(ids);
        phone.advance(counter);
        let number = page.phone.clone().unwrap_or_default();
        self.deliver(&number);
    }

    fn send(
        &mut self,
        id: ConnectionId,
        message: String,
        to: String,
        body: String,
        counter: u64,
        now: UnixMillis,
    ) {
        let Some((page, phone)) = self.in_force(id) else { return };
        phone.advance(counter);
        phone.sent.record(to.clone(), body, message.clone(), now);
        let stanza = message.split('_').nth(2).unwrap_or_default().to_owned();
        page.tell(ToPage::Sent { id: message, t: now.seconds() });
        page.tell(ToPage::Receipt { chat: to, ids: vec![stanza], ack: DELIVERED });
    }

    /// The page and its phone, when its connection is the one in force.
    fn in_force(&mut self, id: ConnectionId) -> Option<(&Page, &mut Phone)> {
        let page = self.pages.get(&id)?;
        let phone = self.phones.get_mut(page.phone.as_ref()?)?;
        (phone.current == Some(id) && page.standing == Standing::Sound).then_some((page, phone))
    }

    pub(super) fn deliver(&mut self, number: &str) {
        let Some(phone) = self.phones.get_mut(number) else { return };
        let Some(page) = phone.current.and_then(|id| self.pages.get(&id)) else { return };
        if page.standing != Standing::Sound {
            return;
        }
        let messages = phone.queue.take();
        if !messages.is_empty() {
            page.tell(ToPage::Messages { messages });
        }
    }
}
