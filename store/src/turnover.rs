//! Which connections may be used again.
//!
//! Most refusals are about the statement, and the connection is as good as before. Some speak of the server that it leads
//! to: a failover can leave the old connections open to a server that takes no writes any more, while new ones lead to
//! the one that does. Such a connection is ended, and when it was read-only all that were made before it was found out,
//! for there is nothing else that would end them.

use std::time::{Duration, Instant};

use sqlx::{
    PgExecutor,
    error::DatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};
use tokio::sync::watch;

/// When the server was last found to be another than connections were made to. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Turnover {
    found_at: watch::Sender<Option<Instant>>,
}

impl Turnover {
    /// Whether the connection that was refused so may be used again.
    pub(crate) fn outlives(&self, refusal: &dyn DatabaseError) -> bool {
        match subject(refusal) {
            Subject::Statement => true,
            Subject::Connection => false,
            Subject::ReadOnlyServer => {
                self.found_at.send_replace(Some(Instant::now()));
                false
            }
        }
    }

    /// Whether a connection of this age was made before the server was found to be another.
    pub(crate) fn is_outdated(&self, age: Duration) -> bool {
        self.found_at.borrow().is_some_and(|found_at| found_at.elapsed() <= age)
    }

    /// For a connection that is about to be made and will be waited on: changes when it is outdated.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Instant>> {
        self.found_at.subscribe()
    }
}

/// Whether the server takes no writes on this connection, asked in one round trip.
pub(crate) async fn is_read_only(connection: impl PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query!(r#"select current_setting('transaction_read_only') = 'on' as "read_only!""#);
    Ok(asked.fetch_one(connection).await?.read_only)
}

/// What a refusal is about.
#[derive(Debug, PartialEq, Eq)]
enum Subject {
    Statement,
    Connection,
    ReadOnlyServer,
}

fn subject(refusal: &dyn DatabaseError) -> Subject {
    let Some(refusal) = refusal.try_downcast_ref::<PgDatabaseError>() else { return Subject::Connection };
    match refusal.severity() {
        PgSeverity::Fatal | PgSeverity::Panic => Subject::Connection,
        _ => subject_of(refusal.code()),
    }
}

fn subject_of(code: &str) -> Subject {
    match code {
        "25006" => Subject::ReadOnlyServer,
        // A standby, or a server on its way to be one.
        "55000" => Subject::Connection,
        // Cancelled: by a time limit of the statement's own.
        "57014" => Subject::Statement,
        // Connection, insufficient resources, operator intervention, system error, internal error.
        _ if ["08", "53", "57", "58", "XX"].iter().any(|class| code.starts_with(class)) => {
            Subject::Connection
        }
        _ => Subject::Statement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_about_the_server_end_the_connection_and_those_about_the_statement_do_not() {
        for code in ["08P01", "53300", "57P01", "57P03", "58030", "55000", "XX000"] {
            assert_eq!(subject_of(code), Subject::Connection, "{code}");
        }
        for code in ["23505", "40001", "40P01", "55P03", "57014", "42P01", "22021"] {
            assert_eq!(subject_of(code), Subject::Statement, "{code}");
        }
        assert_eq!(subject_of("25006"), Subject::ReadOnlyServer);
    }

    #[test]
    fn only_what_was_made_before_is_outdated() {
        let turnover = Turnover::default();
        assert!(!turnover.is_outdated(Duration::from_secs(60)));
        turnover.found_at.send_replace(Some(Instant::now()));
        assert!(turnover.is_outdated(Duration::from_secs(60)));
        assert!(!turnover.is_outdated(Duration::ZERO));
    }
}
