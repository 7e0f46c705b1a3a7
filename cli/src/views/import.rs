//! What came of the import of a session.

use serde::Serialize;

use super::snapshot::kibibytes;
use crate::output::Row;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportResult {
    /// Of a plan: it would be imported.
    Ready,
    Imported,
    /// By an import before.
    DoneBefore,
    Failed,
}

#[derive(Debug, Serialize)]
pub struct ImportView {
    pub tenant_id: String,
    pub result: ImportResult,
    /// Of the files that make the session.
    pub size_bytes: Option<i64>,
    pub snapshot_id: Option<String>,
    pub error: Option<String>,
}

impl ImportView {
    pub fn ready(tenant_id: String, bytes: u64) -> Self {
        Self { size_bytes: i64::try_from(bytes).ok(), ..Self::bare(tenant_id, ImportResult::Ready) }
    }

    pub fn imported(tenant_id: String, bytes: u64, snapshot: String) -> Self {
        let snapshot_id = Some(snapshot);
        Self { result: ImportResult::Imported, snapshot_id, ..Self::ready(tenant_id, bytes) }
    }

    pub fn done_before(tenant_id: String, snapshot: String) -> Self {
        Self { snapshot_id: Some(snapshot), ..Self::bare(tenant_id, ImportResult::DoneBefore) }
    }

    pub fn failed(tenant_id: String, error: String) -> Self {
        Self { error: Some(error), ..Self::bare(tenant_id, ImportResult::Failed) }
    }

    fn bare(tenant_id: String, result: ImportResult) -> Self {
        Self { tenant_id, result, size_bytes: None, snapshot_id: None, error: None }
    }
}

impl Row for ImportView {
    const HEADER: &'static [&'static str] = &["tenant", "result", "size", "snapshot", "error"];
    const CELL_CHARS: usize = 400;

    fn cells(&self) -> Vec<String> {
        let result = match self.result {
            ImportResult::Ready => "READY",
            ImportResult::Imported => "IMPORTED",
            ImportResult::DoneBefore => "DONE_BEFORE",
            ImportResult::Failed => "FAILED",
        };
        vec![
            self.tenant_id.clone(),
            result.to_owned(),
            self.size_bytes.map(kibibytes).unwrap_or_default(),
            self.snapshot_id.clone().unwrap_or_default(),
            self.error.clone().unwrap_or_default(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).filter(|(_, value)| !value.is_empty()).collect()
    }
}
