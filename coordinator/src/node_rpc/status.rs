//! What a failed call says, in words.

use tonic::Status;

/// What lies below "transport error", if that is all it says.
pub(super) fn reason(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    let mut said = status.message().to_owned();
    while let Some(error) = cause {
        said = error.to_string();
        cause = error.source();
    }
    said
}
