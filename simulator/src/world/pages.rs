//! The pages' side: what a page's frames do.

use std::time::Duration;

use super::sends::Outgoing;
use super::{Page, Standing, World};
use crate::clock::UnixMillis;
use crate::hardness::{Hardness, Queries};
use crate::history;
use crate::journal::{Connection, ConnectionId};
use crate::later::{Due, Later};
use crate::outlet::Outlet;
use crate::phone::Phone;
use crate::wire::{FromPage, LogoutReason, ToPage};

/// What a page with a session says of itself.
struct Login {
    device: String,
    token: String,
    counter: u64,
    life: String,
}

impl World {
    pub fn connect(&mut self, outlet: Outlet) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.pages.insert(id, Page::new(outlet));
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

    /// What a page's frame does, now and later.
    pub fn frame(&mut self, id: ConnectionId, frame: FromPage, now: UnixMillis) -> Vec<Later> {
        let Some(page) = self.pages.get_mut(&id) else { return Vec::new() };
        if page.standing != Standing::Sound {
            return Vec::new();
        }
        match frame {
            FromPage::Hello { keys } => page.keys = Some(keys),
            FromPage::Login { device, token, counter, life } => {
                return self.log_in(id, Login { device, token, counter, life }, now);
            }
            FromPage::Received { ids, counter } => self.received(id, &ids, counter),
            FromPage::Rejected { ids } => {
                let after = self.hardness_of(id).redeliver_after();
                return after.map(|after| Later { after, what: Due::Redeliver(ids) }).into_iter().collect();
            }
            FromPage::Send { id: message, to, body, counter, cause } => {
                return self
                    .send(id, Outgoing { id: message, to, body, counter, cause }, now)
                    .into_iter()
                    .collect();
            }
            FromPage::Ping => page.tell(ToPage::Pong),
            FromPage::Query { request, wid } => return self.answer(id, request, &wid),
            FromPage::LinkCode { request, phone } => self.give_typed_code(id, request, &phone, now),
            FromPage::Logout { request } => {
                return vec![Due::LogOut { request }.after_ms(self.hardness_of(id).logout_after_ms)];
            }
            // It concerns the socket's timer and comes back as `show_code`.
            FromPage::RefreshCode => {}
        }
        Vec::new()
    }

