//! What calls answer with that is more than one message: a page of a list, a stream.
//!
//! A page ends at the size asked for or at [`MAX_BYTES`], whichever comes first (AIP-158 allows a page to be shorter
//! than asked): gRPC clients refuse answers over 4 MiB, and a thousand tenants with long texts are a hundred times that.
//! Rows are fetched a few at a time so that this process never holds much more than it sends.

use std::{future::Future, pin::Pin};

use futures::{Stream, StreamExt};
use prost::Message;
use roost_proto::error::ApiError;
use tonic::Status;

use crate::app::{Error, watch::Watched};

/// Answers are cut when they reach this; the last row may reach beyond it, and a row is under 1 MiB as its request was.
const MAX_BYTES: usize = 2 << 20;
/// Rows fetched at once.
const CHUNK: usize = 100;

/// A page, and the key of its last row when there are more rows after it.
pub struct Page<M, K> {
    pub items: Vec<M>,
    pub last: Option<K>,
}

/// Fetches rows after `after` until the page is full. `fetch` is given a key and a limit and answers in the order of
/// the keys; `item` turns a row into its key and its message.
pub async fn fill_page<R, M, K, F>(
    size: usize,
    mut after: Option<K>,
    fetch: impl Fn(Option<K>, u32) -> F,
    item: impl Fn(R) -> (K, M),
) -> Result<Page<M, K>, Error>
where
    M: Message,
    K: Clone,
    F: Future<Output = Result<Vec<R>, Error>>,
{
    let mut items = Vec::new();
    let mut bytes = 0;
    loop {
        // One more than needed, to learn whether there are more.
        let limit = CHUNK.min(size + 1 - items.len());
        let rows = fetch(after.clone(), limit as u32).await?;
        let more = rows.len() == limit;
        for row in rows {
            if items.len() == size || bytes >= MAX_BYTES {
                return Ok(Page { items, last: after });
            }
            let (key, message) = item(row);
            bytes += message.encoded_len();
            items.push(message);
            after = Some(key);
        }
        if !more {
            return Ok(Page { items, last: None });
        }
    }
}

/// What a streaming call answers with: a watch, translated.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub fn answers<R, T>(watched: Watched<R>, message: impl Fn(R) -> T + Send + 'static) -> Answers<T>
where
    R: Send + 'static,
    T: 'static,
{
    Box::pin(watched.map(move |item| match item {
        Ok(row) => Ok(message(row)),
        Err(error) => Err(ApiError::from(error).into()),
    }))
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;

    async fn page(
        rows: i64,
        size: usize,
        after: Option<i64>,
        row_bytes: usize,
    ) -> (Vec<String>, Option<i64>, usize) {
        let largest = Cell::new(0);
        let fetch = |after: Option<i64>, limit: u32| {
            largest.set(largest.get().max(limit as usize));
            let first = after.unwrap_or(0) + 1;
            ready(Ok((first..=rows).take(limit as usize).collect::<Vec<_>>()))
        };
        let filled = fill_page(size, after, fetch, |row| (row, format!("{row}{}", " ".repeat(row_bytes))))
            .await
            .unwrap();
        (filled.items, filled.last, largest.get())
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_overlap() {
        let (mut all, mut after) = (vec![], None);
        loop {
            let (items, last, _) = page(250, 120, after, 0).await;
            all.extend(items);
            after = last;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all, (1..=250).map(|row| row.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_last_page_has_no_next_even_when_it_is_full() {
        assert_eq!(page(100, 100, None, 0).await.1, None);
        assert_eq!(page(101, 100, None, 0).await.1, Some(100));
        assert_eq!(page(0, 100, None, 0).await.1, None);
    }

    #[tokio::test]
    async fn a_page_of_large_rows_is_cut_and_few_rows_are_held() {
        let (items, last, largest) = page(1_000, 1_000, None, 1 << 20).await;
        assert_eq!((items.len(), last), (2, Some(2)));
        assert_eq!(largest, CHUNK);
    }
}
