//! Printing: rows as a table for people or as JSON for programs.

mod table;

pub use table::visible;

use std::io::{self, Write};

use serde::Serialize;

use crate::{args::Format, failure::Failure};

/// Something that can be printed: its fields as JSON, chosen ones as a row of a table, all of them line by line.
pub trait Row: Serialize {
    /// The columns of the table.
    const HEADER: &'static [&'static str];
    /// One cell per column.
    fn cells(&self) -> Vec<String>;
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

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A list: a table, or an array.
    pub fn list<R: Row>(&mut self, rows: &[R]) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.text(&table::list(rows)),
            Format::Json => self.json(rows),
        }
    }

    /// One thing: a line per field, or an object.
    pub fn one<R: Row>(&mut self, row: &R) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.text(&table::details(row)),
            Format::Json => self.json(row),
        }
    }

    /// One of a stream: a line with its cells, or an object on one line.
    pub fn event<R: Row>(&mut self, row: &R) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.text(&table::line(row)),
            Format::Json => self.text(&serde_json::to_string(row).map_err(|e| Failure::Print(e.into()))?),
        }
    }

    /// Text as it is, with a line end.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}").and_then(|()| self.out.flush()).map_err(Failure::Print)
    }

    /// For people, beside the result.
    pub fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    /// An object that is more than a row.
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.text(&serde_json::to_string_pretty(value).map_err(|e| Failure::Print(e.into()))?)
    }
}
