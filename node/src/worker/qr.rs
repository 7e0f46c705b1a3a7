//! A linking code as a picture for browsers and chat tools: a PNG in a data URI.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat, Luma};
use qrcode::QrCode;

/// At least so many pixels a side, so that a phone reads it off a screen.
const SIDE_PX: u32 = 264;

/// Why a code could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    #[error("the code does not fit a QR code")]
    TooLong(#[from] qrcode::types::QrError),
    #[error("the QR code could not be written as a PNG")]
    Png(#[from] image::ImageError),
}

/// `data:image/png;base64,...` of the code.
pub fn data_uri(text: &str) -> Result<String, QrError> {
    let picture = QrCode::new(text)?.render::<Luma<u8>>().min_dimensions(SIDE_PX, SIDE_PX).build();
    let mut png = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(picture).write_to(&mut png, ImageFormat::Png)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png.into_inner())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_png_of_readable_size() {
        let uri = data_uri("2@AbCdEf,GhIjKl,MnOpQr,1").unwrap();
        let png = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let picture = image::load_from_memory(&png).unwrap();
        assert!(picture.width() >= SIDE_PX && picture.width() == picture.height());
    }

    #[test]
    fn a_text_that_fits_no_qr_code_is_an_error() {
        assert!(matches!(data_uri(&"x".repeat(10_000)), Err(QrError::TooLong(_))));
    }
}
