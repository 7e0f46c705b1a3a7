//! The frames between page and server, as JSON. The page's side is `page/boot.js`.

use serde::{Deserialize, Serialize};

use crate::hardness::PageSettings;
use crate::sent::Cause;

/// The public halves that a QR code carries beside its reference, in base64.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PairingKeys {
    pub noise: String,
    pub identity: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPage {
    /// A page without a session asks for pairing codes.
    Hello {
        keys: PairingKeys,
    },
    /// A page with a session resumes it. `counter` is its ratchet.
    Login {
        device: String,
        token: String,
        counter: u64,
        /// Names the document: each load of the page is a life of its own.
        #[serde(default)]
        life: String,
    },
    /// The messages are processed and on the page's disk.
    Received {
        ids: Vec<String>,
        counter: u64,
    },
    /// The page could not process the messages; they are to be delivered again.
    Rejected {
        ids: Vec<String>,
    },
    Send {
        id: String,
        to: String,
        body: String,
        counter: u64,
        #[serde(default)]
        cause: Cause,
    },
    Query {
        request: u64,
        wid: String,
    },
    /// It keeps the connection from being taken for dead.
    Ping,
    RefreshCode,
    /// A code that is typed on the phone of this number.
    LinkCode {
        request: u64,
        phone: String,
    },
    Logout {
        request: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPage {
    Code {
        reference: String,
    },
    Paired {
        phone: String,
        pushname: String,
        lid: String,
        device: String,
        token: String,
    },
    Welcome,
    Messages {
        messages: Vec<Delivery>,
    },
    Sent {
        id: String,
        t: u64,
    },
    /// What waited at the server for this device: the stanza ids whose receipts follow.
    Backlog {
        receipts: Vec<String>,
    },
    Receipt {
        chat: String,
        ids: Vec<String>,
        ack: i8,
    },
    Answer {
        request: u64,
        exists: bool,
    },
    LinkCode {
        request: u64,
        code: String,
    },
    Pong,
    /// A request was carried out, or refused.
    Done {
        request: u64,
    },
    Refused {
        request: u64,
        error: &'static str,
    },
    /// Messages of before the device was linked.
    History {
        messages: Vec<Delivery>,
    },
    /// A recipient could not decrypt the message.
    Retry {
        id: String,
    },
    /// The page is to be loaded anew.
    Reload,
    Settings {
        settings: PageSettings,
    },
    /// The session was opened elsewhere.
    Conflict,
    Outdated,
    LoggedOut {
        reason: LogoutReason,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The id of the queue, which the page acknowledges.
    pub id: String,
    pub chat: String,
    pub from: String,
    pub body: String,
    pub pushname: String,
    /// Unix seconds.
    pub t: u64,
    /// It was handed to a page before.
    pub redelivered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutReason {
    /// The phone unlinked the device.
    Phone,
    /// Another device was linked to the phone.
    Replaced,
    /// The server does not know the device, or its token is wrong.
    UnknownDevice,
}

/// Acks of a sent message, as WhatsApp numbers them.
pub const DELIVERED: i8 = 2;
