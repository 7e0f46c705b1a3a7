//! An error with its causes in one line, for people: in logs, in `last_error` and wherever else a reason is told.

use std::{error::Error, fmt, iter::successors};

/// Shows `what failed: why: why that`. The message of an error of ours never repeats its source, so without this the
/// reader learns what failed and not why. Those of some libraries do: what has been told already is not told again.
pub fn causes<'a>(error: &'a (dyn Error + 'a)) -> Causes<'a> {
    Causes(error)
}

/// See [`causes`].
pub struct Causes<'a>(&'a (dyn Error + 'a));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        for cause in successors(self.0.source(), |cause| (*cause).source()).map(ToString::to_string) {
            if !told.contains(&cause) {
                told = format!("{told}: {cause}");
            }
        }
        f.write_str(&told)
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

    #[derive(Debug, thiserror::Error)]
    #[error("the door does not open: {0}")]
    struct Talkative(#[source] Lid);

    #[test]
    fn what_an_error_says_of_its_own_cause_is_not_said_again() {
        let stuck = Talkative(Lid(Hinge(std::io::Error::other("it is stuck"))));
        let told = "the door does not open: the lid does not open: the hinge does not turn: it is stuck";
        assert_eq!(causes(&stuck).to_string(), told);
    }
}
