//! What an order or a look leaves in the audit, whichever face it came by.

use std::net::IpAddr;

use roost_store::AuditEntry;

use super::{
    Caller,
    calls::{Audited, Call},
};

/// Whether an answer is to be written down.
pub fn is_audited(call: &Call, caller: &Caller) -> bool {
    match call.audited {
        Audited::Order => true,
        Audited::Content | Audited::Look => caller.grant().tenant().is_none(),
        Audited::Question => false,
    }
}

/// Whether it is a look of one who runs the cluster, who is to say why.
pub fn is_look(call: &Call, caller: &Caller) -> bool {
    call.audited == Audited::Look && caller.grant().tenant().is_none()
}

/// What is known before the answer.
pub fn entry(call: &Call, caller: &Caller, origin: IpAddr) -> AuditEntry {
    AuditEntry {
        caller: caller.name().to_owned(),
        role: caller.grant().role(),
        call: call.name().to_owned(),
        tenant: caller.grant().tenant().cloned(),
        node: None,
        origin: origin.to_string(),
        result: String::new(),
        requested_by: String::new(),
        reason: String::new(),
        is_look: is_look(call, caller),
    }
}
