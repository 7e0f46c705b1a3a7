//! One tenant's WhatsApp session and the QR code that it shows.

use roost_proto::v1::{Session, SessionStatus};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct SessionView {
    tenant_id: String,
    status: String,
    qr: Option<QrView>,
    connect_time: Option<String>,
    last_seen_time: Option<String>,
    snapshot_time: Option<String>,
    scan_pause_time: Option<String>,
    import_time: Option<String>,
    account: Option<AccountView>,
    #[serde(skip_serializing_if = "String::is_empty")]
    logout_problem: String,
}

#[derive(Debug, Serialize)]
struct AccountView {
    phone_number: String,
    push_name: String,
    platform: String,
    link_time: Option<String>,
}

#[derive(Debug, Serialize)]
struct QrView {
    text: String,
    data_uri: String,
    expire_time: Option<String>,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            status: enum_name(session.status, "SESSION_STATUS_", SessionStatus::as_str_name),
            connect_time: rfc3339(&session.connect_time),
            last_seen_time: rfc3339(&session.last_seen_time),
            snapshot_time: rfc3339(&session.snapshot_time),
            account: session.account.map(|account| AccountView {
                phone_number: account.phone_number,
                push_name: account.push_name,
                platform: account.platform,
                link_time: rfc3339(&account.link_time),
            }),
            scan_pause_time: rfc3339(&session.scan_pause_time),
            import_time: rfc3339(&session.import_time),
            logout_problem: session.logout_problem,
            tenant_id: session.tenant_id,
            qr: session.qr.map(|qr| QrView {
                expire_time: rfc3339(&qr.expire_time),
                text: qr.text,
                data_uri: qr.data_uri,
            }),
        }
    }
}

impl Row for SessionView {
    const HEADER: &'static [&'static str] =
        &["tenant", "status", "code expires", "connected", "last seen", "saved"];

    fn cells(&self) -> Vec<String> {
        let expires = self.qr.as_ref().and_then(|qr| qr.expire_time.clone());
        vec![
            self.tenant_id.clone(),
            self.status.clone(),
            expires.unwrap_or_default(),
            ago(self.connect_time.as_deref()),
            ago(self.last_seen_time.as_deref()),
            ago(self.snapshot_time.as_deref()),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let all = Self::HEADER.iter().copied().zip(self.cells());
        let problem = Some(("problem", self.logout_problem.clone())).filter(|(_, text)| !text.is_empty());
        let paused = self.scan_pause_time.as_deref().map(|since| ("no codes since", ago(Some(since))));
        let imported = self.import_time.as_deref().map(|at| ("imported", ago(Some(at))));
        let account = self.account.iter().flat_map(|account| {
            [
                ("phone", account.phone_number.clone()),
                ("push name", account.push_name.clone()),
                ("platform", account.platform.clone()),
                ("linked", ago(account.link_time.as_deref())),
            ]
        });
        all.chain(account).chain(imported).chain(paused).chain(problem).collect()
    }
}
