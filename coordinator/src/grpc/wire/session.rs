//! Sessions and their QR codes.

use roost_proto::v1;
use roost_store::{LinkedAccount, QrCode, Session};
use time::OffsetDateTime;

use super::{session_status, timestamp};
use crate::app::{PairingCode, QrForm, QrPicture};

pub fn session(row: Session) -> v1::Session {
    v1::Session {
        qr: row.code(OffsetDateTime::now_utc()).cloned().map(qr),
        tenant_id: row.tenant.into(),
        status: session_status(row.status).into(),
        connect_time: row.connected_at.map(timestamp),
        last_seen_time: row.last_seen_at.map(timestamp),
        snapshot_time: row.snapshot_at.map(timestamp),
        account: row.account.map(account),
        scan_pause_time: row.scan_paused_at.map(timestamp),
        import_time: row.imported_at.map(timestamp),
        logout_problem: String::new(),
    }
}

fn account(row: LinkedAccount) -> v1::LinkedAccount {
    v1::LinkedAccount {
        phone_number: format!("+{}", row.number),
        push_name: row.push_name,
        platform: row.platform,
        link_time: Some(timestamp(row.linked_at)),
    }
}

fn qr(row: QrCode) -> v1::QrCode {
    v1::QrCode { text: row.text, data_uri: row.data_uri, expire_time: Some(timestamp(row.expires_at)) }
}

pub fn qr_form(format: v1::QrFormat) -> QrForm {
    match format {
        v1::QrFormat::Text => QrForm::Text,
        v1::QrFormat::PngDataUri => QrForm::PngDataUri,
        v1::QrFormat::Png | v1::QrFormat::Unspecified => QrForm::Png,
        v1::QrFormat::Svg => QrForm::Svg,
    }
}

pub fn qr_picture(picture: QrPicture) -> v1::DrawQrCodeResponse {
    v1::DrawQrCodeResponse {
        content: picture.content,
        content_type: picture.content_type.to_owned(),
        expire_time: Some(timestamp(picture.expires_at)),
    }
}

pub fn pairing_code(code: PairingCode) -> v1::PairingCode {
    v1::PairingCode {
        code: code.text,
        expire_time: Some(timestamp(code.expires_at)),
        phone_number: code.phone,
    }
}
