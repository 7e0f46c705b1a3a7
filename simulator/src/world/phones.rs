//! The phones' side: what the control API does.

use std::time::Duration;

use super::{ControlError, Incoming, Page, Standing, World};
use crate::clock::UnixMillis;
use crate::delivery::Refused;
use crate::journal::{ConnectionId, Report};
use crate::linking::Lookup;
use crate::phone::Phone;
use crate::sent::SentMessage;
use crate::typed_codes::Mistyped;
use crate::wire::{Delivery, LogoutReason, ToPage};

impl World {
    /// Links the page that shows `code` to a phone. Returns the new device.
    pub fn scan(&mut self, code: &str, number: &str, pushname: String) -> Result<String, ControlError> {
        let mut parts = code.split(',');
        let reference = parts.next().unwrap_or_default().to_owned();
        let id = match self.codes.look_up(&reference) {
            Lookup::ShownBy(id) => id,
            Lookup::Retired => return Err(ControlError::RetiredCode),
            Lookup::Unknown => return Err(ControlError::UnknownCode),
        };
        let page = self.pages.get(&id).ok_or(ControlError::RetiredCode)?;
        // The bare reference is accepted; a complete code has to be the page's own.
        if let (Some(noise), Some(identity)) = (parts.next(), parts.next()) {
            let shown =
                page.keys.as_ref().is_some_and(|keys| keys.noise == noise && keys.identity == identity);
            if !shown {
                return Err(ControlError::ForeignKeys);
            }
        }
        self.codes.retire(reference);
        Ok(self.pair(id, number, pushname))
    }

    /// The phone's owner types the code that a page shows for this number. Returns the new device.
    pub fn type_code(
        &mut self,
        code: &str,
        number: &str,
        pushname: String,
        now: UnixMillis,
    ) -> Result<String, ControlError> {
        let phone = || number.to_owned();
        let id = self.typed_codes.type_in(number, code, now).map_err(|mistyped| match mistyped {
            Mistyped::Unknown => ControlError::NoTypedCode { phone: phone() },
            Mistyped::Expired => ControlError::ExpiredTypedCode { phone: phone() },
            Mistyped::Wrong => ControlError::WrongTypedCode { phone: phone() },
            Mistyped::Void => ControlError::VoidTypedCode { phone: phone() },
        })?;
        // The page is gone, or was linked in another way.
        let page = self.pages.get(&id).filter(|page| page.phone.is_none());
        let page = page.ok_or_else(|| ControlError::NoTypedCode { phone: phone() })?;
        if let Some(reference) = page.code.clone() {
            self.codes.retire(reference);
        }
        Ok(self.pair(id, number, pushname))
    }

    fn pair(&mut self, id: ConnectionId, number: &str, pushname: String) -> String {
        let phone = self.phones.entry(number.to_owned()).or_insert_with(|| Phone::new(self.hardness.clone()));
        if let Some(former) = phone.current.and_then(|former| self.pages.get_mut(&former)) {
            former.dismiss(ToPage::LoggedOut { reason: LogoutReason::Replaced });
        }
        let device = phone.link(number, pushname.clone());
        let (device, token) = (device.id.clone(), device.token.clone());
        let paired = ToPage::Paired {
            phone: number.to_owned(),
            pushname,
            lid: lid_of(number),
            device: device.clone(),
            token,
        };
        if let Some(page) = self.pages.get_mut(&id) {
            page.code = None;
            page.tell(paired);
        }
        device
    }

    /// Queues a message for the phone's device and hands it over if that is connected.
    pub fn message(&mut self, number: &str, incoming: Incoming, now: UnixMillis) -> Result<(), ControlError> {
        let phone = self.linked(number)?;
        let id = incoming.id;
        let delivery = Delivery {
            id: id.clone(),
            pushname: format!("Customer {}", incoming.from.split('@').next().unwrap_or_default()),
            chat: incoming.chat,
            from: incoming.from,
            body: incoming.body,
            t: now.seconds(),
            redelivered: false,
        };
        phone.queue.push(delivery).map_err(|refused| match refused {
            Refused::Full => ControlError::QueueFull { phone: number.to_owned() },
            Refused::AlreadyQueued => ControlError::AlreadyQueued { id },
        })?;
        self.deliver(number);
        Ok(())
    }

    /// The phone unlinks its device, which learns of it now or when it connects.
    pub fn log_out(&mut self, number: &str) -> Result<(), ControlError> {
        let phone = self.linked(number)?;
        phone.unlink();
        if let Some(page) = phone.current.and_then(|id| self.pages.get_mut(&id)) {
            page.dismiss(ToPage::LoggedOut { reason: LogoutReason::Phone });
        }
        Ok(())
    }

    /// Cuts the connections of one phone, or of all pages, and turns logins away for a while.
    pub fn cut(
        &mut self,
        number: Option<&str>,
        period: Duration,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        match number {
            Some(number) => self.linked(number)?.take_down(now, period),
            None => self.down_until = Some(now.plus(period)),
        }
        for page in self.pages.values().filter(|page| number.is_none() || page.phone.as_deref() == number) {
            page.outlet.close();
        }
        Ok(())
    }

    pub fn conflict(&mut self, number: &str) -> Result<(), ControlError> {
        self.connected(number)?.dismiss(ToPage::Conflict);
        Ok(())
    }

    pub fn outdated(&mut self, number: &str) -> Result<(), ControlError> {
        self.connected(number)?.dismiss(ToPage::Outdated);
        Ok(())
    }

    /// The connection stays open, but nothing goes through it any more. A new one of the device is sound.
    pub fn hang(&mut self, number: &str) -> Result<(), ControlError> {
        self.connected(number)?.standing = Standing::Deaf;
        Ok(())
    }

    /// The page loads itself anew, now and so many times more, each so long after it has logged in.
    pub fn reload(&mut self, number: &str, times: u64, after_ms: u64) -> Result<(), ControlError> {
        self.connected(number)?.tell(ToPage::Reload);
        let phone = self.linked(number)?;
        (phone.reloads, phone.reload_after_ms) = (times.saturating_sub(1), after_ms);
        Ok(())
    }

    pub fn sent(&self, number: &str, after: u64) -> Result<Vec<SentMessage>, ControlError> {
        let phone =
            self.phones.get(number).ok_or_else(|| ControlError::UnknownPhone { phone: number.to_owned() })?;
        Ok(phone.sent.after(after))
    }

    pub fn report(&self) -> Report {
        self.journal.report()
    }

    pub(super) fn linked(&mut self, number: &str) -> Result<&mut Phone, ControlError> {
        let phone =
            self.phones.get_mut(number).ok_or(ControlError::UnknownPhone { phone: number.to_owned() })?;
        if phone.device.is_none() {
            return Err(ControlError::NotLinked { phone: number.to_owned() });
        }
        Ok(phone)
    }

    pub(super) fn connected(&mut self, number: &str) -> Result<&mut Page, ControlError> {
        let current = self.linked(number)?.current;
        let page = current.and_then(|id| self.pages.get_mut(&id));
        page.ok_or_else(|| ControlError::NotConnected { phone: number.to_owned() })
    }
}

/// The other address of a phone, as WhatsApp gives every account one.
fn lid_of(number: &str) -> String {
    format!("1{}", number.chars().rev().collect::<String>())
}
