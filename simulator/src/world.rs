//! All state of the simulated WhatsApp and all its rules. No I/O; time is an argument.

mod pages;
mod phones;
mod sends;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use crate::clock::UnixMillis;
use crate::delivery::CAPACITY;
use crate::hardness::Hardness;
use crate::journal::{ConnectionId, Journal};
use crate::linking::Codes;
use crate::outlet::Outlet;
use crate::phone::Phone;
use crate::typed_codes::TypedCodes;
use crate::wire::{PairingKeys, ToPage};

#[derive(Debug, Default)]
pub struct World {
    pages: HashMap<ConnectionId, Page>,
    codes: Codes,
    typed_codes: TypedCodes,
    phones: HashMap<String, Phone>,
    journal: Journal,
    last_connection: u64,
    /// Of pages without a session, and of phones to come.
    hardness: Hardness,
    /// Every login is turned away until then.
    down_until: Option<UnixMillis>,
}

/// A page that is connected.
#[derive(Debug)]
struct Page {
    outlet: Outlet,
    keys: Option<PairingKeys>,
    code: Option<String>,
    /// Set once it has logged in.
    phone: Option<String>,
    life: String,
    /// Its ratchet is behind: nobody can decrypt what it sends but those who have asked once for more.
    regressed: bool,
    healed_chats: HashSet<String>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Sound,
    /// It was told to go (evicted, unlinked) and is not listened to while it still may act.
    Dismissed,
    /// Nothing goes through, in either direction, although the connection is open.
    Deaf,
}

impl World {
    pub fn new(hardness: Hardness) -> Self {
        Self { hardness, ..Self::default() }
    }
}

impl Page {
    fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            keys: None,
            code: None,
            phone: None,
            life: String::new(),
            regressed: false,
            healed_chats: HashSet::new(),
            standing: Standing::Sound,
        }
    }

    fn tell(&self, frame: ToPage) {
        if self.standing != Standing::Deaf {
            self.outlet.send(frame);
        }
    }

    /// Told once: what a page is dismissed for first is what it acts on.
    fn dismiss(&mut self, frame: ToPage) {
        if self.standing == Standing::Sound {
            self.tell(frame);
            self.standing = Standing::Dismissed;
        }
    }
}

/// Why a request of the control API was refused. The text says what to do about it.
#[derive(Debug, Error)]
pub enum ControlError {
    #[error("`{field}` {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("there is no build {file:?}; there are sound.html, broken-lookups.html and broken-sends.html")]
    UnknownBuild { file: String },
    #[error("code not known: pass the whole text of the QR code that a page shows")]
    UnknownCode,
    #[error("the code has rotated or was used: scan the one that the page shows now")]
    RetiredCode,
    #[error(
        "the keys in the code are not those of the page that shows it: pass the QR code's text unchanged"
    )]
    ForeignKeys,
    #[error("no page has asked for a code for phone {phone}, or it was used: have one ask")]
    NoTypedCode { phone: String },
    #[error(
        "the code is not the one that a page shows for phone {phone}: type that, or have it ask for another"
    )]
    WrongTypedCode { phone: String },
    #[error("the code for phone {phone} has expired: have the page ask for another")]
    ExpiredTypedCode { phone: String },
    #[error("the code for phone {phone} was mistyped too often and is void: have the page ask for another")]
    VoidTypedCode { phone: String },
    #[error("phone {phone} is not known: link a device to it first with /control/scan")]
    UnknownPhone { phone: String },
    #[error("phone {phone} has no linked device: link one with /control/scan")]
    NotLinked { phone: String },
    #[error("the device of phone {phone} is not connected: wait until /control/connections shows it open")]
    NotConnected { phone: String },
    #[error("message {id} is queued already: choose another `id`, or leave it out")]
    AlreadyQueued { id: String },
    #[error("{CAPACITY} messages wait for phone {phone}: let its page acknowledge some")]
    QueueFull { phone: String },
    #[error("{problem}")]
    Hardness { problem: String },
}

/// A message to a phone, as the control API gives it; addresses are complete (`255700@c.us`).
#[derive(Debug, Clone)]
pub struct Incoming {
    pub from: String,
    pub chat: String,
    pub body: String,
    pub id: String,
}
