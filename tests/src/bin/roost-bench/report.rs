//! The table.

use std::fmt;

pub use roost_tests::load::percentile;

#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    roost: String,
    baseline: String,
    bound: String,
    holds: bool,
}

impl Report {
    pub fn row(
        &mut self,
        what: impl Into<String>,
        roost: impl Into<String>,
        baseline: impl Into<String>,
        bound: impl Into<String>,
        holds: bool,
    ) {
        let row = Row {
            what: what.into(),
            roost: roost.into(),
            baseline: baseline.into(),
            bound: bound.into(),
            holds,
        };
        eprintln!("measured: {}: {} ({})", row.what, row.roost, row.baseline);
        self.rows.push(row);
    }

    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.holds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | Roost | baseline | bound | holds |\n|---|---|---|---|---|")?;
        for Row { what, roost, baseline, bound, holds } in &self.rows {
            let holds = if *holds { "yes" } else { "**no**" };
            writeln!(f, "| {what} | {roost} | {baseline} | {bound} | {holds} |")?;
        }
        Ok(())
    }
}
