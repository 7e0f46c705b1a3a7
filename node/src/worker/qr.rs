//! A linking code as a picture for browsers and chat tools: a PNG in a data URI.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcode::{Color, QrCode};

/// At least so many pixels a side, so that a phone reads it off a screen.
const SIDE_PX: usize = 264;
/// The white margin around a code that readers need, in modules.
const QUIET_ZONE: usize = 4;

/// Why a code could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    #[error("the code does not fit a QR code")]
    TooLong(#[from] qrcode::types::QrError),
    #[error("the QR code could not be written as a PNG")]
    Png(#[from] png::EncodingError),
}

/// `data:image/png;base64,...` of the code.
pub fn data_uri(text: &str) -> Result<String, QrError> {
    let code = QrCode::new(text)?;
    let modules = code.width() + 2 * QUIET_ZONE;
    let scale = SIDE_PX.div_ceil(modules);
    let picture = to_png(modules * scale, |x, y| {
        let module = |pixel: usize| (pixel / scale).checked_sub(QUIET_ZONE).filter(|at| *at < code.width());
        matches!((module(x), module(y)), (Some(x), Some(y)) if code[(x, y)] == Color::Dark)
    })?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(picture)))
}

/// A square of black and white pixels.
fn to_png(side: usize, is_black: impl Fn(usize, usize) -> bool) -> Result<Vec<u8>, png::EncodingError> {
    let pixels: Vec<u8> = (0..side * side)
        .map(|pixel| if is_black(pixel % side, pixel / side) { 0 } else { u8::MAX })
        .collect();
    let mut file = Vec::new();
    // Some hundred pixels: a QR code has at most 177 modules.
    let mut encoder = png::Encoder::new(&mut file, side as u32, side as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture as rows of modules, of one pixel each: `#` for black.
    fn modules_of(uri: &str) -> (usize, Vec<String>) {
        let file = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, info.height);
        let side = info.width as usize;
        let rows =
            pixels.chunks(side).map(|row| row.iter().map(|p| if *p == 0 { '#' } else { ' ' }).collect());
        (side, rows.collect())
    }

    #[test]
    fn a_code_is_a_square_png_of_readable_size_with_a_margin() {
        let text = "2@AbCdEf,GhIjKl,MnOpQr,1";
        let (side, rows) = modules_of(&data_uri(text).unwrap());
        assert!(side >= SIDE_PX);
        let width = QrCode::new(text).unwrap().width();
        let scale = side / (width + 2 * QUIET_ZONE);
        assert_eq!(side, scale * (width + 2 * QUIET_ZONE));
        assert!(rows[..QUIET_ZONE * scale].iter().all(|row| row.trim().is_empty()));
        // Every code has a square of seven modules in this corner.
        let first = &rows[QUIET_ZONE * scale];
        let (left, square) = (" ".repeat(QUIET_ZONE * scale), "#".repeat(7 * scale));
        assert!(first.starts_with(&(left + &square + " ")), "{first}");
    }

    #[test]
    fn the_modules_are_those_of_the_code() {
        let code = QrCode::new("roost").unwrap();
        let (side, rows) = modules_of(&data_uri("roost").unwrap());
        let scale = side / (code.width() + 2 * QUIET_ZONE);
        for y in 0..code.width() {
            for x in 0..code.width() {
                let pixel = |module: usize| (module + QUIET_ZONE) * scale + scale / 2;
                let is_black = rows[pixel(y)].as_bytes()[pixel(x)] == b'#';
                assert_eq!(is_black, code[(x, y)] == Color::Dark, "{x}, {y}");
            }
        }
    }

    #[test]
    fn a_text_that_fits_no_qr_code_is_an_error() {
        assert!(matches!(data_uri(&"x".repeat(10_000)), Err(QrError::TooLong(_))));
    }
}
