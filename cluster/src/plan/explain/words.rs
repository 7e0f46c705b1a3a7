//! An explanation in words, a line for each thing that it says.

use std::fmt;

use super::{Candidate, Explanation, Outlook, Trigger, Verdict};
use crate::records::Phase;

pub(super) fn write(explanation: &Explanation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Explanation { tenant, at, outlook, candidates, triggers, .. } = explanation;
    match at {
        Some((node, Phase::Active)) => writeln!(f, "{tenant} is on {node}")?,
        Some((node, Phase::Releasing | Phase::Preparing)) => writeln!(f, "{tenant} is leaving {node}")?,
        None => writeln!(f, "{tenant} is nowhere")?,
    }
    write!(f, "now: {outlook}")?;
    for candidate in candidates {
        write!(f, "\n{candidate}")?;
    }
    for trigger in triggers {
        write!(f, "\n{trigger}")?;
    }
    Ok(())
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stays => f.write_str("it stays"),
            Self::Moves(mover) => mover.fmt(f),
            Self::Acts(action) => action.fmt(f),
            Self::LetsGo => f.write_str("its node lets go of it"),
            Self::Absent => f.write_str("it is not to run"),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: {}", self.node, self.zone, self.verdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("has it"),
            Self::Prepares { ready: false } => f.write_str("prepares for it"),
            Self::Prepares { ready: true } => f.write_str("is ready for it"),
            Self::NotItsPin => f.write_str("is not where it is pinned"),
            Self::Cordoned => f.write_str("is cordoned"),
            Self::Draining => f.write_str("is being drained"),
            Self::Leaving => f.write_str("is leaving"),
            Self::Full { capacity } => write!(f, "is full with its {capacity}"),
            Self::NoWeight => f.write_str("has no weight: it takes only what is sent there"),
            Self::Suspect => f.write_str("is suspect: it takes what no other has room for"),
            Self::FailingZone => f.write_str("has room, but its zone is losing nodes"),
            Self::AtItsMost { load, most } => write!(f, "has {load} and should have {most} at most"),
            Self::HasRoom { load, most } => write!(f, "has room, with {load} of {most}"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, to) = match self {
            Self::Loss { to } => ("the loss of its node", to),
            Self::Drain { to } => ("a drain of its node", to),
            Self::Rebalance { to } => ("a rebalance", to),
            Self::Order { pinned: true } => return f.write_str("another pin would move it"),
            Self::Order { pinned: false } => {
                return f.write_str("an operator's move or pin would move it");
            }
        };
        match to {
            Some(to) => write!(f, "{what} would move it to {to}"),
            None => write!(f, "{what} would leave it without a node"),
        }
    }
}
