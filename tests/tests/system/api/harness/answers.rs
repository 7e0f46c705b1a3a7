//! What a test reads of an answer: the error that a status carries, and the items of a stream.

use futures::StreamExt;
use roost_proto::error::{ApiError, ErrorCode};
use tonic::{Response, Status, Streaming};

use super::SOON;

/// The error of a call that must fail.
pub fn refused<T>(answer: Result<Response<T>, Status>) -> ApiError {
    match answer {
        Ok(_) => panic!("the call succeeded"),
        Err(status) => error_of(&status),
    }
}

/// The error that a status carries.
pub fn error_of(status: &Status) -> ApiError {
    ApiError::from_status(status).unwrap_or_else(|| panic!("not an error of this API: {status:?}"))
}

/// Asserts the code and gives the fields that are named.
pub fn fields(error: &ApiError, code: ErrorCode) -> Vec<&str> {
    assert_eq!(error.code, code, "{error:?}");
    assert!(!error.message.contains('\n'), "{:?} is more than a line", error.message);
    error.violations.iter().map(|violation| violation.field.as_str()).collect()
}

/// The next answer of a stream, which must come.
pub async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let answer = tokio::time::timeout(SOON, stream.next()).await.expect("an answer in time");
    answer.expect("the stream goes on")
}

/// Reads on until an answer fits.
pub async fn until<T>(stream: &mut Streaming<T>, mut fits: impl FnMut(&T) -> bool) -> T {
    loop {
        let answer = next(stream).await.expect("an answer");
        if fits(&answer) {
            return answer;
        }
    }
}
