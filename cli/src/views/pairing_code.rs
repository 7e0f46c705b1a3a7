//! A code that is typed on the phone.

use roost_proto::v1::PairingCode;
use serde::Serialize;

use super::rfc3339;
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct PairingCodeView {
    tenant_id: String,
    code: String,
    expire_time: Option<String>,
    phone_number: String,
    /// As the phone asks for it: in two halves.
    #[serde(skip)]
    typed: String,
}

impl PairingCodeView {
    pub fn new(tenant: &str, given: PairingCode) -> Self {
        let PairingCode { code, expire_time, phone_number } = given;
        let typed = match code.split_at_checked(code.len() / 2) {
            Some((first, second)) if !first.is_empty() => format!("{first}-{second}"),
            _ => code.clone(),
        };
        Self { tenant_id: tenant.to_owned(), code, expire_time: rfc3339(&expire_time), phone_number, typed }
    }

    pub fn typed(&self) -> &str {
        &self.typed
    }
}

impl Row for PairingCodeView {
    const HEADER: &'static [&'static str] = &["tenant", "code", "phone", "expires"];

    fn cells(&self) -> Vec<String> {
        let expires = self.expire_time.clone().unwrap_or_default();
        vec![self.tenant_id.clone(), self.typed.clone(), self.phone_number.clone(), expires]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
