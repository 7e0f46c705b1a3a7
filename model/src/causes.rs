//! An error with its causes in one line, for people: in logs, in `last_error` and wherever else a reason is told.

use std::{error::Error, fmt, iter::successors};

/// Shows `what failed: why: why that`. The message of an error of ours never repeats its source, so without this the
/// reader learns what failed and not why.
pub fn causes<'a>(error: &'a (dyn Error + 'a)) -> Causes<'a> {
    Causes(error)
}

/// See [`causes`].
pub struct Causes<'a>(&'a (dyn Error + 'a));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        successors(self.0.source(), |cause| (*cause).source()).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::causes;

    #[derive(Debug, thiserror::Error)]
    #[error("the lid does not open")]
    struct Lid(#[source] Hinge);

    #[derive(Debug, thiserror::Error)]
    #[error("the hinge does not turn")]
    struct Hinge(#[source] std::io::Error);

    #[test]
    fn each_cause_is_told_once() {
        let stuck = Lid(Hinge(std::io::Error::other("it is stuck")));
        assert_eq!(causes(&stuck).to_string(), "the lid does not open: the hinge does not turn: it is stuck");
    }
}
