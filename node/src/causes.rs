//! An error with its causes in one line, for people: in `last_error` and in logs.

use std::{error::Error, iter::successors};

/// `what failed: why: why that`.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let chain = successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    #[error("the lid does not open")]
    struct Lid(#[source] std::io::Error);

    #[test]
    fn each_cause_is_told_once() {
        let stuck = Lid(std::io::Error::other("it is stuck"));
        assert_eq!(with_causes(&stuck), "the lid does not open: it is stuck");
    }
}
