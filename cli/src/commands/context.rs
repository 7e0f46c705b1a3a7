//! What the commands work with: the options, the output and the API's client, whole lists, and times as the API has them.

use std::time::Duration;

use roost_proto::client::Admin;

use crate::{
    failure::Failure,
    globals::{Environment, Globals},
    output::Output,
    target,
};

/// What every command needs.
pub struct Context {
    pub globals: Globals,
    pub output: Output,
}

impl Context {
    pub fn admin(&self) -> Result<Admin, Failure> {
        Ok(target::resolve(&self.globals, &Environment::read())?)
    }
}

/// Walks the pages of a list: `page` gets a size and a token and gives items and the next token.
pub async fn all_pages<T, F>(
    limit: Option<usize>,
    mut page: impl FnMut(i32, String) -> F,
) -> Result<Vec<T>, Failure>
where
    F: Future<Output = Result<(Vec<T>, String), tonic::Status>>,
{
    const PAGE: usize = 1_000;
    let limit = limit.unwrap_or(usize::MAX);
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let size = limit.saturating_sub(items.len()).min(PAGE);
        if size == 0 {
            return Ok(items);
        }
        let (more, next) = page(size as i32, token).await?;
        items.extend(more);
        if next.is_empty() {
            return Ok(items);
        }
        token = next;
    }
}

pub fn wire_duration(span: Duration) -> Result<prost_types::Duration, Failure> {
    let too_long = |_| Failure::Refused(format!("{span:?} is too long a time"));
    prost_types::Duration::try_from(span).map_err(too_long)
}
