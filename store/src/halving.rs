//! A batch with a value in it that Postgres refuses: what can be written is.

use std::future::Future;

use roost_model::causes;

use crate::StoreError;

/// Writes items in their order: all at once, or, where Postgres refuses a value, by halves until the culprits are alone.
/// Answers with what was written, and with each culprit and why it was refused.
pub(crate) async fn by_halves<'a, T, R, F>(
    items: &'a [T],
    write: impl Fn(&'a [T]) -> F,
) -> Result<(Vec<R>, Vec<(&'a T, String)>), StoreError>
where
    F: Future<Output = Result<Vec<R>, StoreError>>,
{
    let (mut written, mut refused) = (Vec::new(), Vec::new());
    let mut left = vec![items];
    while let Some(batch) = left.pop() {
        match (write(batch).await, batch) {
            (Ok(rows), _) => written.extend(rows),
            (Err(error), [culprit]) if error.is_about_values() => {
                refused.push((culprit, causes(&error).to_string()));
            }
            (Err(error), _) if error.is_about_values() => {
                let (first, second) = batch.split_at(batch.len() / 2);
                left.extend([second, first]);
            }
            (Err(error), _) => return Err(error),
        }
    }
    Ok((written, refused))
}
