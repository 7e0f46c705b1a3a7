//! What the controller says of itself in the row of its term.

use std::time::Duration;

use roost_cluster::ledger::{Complaint, ComplaintKind};
use roost_model::ids::Term;
use time::OffsetDateTime;

use super::PostgresLedger;
use crate::{
    Store, StoreError,
    columns::{span, storable},
};

/// The present controller, or the last one, as it has described itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentController {
    pub term: Term,
    /// `coordinator/<id>` or `node/<id>`; empty before the first one.
    pub holder: String,
    /// What was last in its way, and since when it is of that kind.
    pub complaint: Option<(Complaint, OffsetDateTime)>,
    /// Since the last sign of life, of which a controller gives one in a TTL.
    pub silent_for: Duration,
}

impl PostgresLedger {
    /// The one statement whose row is the fence itself: an update of it is as good as a lock.
    pub(super) async fn write_complaint(
        &self,
        term: Term,
        complaint: Option<&Complaint>,
    ) -> Result<(), StoreError> {
        let reason = complaint.map(|complaint| storable(&complaint.reason)).unwrap_or_default();
        let query = sqlx::query!(
            r#"update controller_term set
                complaint_kind = $2, complaint = $3,
                complaint_since = case
                    when $2::text is null then null
                    when complaint_kind = $2 then complaint_since
                    else now()
                end
            where term = $1 returning term"#,
            term.0,
            complaint.map(|complaint| complaint.kind.as_str()),
            reason.as_ref(),
        );
        let row = self.store.maybe("write the controller's complaint", query).await?;
        self.check(row.is_some()).await
    }
}

impl Store {
    pub async fn present_controller(&self) -> Result<PresentController, StoreError> {
        let query = sqlx::query!(
            r#"select term, holder, complaint_kind, complaint, complaint_since,
                extract(epoch from clock_timestamp() - seen_at)::float8 as "silent_s!"
            from controller_term"#
        );
        let row = self.one("read how the controller is", query).await?;
        let complaint = row.complaint_kind.zip(row.complaint_since).map(|(kind, since)| {
            let kind = ComplaintKind::from_written(&kind);
            (Complaint { kind, reason: row.complaint }, since)
        });
        let silent_for = span(row.silent_s);
        Ok(PresentController { term: Term(row.term), holder: row.holder, complaint, silent_for })
    }
}
