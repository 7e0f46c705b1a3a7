//! The snapshots of a session that an operator can choose from. A snapshot is in the list from the statement on that points to it
//! ([`Store::set_snapshot`]), which also cuts the list to the last [`SNAPSHOTS_KEPT`] and the last clean one: what the object store
//! keeps. Those that were passed over stay in it for as long as fewer than that are later.

use roost_model::ids::{Generation, NodeId, SessionNumber, TenantId};
use time::OffsetDateTime;

use crate::{SnapshotId, Store, StoreError, columns::optional_id};

/// How many of a session are kept beside the last clean one.
pub const SNAPSHOTS_KEPT: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSnapshot {
    pub id: SnapshotId,
    pub taken_at: OffsetDateTime,
    /// From a stopped browser, not from a frozen one.
    pub clean: bool,
    /// Of its files, as they are on disk; none if that is not known.
    pub bytes: Option<u64>,
    /// Whose owner took it, if that is known.
    pub node: Option<NodeId>,
    pub session: SessionNumber,
    pub state: SnapshotState,
    /// The pointer names it: a start on another node begins from it.
    pub is_newest: bool,
    /// The next start is ordered to begin from it.
    pub restore_ordered: bool,
    /// It is of a session that was logged out, wiped, or linked anew since.
    pub is_void: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "snapshot_state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SnapshotState {
    /// It can be gone back to.
    Kept,
    /// Found to be, when it was to be restored.
    Damaged,
    /// The tenant went back to one before it, by order.
    PassedOver,
}

impl Store {
    /// The newest first.
    pub async fn session_snapshots(&self, id: &TenantId) -> Result<Vec<ListedSnapshot>, StoreError> {
        let query = sqlx::query!(
            r#"select l.generation as "generation?", l.sequence as "sequence?", l.taken_at as "taken_at?",
                l.clean as "clean?", l.bytes, l.node, l.session_number as "session_number?",
                l.state as "state?: SnapshotState",
                (s.snapshot_manifest is not null
                    and (s.snapshot_generation, s.snapshot_sequence) = (l.generation, l.sequence)) is true as "is_newest!",
                ((s.restore_generation, s.restore_sequence) = (l.generation, l.sequence)) is true as "restore_ordered!",
                (s.forget or l.session_number < s.session_number) is true as "is_void!"
            from whatsapp_sessions s left join session_snapshots l using (tenant_id)
            where s.tenant_id = $1 order by l.generation desc, l.sequence desc"#,
            id.as_str(),
        );
        let rows = self.all("list the snapshots of a session", query).await?;
        if rows.is_empty() {
            return Err(StoreError::no_tenant(id));
        }
        let mut listed = Vec::new();
        for row in rows {
            // None of them: a tenant without a snapshot.
            let (Some(generation), Some(sequence), Some(taken_at), Some(clean), Some(session), Some(state)) =
                (row.generation, row.sequence, row.taken_at, row.clean, row.session_number, row.state)
            else {
                continue;
            };
            listed.push(ListedSnapshot {
                id: SnapshotId { generation: Generation(generation), sequence },
                taken_at,
                clean,
                bytes: row.bytes.map(i64::unsigned_abs),
                node: optional_id(row.node.as_deref(), NodeId::new)?,
                session: SessionNumber(session),
                state,
                is_newest: row.is_newest,
                restore_ordered: row.restore_ordered,
                is_void: row.is_void,
            });
        }
        Ok(listed)
    }
}
