//! What cannot be undone is asked for once more.
//!
//! One rule for all of it (deleting a tenant, forgetting a session, a drain by force): at a terminal a person is asked;
//! elsewhere nobody can be, and it is done with `--yes` only. A script that deletes says so, and one that was not meant
//! to cannot.

use std::io::{self, IsTerminal, Write};

use crate::{failure::Failure, text::visible};

#[derive(Debug, clap::Args)]
pub struct Consent {
    /// Do not ask whether it is meant. Where nobody can be asked (stdin or stderr is no terminal) it is needed.
    #[arg(short, long)]
    yes: bool,
}

impl Consent {
    /// Ok if it is meant. `what` says it as an order, such as "delete tenant lodge".
    pub fn obtain(&self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let refusal = format!("to {what} needs --yes where nobody can be asked; nothing was done");
            return Err(Failure::Refused(refusal));
        }
        if is_confirmed(what)? { Ok(()) } else { Err(Failure::Refused("nothing was done".to_owned())) }
    }
}

fn is_confirmed(what: &str) -> Result<bool, Failure> {
    let unreadable = |source| Failure::Input { what: "the answer".into(), source };
    let mut stderr = io::stderr();
    write!(stderr, "Really {}? [y/N] ", visible(what)).and_then(|()| stderr.flush()).map_err(unreadable)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(unreadable)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
