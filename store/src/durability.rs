//! What a commit is worth: that it is on a disk before it is answered.
//!
//! Everything here rests on that. A message is confirmed to WhatsApp once its row is committed (I6), and a generation is given
//! once (I2): a server that forgets commits loses the one and gives the other again. So every connection asks for
//! `synchronous_commit`, whatever server, database or role say, unless they say what is stronger. Two settings of the server
//! can undo it and are not a connection's to change: these are warned of, by name, and not refused, for a file system that
//! writes whole pages needs no `full_page_writes`, and a server for trying things out may be as careless as it likes.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use sqlx::{Executor, PgConnection};

/// Of a server that may forget what it has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurabilityGap {
    Fsync,
    FullPageWrites,
}

impl fmt::Display for DurabilityGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fsync => {
                "Postgres runs with fsync = off: when its machine stops, messages that were confirmed are lost and the \
                 database may be damaged"
            }
            Self::FullPageWrites => {
                "Postgres runs with full_page_writes = off: when its machine stops, the database may be damaged, unless \
                 its file system writes whole pages"
            }
        })
    }
}

/// What the server of the newest connection lacks. Cheap to clone; all clones show the same.
#[derive(Clone, Default)]
pub(crate) struct Durability {
    gaps: Arc<Mutex<Vec<DurabilityGap>>>,
}

impl Durability {
    pub(crate) fn gaps(&self) -> Vec<DurabilityGap> {
        self.gaps.lock().clone()
    }

    /// Makes a new connection wait for the disk, and looks whether the server does. What it lacks is told when it is found.
    pub(crate) async fn demand(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        wait_for_the_disk(connection).await?;
        let query = sqlx::query!(
            r#"select current_setting('fsync') = 'on' as "fsync!",
                current_setting('full_page_writes') = 'on' as "full_page_writes!""#
        );
        let server = query.fetch_one(connection).await?;
        let looked_at =
            [(server.fsync, DurabilityGap::Fsync), (server.full_page_writes, DurabilityGap::FullPageWrites)];
        let found: Vec<_> =
            looked_at.into_iter().filter_map(|(is_on, gap)| (!is_on).then_some(gap)).collect();
        let known = std::mem::replace(&mut *self.gaps.lock(), found.clone());
        for gap in found.into_iter().filter(|gap| !known.contains(gap)) {
            tracing::warn!(%gap, "the database is not durable");
        }
        Ok(())
    }
}

/// `remote_apply` is stronger than `on`; `on` waits for a synchronous standby's disk too, where there is one.
pub(crate) async fn wait_for_the_disk(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let ask = "select set_config('synchronous_commit', 'on', false)
        where current_setting('synchronous_commit') not in ('on', 'remote_apply')";
    connection.execute(ask).await.map(drop)
}
