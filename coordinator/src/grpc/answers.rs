//! What a streaming call answers with: a watch, translated.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use roost_proto::error::ApiError;
use tonic::Status;

use crate::app::watch::Watched;

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
