//! Printing: rows as a table for people, or as JSON or YAML for programs. Tables have no rules between the cells, so that `awk` and `cut` can
//! read them as people can.

use std::io::{self, Write};

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;

use crate::{
    failure::Failure,
    globals::Format,
    text::{beginning, to_stderr, visible, visible_lines},
};

/// Something that can be printed: its fields as JSON or YAML, chosen ones as a row of a table, all of them line by line.
pub trait Row: Serialize {
    /// The columns of the table.
    const HEADER: &'static [&'static str];
    /// More columns, of the wide table.
    const WIDE: &'static [&'static str] = &[];
    /// How much of a cell a table or a stream shows, in characters. JSON and YAML have all of it, and so has the thing shown alone.
    const CELL_CHARS: usize = 120;
    /// One cell per column.
    fn cells(&self) -> Vec<String>;
    /// One cell per column of [`Row::WIDE`].
    fn wide_cells(&self) -> Vec<String> {
        Vec::new()
    }
    /// Name and value of each line when it is shown alone.
    fn details(&self) -> Vec<(&'static str, String)>;
}

/// Where a command prints its result. Notes go to stderr, so that the result can be piped.
pub struct Output {
    format: Format,
    out: Box<dyn Write + Send>,
}

impl Output {
    pub fn stdout(format: Format) -> Self {
        Self { format, out: Box::new(io::stdout()) }
    }

    /// Whether a program reads it, and not a person.
    pub fn is_data(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    fn is_wide(&self) -> bool {
        self.format == Format::Wide
    }

    /// The names of the columns of a stream's lines; nothing where those are objects.
    pub fn header<R: Row>(&mut self) -> Result<(), Failure> {
        let columns = columns_of::<R>(self.is_wide()).join("  ").to_uppercase();
        if self.is_data() { Ok(()) } else { self.text(&columns) }
    }

    /// A list: a table, or an array.
    pub fn list<R: Row>(&mut self, rows: &[R]) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide => self.text(&table_of(rows, self.is_wide())),
            Format::Json | Format::Yaml => self.data(rows),
        }
    }

    /// One thing: a line per field, or an object.
    pub fn one<R: Row>(&mut self, row: &R) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide => self.text(&details_of(row)),
            Format::Json | Format::Yaml => self.data(row),
        }
    }

    /// One of a stream: a line with its cells, an object on one line, or a document.
    pub fn event<R: Row>(&mut self, row: &R) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide => self.text(&line_of(row, self.is_wide())),
            Format::Json => {
                let line = serde_json::to_string(row).map_err(|e| Failure::Print(e.into()))?;
                self.raw(format!("{line}\n").as_bytes())
            }
            Format::Yaml => {
                let document = yaml(row)?;
                self.raw(format!("---\n{document}").as_bytes())
            }
        }
    }

    /// Lines for people; whatever in them commands a terminal is escaped.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.raw(format!("{}\n", visible_lines(text)).as_bytes())
    }

    /// For people, beside the result.
    pub fn note(&self, text: &str) {
        to_stderr(text);
    }

    /// An object that is more than a row.
    pub fn data<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let text = match self.format {
            Format::Yaml => yaml(value)?,
            Format::Json | Format::Table | Format::Wide => {
                let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Print(e.into()))?;
                format!("{text}\n")
            }
        };
        self.raw(text.as_bytes())
    }

    /// For programs: as it is.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).and_then(|()| self.out.flush()).map_err(Failure::Print)
    }
}

/// With the fields, the order and the values of the JSON.
pub fn yaml<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    let written = serde_saphyr::to_string(&value);
    let text = written.map_err(|error| Failure::Print(io::Error::other(error.to_string())))?;
    Ok(if text.ends_with('\n') { text } else { format!("{text}\n") })
}

fn table_of<R: Row>(rows: &[R], wide: bool) -> String {
    let mut table = bare();
    table.set_header(columns_of::<R>(wide).iter().map(|name| name.to_uppercase()));
    table.add_rows(rows.iter().map(|row| cells_of(row, wide)));
    finish(table)
}

fn columns_of<R: Row>(wide: bool) -> Vec<&'static str> {
    let more = if wide { R::WIDE } else { &[] };
    [R::HEADER, more].concat()
}

fn details_of<R: Row>(row: &R) -> String {
    let mut table = bare();
    table.add_rows(row.details().iter().map(|(name, value)| [format!("{name}:"), filled(visible(value))]));
    finish(table)
}

fn line_of<R: Row>(row: &R, wide: bool) -> String {
    cells_of(row, wide).join("  ")
}

fn cells_of<R: Row>(row: &R, wide: bool) -> Vec<String> {
    let mut cells = row.cells();
    if wide {
        cells.extend(row.wide_cells());
    }
    cells.iter().map(|cell| filled(beginning(cell, R::CELL_CHARS))).collect()
}

/// An empty cell would shift the columns of whoever splits at blanks.
fn filled(cell: String) -> String {
    if cell.is_empty() { "-".to_owned() } else { cell }
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
