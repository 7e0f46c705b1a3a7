//! Tables for other programs, as CSV that no spreadsheet takes for anything but text.

use std::borrow::Cow;

/// By which spreadsheets know that the text is UTF-8, and the names of the columns.
pub fn begun(head: &str) -> Vec<u8> {
    format!("\u{feff}{head}\r\n").into_bytes()
}

/// What was begun, with these rows.
pub fn written(begun: Vec<u8>, rows: impl Iterator<Item = Vec<String>>) -> csv::Result<Vec<u8>> {
    let style = csv::QuoteStyle::Always;
    let mut table =
        csv::WriterBuilder::new().quote_style(style).terminator(csv::Terminator::CRLF).from_writer(begun);
    for row in rows {
        table.write_record(row.iter().map(|cell| harmless(cell).into_owned()))?;
    }
    table.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// What a spreadsheet would take for a formula begins with an apostrophe, which it shows as text.
fn harmless(cell: &str) -> Cow<'_, str> {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}