    /// Something that was to happen later, on a connection that is still there.
    pub fn due(&mut self, id: ConnectionId, what: Due) {
        match what {
            Due::Tell(frame) => {
                if let Some(page) = self.pages.get(&id).filter(|page| page.standing == Standing::Sound) {
                    page.tell(frame);
                }
            }
            Due::Redeliver(ids) => self.redeliver(id, &ids),
            Due::Receipt { stanza } => self.receipt(id, stanza),
            Due::LogOut { request } => self.log_page_out(id, request),
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

    /// For a page that could be linked by a scan as well.
    fn give_typed_code(&mut self, id: ConnectionId, request: u64, phone: &str, now: UnixMillis) {
        let hardness = self.hardness(Some(phone));
        let (most, life) = (hardness.link_codes, Duration::from_millis(hardness.link_code_ms));
        let Some(page) = self.pages.get(&id) else { return };
        let is_number = (5..=15).contains(&phone.len()) && phone.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || page.phone.is_some() || page.keys.is_none() {
            return page.tell(ToPage::Refused { request, error: "bad-request" });
        }
        page.tell(match self.typed_codes.give(phone, id, now, most, life) {
            Some(code) => ToPage::LinkCode { request, code },
            None => ToPage::Refused { request, error: "rate-overlimit" },
        });
    }

    fn hardness_of(&self, id: ConnectionId) -> &Hardness {
        self.hardness(self.pages.get(&id).and_then(|page| page.phone.as_deref()))
    }

    fn answer(&mut self, id: ConnectionId, request: u64, wid: &str) -> Vec<Later> {
        self.journal.queried(id);
        let hardness = self.hardness_of(id);
        let exists = wid.ends_with("@c.us") || wid.ends_with("@lid");
        let answer = match hardness.queries {
            Queries::Answered => ToPage::Answer { request, exists },
            Queries::Refused => ToPage::Refused { request, error: "rate-overlimit" },
            Queries::Silent => return Vec::new(),
        };
        vec![Due::Tell(answer).after_ms(hardness.query_after_ms)]
    }

    fn log_page_out(&mut self, id: ConnectionId, request: u64) {
        let Some(page) = self.pages.get_mut(&id).filter(|page| page.standing == Standing::Sound) else {
            return;
        };
        let Some(phone) = page.phone.as_ref().and_then(|phone| self.phones.get_mut(phone)) else { return };
        if phone.hardness.fails_logout() {
            page.tell(ToPage::Refused { request, error: "internal-server-error" });
            return;
        }
        phone.unlink();
        page.dismiss(ToPage::Done { request });
    }

    fn redeliver(&mut self, id: ConnectionId, ids: &[String]) {
        let Some((page, phone)) = self.in_force(id) else { return };
        let messages = phone.queue.again(ids);
        if !messages.is_empty() {
            page.tell(ToPage::Messages { messages });
        }
    }

    fn log_in(&mut self, id: ConnectionId, login: Login, now: UnixMillis) -> Vec<Later> {
        let Some(page) = self.pages.get_mut(&id).filter(|page| page.phone.is_none()) else {
            return Vec::new();
        };
        let number = login.device.split(':').next().unwrap_or_default();
        let known = self.phones.get_mut(number).filter(|phone| {
            let device = phone.device.as_ref();
            device.is_some_and(|known| known.id == login.device && known.token == login.token)
        });
        let is_down = self.down_until.is_some_and(|until| now < until)
            || known.as_ref().is_some_and(|p| p.is_down(now));
        if is_down {
            page.outlet.close();
            return Vec::new();
        }
        let Some(phone) = known else {
            page.tell(ToPage::LoggedOut { reason: LogoutReason::UnknownDevice });
            return Vec::new();
        };
        let regressed_by = phone.device.as_mut().map_or(0, |device| {
            let behind = device.counter.saturating_sub(login.counter);
            device.counter = login.counter;
            behind
        });
        (page.phone, page.life) = (Some(number.to_owned()), login.life);
        page.regressed = regressed_by > 0;
        // It has asked for its phone's settings itself, unless it had no phone then.
        let settings = phone.hardness.of_page();
        if settings != self.hardness.of_page() {
            page.tell(ToPage::Settings { settings });
        }
        page.tell(ToPage::Welcome);
        let later = after_welcome(page, phone, number, now);
        let replaced = phone.current.replace(id);
        phone.queue.return_all();
        if let Some(older) = replaced.and_then(|older| self.pages.get_mut(&older)) {
            older.dismiss(ToPage::Conflict);
        }
        self.journal.opened(Connection {
            phone: number.to_owned(),
            device: login.device.clone(),
            id,
            opened_at_ms: now,
            closed_at_ms: None,
            regressed_by,
            queries: 0,
        });
        self.deliver(number);
        later
    }

    fn received(&mut self, id: ConnectionId, ids: &[String], counter: u64) {
        let Some((page, phone)) = self.in_force(id) else { return };
        phone.queue.acknowledge(ids);
        phone.advance(counter);
        let number = page.phone.clone().unwrap_or_default();
        self.deliver(&number);
    }

    /// The page and its phone, when its connection is the one in force.
    pub(super) fn in_force(&mut self, id: ConnectionId) -> Option<(&Page, &mut Phone)> {
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
        let in_flight = usize::try_from(phone.hardness.in_flight).unwrap_or(usize::MAX);
        let messages = phone.queue.take(in_flight);
        if !messages.is_empty() {
            page.tell(ToPage::Messages { messages });
        }
    }
}

/// What a page is told right after its login, before messages, and what it is to be told after a while.
fn after_welcome(page: &Page, phone: &mut Phone, number: &str, now: UnixMillis) -> Vec<Later> {
    let mut later = Vec::new();
    if std::mem::take(&mut phone.history_due) && phone.hardness.history > 0 {
        let mut recent = history::of(number, phone.hardness.history, now);
        let older = recent.split_off(recent.len().div_ceil(2));
        page.tell(ToPage::History { messages: recent });
        later.push(Due::Tell(ToPage::History { messages: older }).after_ms(history::NEXT_CHUNK_MS));
    }
    for id in &phone.retries {
        page.tell(ToPage::Retry { id: id.clone() });
    }
    if !phone.receipts.is_empty() {
        page.tell(ToPage::Backlog { receipts: phone.receipts.keys().cloned().collect() });
    }
    let after_ms = phone.hardness.receipt_after_ms;
    later.extend(
        phone.receipts.keys().map(|stanza| Due::Receipt { stanza: stanza.clone() }.after_ms(after_ms)),
    );
    if phone.reloads > 0 {
        phone.reloads -= 1;
        later.push(Due::Tell(ToPage::Reload).after_ms(phone.reload_after_ms));
    }
    later
}
