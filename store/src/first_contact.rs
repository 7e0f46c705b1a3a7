//! What the database must show before it is used: that it takes these settings at all, and that a connection to it is a
//! session of one's own.
//!
//! A pooler between (PgBouncer with `pool_mode = transaction`, for one) may give the statements of one client to several
//! sessions, and the sessions of one client to several. Time limits, prepared statements and notifications belong to a
//! session, so statements would then fail or run without their limits at random. A pooler that gives each client a session
//! for as long as it is connected does no harm.

use std::io;

use sqlx::{Connection, PgConnection, Row, postgres::PgConnectOptions, raw_sql};

use crate::{StoreError, connecting::Connecting};

const STEP: &str = "the first contact";

/// Connects twice and hangs up.
pub(crate) async fn first_contact(connecting: &Connecting) -> Result<(), StoreError> {
    let options = &connecting.options();
    let contact = async {
        let mut ours = PgConnection::connect_with(options).await?;
        let mut other = PgConnection::connect_with(options).await?;
        let shared = shares_sessions(&mut ours, &mut other).await?;
        ours.close().await?;
        other.close().await?;
        Ok(shared)
    };
    match contact.await {
        Ok(false) => Ok(()),
        Ok(true) => Err(pooled(options)),
        Err(error) => Err(refused(options, error)),
    }
}

/// Whether a session serves two connections, or a connection is served by two sessions.
async fn shares_sessions(ours: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let first = session(ours).await?;
    if session(ours).await? != first {
        return Ok(true);
    }
    // A pooler that has taken our session back gives it to the other now, and while that keeps it we get another one.
    match raw_sql("begin").execute(&mut *other).await {
        Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some(PROTOCOL_VIOLATION) => {
            return Ok(true);
        }
        begun => begun?,
    };
    Ok(session(other).await? == first || session(ours).await? != first)
}

/// How a pooler that pools statements refuses a transaction.
const PROTOCOL_VIOLATION: &str = "08P01";

/// Not prepared: a pooler that gives each statement another session would lose it.
async fn session(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let identity = "select pid || ' ' || backend_start from pg_stat_activity where pid = pg_backend_pid()";
    raw_sql(identity).fetch_one(connection).await?.try_get(0)
}

fn pooled(options: &PgConnectOptions) -> StoreError {
    let (host, port) = (options.get_host(), options.get_port());
    let what = format!(
        "the database at {host}:{port} is behind a pooler that shares sessions between clients: give the address of \
         Postgres itself in --database-url, or set the pooler to its session mode (PgBouncer: pool_mode = session)"
    );
    StoreError::Unusable { what }
}

/// Sorts what is wrong with the settings from what passes.
fn refused(options: &PgConnectOptions, error: sqlx::Error) -> StoreError {
    let tls = |reason: &dyn std::fmt::Display| StoreError::Unusable {
        what: format!(
            "TLS to the database failed ({reason}): see sslmode and sslrootcert in --database-url, or the server's ssl"
        ),
    };
    match &error {
        sqlx::Error::Tls(reason) => tls(reason),
        // A certificate that is not trusted, and a file of certificates that is not there.
        sqlx::Error::Io(reason) if reason.kind() == io::ErrorKind::InvalidData => tls(reason),
        sqlx::Error::Io(reason)
            if reason.kind() == io::ErrorKind::NotFound && options.get_socket().is_none() =>
        {
            tls(reason)
        }
        sqlx::Error::Database(refusal) if refusal.code().is_some_and(|code| is_about_settings(&code)) => {
            let what = format!("Postgres does not take --database-url: {}", refusal.message());
            StoreError::Unusable { what }
        }
        // A pooler's way to say anything, here before there is a session: what it is, only its words tell.
        sqlx::Error::Database(refusal) if refusal.code().as_deref() == Some(PROTOCOL_VIOLATION) => {
            StoreError::Refused { step: STEP, source: error }
        }
        _ => StoreError::from_driver(STEP, error),
    }
}

/// Wrong user, password or encryption; no such database.
fn is_about_settings(code: &str) -> bool {
    code.starts_with("28") || code == "3D000"
}
