//! How a statement is run: within a time limit, on a connection that is not used again unless it was left clean.

use std::{
    io,
    time::{Duration, Instant},
};

use sqlx::{IntoArguments, PgConnection, Postgres, pool::PoolConnection, postgres::PgRow, query::Map};

use crate::{Store, StoreError, pool::CALL_TIMEOUT, turnover::Turnover};

impl Store {
    pub(crate) async fn all<'q, T, F, A>(
        &self,
        step: &'static str,
        query: Map<'q, Postgres, F, A>,
    ) -> Result<Vec<T>, StoreError>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
        T: Send + Unpin,
        A: 'q + Send + IntoArguments<Postgres>,
    {
        self.call(step, async |connection| query.fetch_all(connection).await).await
    }

    pub(crate) async fn maybe<'q, T, F, A>(
        &self,
        step: &'static str,
        query: Map<'q, Postgres, F, A>,
    ) -> Result<Option<T>, StoreError>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
        T: Send + Unpin,
        A: 'q + Send + IntoArguments<Postgres>,
    {
        self.call(step, async |connection| query.fetch_optional(connection).await).await
    }

    pub(crate) async fn one<'q, T, F, A>(
        &self,
        step: &'static str,
        query: Map<'q, Postgres, F, A>,
    ) -> Result<T, StoreError>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
        T: Send + Unpin,
        A: 'q + Send + IntoArguments<Postgres>,
    {
        self.call(step, async |connection| query.fetch_one(connection).await).await
    }

    /// Runs one statement on a connection of the pool.
    async fn call<T>(
        &self,
        step: &'static str,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        self.met().await?;
        within(CALL_TIMEOUT.saturating_sub(begun.elapsed()), step, async {
            let mut lease = self.lease().await?;
            let answer = statement(lease.connection()).await;
            lease.settle(answer)
        })
        .await
    }

    pub(crate) async fn lease(&self) -> Result<Lease, sqlx::Error> {
        Ok(Lease {
            connection: self.pool_to_connect().acquire().await?,
            turnover: self.turnover(),
            settled: false,
        })
    }
}

/// Ends a call that Postgres does not answer.
pub(crate) async fn within<T>(
    limit: Duration,
    step: &'static str,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let outcome = match tokio::time::timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            let reason = format!("no answer within {} s", limit.as_secs());
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, reason)))
        }
    };
    outcome.map_err(|source| StoreError::from_driver(step, source))
}

/// A pooled connection that is closed instead of going back to the pool unless its statement was seen to end. Given
/// back in the middle of a statement (the caller was cancelled or ran out of time) it would keep its place in the pool
/// until Postgres answers, which on a cut line is never.
pub(crate) struct Lease {
    connection: PoolConnection<Postgres>,
    turnover: Turnover,
    settled: bool,
}

impl Lease {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The statement has ended if Postgres said so, be it with a refusal; unless that is about more than the statement.
    pub(crate) fn settle<T>(mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.settled = match &answer {
            Ok(_) => true,
            Err(sqlx::Error::Database(refusal)) => self.turnover.outlives(refusal.as_ref()),
            Err(_) => false,
        };
        answer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.settled {
            self.connection.close_on_drop();
        }
    }
}
