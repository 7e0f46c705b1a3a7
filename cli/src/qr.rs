//! A QR code for the terminal: two rows of modules per line of text, with the quiet zone that readers need.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2, types::QrError};

/// The code as lines of half blocks, drawn for a dark terminal. On a light one it is inverted, which phones read too.
pub fn draw(text: &str) -> Result<String, QrError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
    // What is drawn shines, so it is the light modules that are drawn.
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_as_wide_as_its_modules_and_half_as_high() {
        let drawn = draw("2@roost").unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        // 21 modules and a quiet zone of 4 on each side.
        assert!(lines.iter().all(|line| line.chars().count() == 29));
        assert_eq!(lines.len(), 15);
    }
}
