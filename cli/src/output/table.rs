//! Tables without rules between the cells, so that `awk` and `cut` can read them as people can.

use comfy_table::{Table, presets::NOTHING};

use super::Row;

/// Text from outside may hold anything, also sequences that command a terminal: these are shown escaped.
pub fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

pub(super) fn list<R: Row>(rows: &[R]) -> String {
    let mut table = bare();
    table.set_header(R::HEADER.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows.iter().map(|row| row.cells().iter().map(|cell| filled(cell)).collect::<Vec<_>>()));
    finish(table)
}

pub(super) fn details<R: Row>(row: &R) -> String {
    let mut table = bare();
    table.add_rows(row.details().iter().map(|(name, value)| [format!("{name}:"), filled(value)]));
    finish(table)
}

pub(super) fn line<R: Row>(row: &R) -> String {
    row.cells().iter().map(|cell| filled(cell)).collect::<Vec<_>>().join("  ")
}

/// An empty cell would shift the columns of whoever splits at blanks.
fn filled(cell: &str) -> String {
    if cell.is_empty() { "-".to_owned() } else { visible(cell) }
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn finish(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_and_not_done() {
        assert_eq!(visible("red \u{1b}[31m\nHabari ☀"), "red \\u{1b}[31m\\nHabari ☀");
    }
}
