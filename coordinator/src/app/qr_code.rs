//! The QR code of a session, in every form in which somebody may want it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcode::{QrCode as Modules, render::svg};
use roost_model::ids::TenantId;
use roost_store::{QrCode, StoreError};
use time::OffsetDateTime;

use super::{App, Error, Refusal};

/// At least so many units a side, as the PNG has pixels; a reader scales it as it likes.
const SVG_SIDE: u32 = 264;
const DATA_URI: &str = "data:image/png;base64,";

/// In what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QrForm {
    Text,
    PngDataUri,
    Png,
    Svg,
}

/// A code in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrPicture {
    pub content: Vec<u8>,
    pub content_type: &'static str,
    pub expires_at: OffsetDateTime,
}

impl App {
    /// The code that waits to be scanned now.
    pub async fn qr_code(&self, tenant: &TenantId, form: QrForm) -> Result<QrPicture, Error> {
        let session = self.get_session(tenant).await?;
        match session.code(OffsetDateTime::now_utc()) {
            Some(code) => Ok(picture(code, form)?),
            None => {
                let (tenant, status) = (tenant.clone(), session.status);
                Err(match session.scan_paused_at {
                    Some(_) => Refusal::ScanPaused { tenant },
                    None => Refusal::NoCode { tenant, status },
                }
                .into())
            }
        }
    }
}

/// The node has drawn it once, so that whoever reads the session has a picture; a vector is drawn here, for few ask for one.
fn picture(code: &QrCode, form: QrForm) -> Result<QrPicture, StoreError> {
    let (content, content_type) = match form {
        QrForm::Text => (code.text.clone().into_bytes(), "text/plain; charset=utf-8"),
        QrForm::PngDataUri => (code.data_uri.clone().into_bytes(), "text/plain; charset=utf-8"),
        QrForm::Png => (png(&code.data_uri)?, "image/png"),
        QrForm::Svg => (svg(&code.text)?.into_bytes(), "image/svg+xml"),
    };
    Ok(QrPicture { content, content_type, expires_at: code.expires_at })
}

fn png(data_uri: &str) -> Result<Vec<u8>, StoreError> {
    let encoded = data_uri.strip_prefix(DATA_URI).ok_or_else(|| corrupt("it is no data URI of a PNG"))?;
    STANDARD.decode(encoded).map_err(|error| corrupt(&error.to_string()))
}

fn svg(text: &str) -> Result<String, StoreError> {
    let modules = Modules::new(text).map_err(|error| corrupt(&error.to_string()))?;
    Ok(modules.render::<svg::Color>().min_dimensions(SVG_SIDE, SVG_SIDE).quiet_zone(true).build())
}

fn corrupt(reason: &str) -> StoreError {
    StoreError::Corrupt { what: "a QR code", reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> QrCode {
        let data_uri = format!("{DATA_URI}{}", STANDARD.encode(b"a picture"));
        QrCode { text: "2@roost".into(), data_uri, expires_at: OffsetDateTime::UNIX_EPOCH }
    }

    fn drawn(form: QrForm) -> (String, &'static str) {
        let QrPicture { content, content_type, .. } = picture(&code(), form).unwrap();
        (String::from_utf8(content).unwrap(), content_type)
    }

    #[test]
    fn each_form_is_of_the_same_code() {
        assert_eq!(drawn(QrForm::Text).0, code().text);
        assert_eq!(drawn(QrForm::PngDataUri).0, code().data_uri);
        assert_eq!(drawn(QrForm::Png), ("a picture".to_owned(), "image/png"));
    }

    /// The dark modules of a vector, as the path's rectangles say them: `M4 4h9v9H4V4`.
    #[test]
    fn a_vector_has_the_modules_of_the_code_and_a_margin() {
        let (vector, content_type) = drawn(QrForm::Svg);
        assert_eq!(content_type, "image/svg+xml");
        let width = Modules::new("2@roost").unwrap().width();
        let scale = (SVG_SIDE as usize).div_ceil(width + 8);
        let dark = Modules::new("2@roost")
            .unwrap()
            .to_colors()
            .iter()
            .filter(|c| **c == qrcode::Color::Dark)
            .count();
        assert_eq!(vector.matches(&format!("h{scale}v{scale}")).count(), dark, "{vector}");
        let corner = format!("M{0} {0}h{scale}", 4 * scale);
        assert!(vector.contains(&corner), "{corner}: {vector}");
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        let broken = QrCode { data_uri: "gone".into(), ..code() };
        assert!(matches!(picture(&broken, QrForm::Png), Err(StoreError::Corrupt { .. })));
        let too_long = QrCode { text: "x".repeat(10_000), ..code() };
        assert!(matches!(picture(&too_long, QrForm::Svg), Err(StoreError::Corrupt { .. })));
    }
}
