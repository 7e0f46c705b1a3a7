//! What the child tells the guard: one line a message, over a pipe that only the two of them hold. Pure; the pipe's
//! ends are in [`super::link`] (child) and [`super::child`] (guard).
//!
//! A lost line never makes anything unsafe. Without the newest `deadline` the guard kills earlier; without `started`
//! it finds the browser in /proc; without `gone` it holds a pidfd, which never means another process; without `lease`
//! the lease ends by its TTL, without `unlease` one is ended that is over already; without `stood_down` a child that has nothing to lose is restarted.

use std::{fmt, time::Duration};

/// Longer than any message; a line that reaches it is no message.
const LONGEST_LINE: usize = 128;

/// One message of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardMessage {
    /// Every browser must be dead at this time of CLOCK_BOOTTIME unless a later one is told before.
    Deadline(Duration),
    /// A lease in the registry that is to end with this process: the node's, and the leader's if it leads.
    Lease(i64),
    /// That lease is over.
    Unlease(i64),
    /// A browser's root process.
    Started(u32),
    /// That browser's tree is dead.
    Gone(u32),
    /// No browser is alive and none will be launched until the next `Deadline`: there is nothing to kill for.
    StoodDown,
}

/// A line that is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the child said {line:?}, which means nothing to its guard")]
pub struct GarbledMessage {
    line: String,
}

impl GarbledMessage {
    fn new(line: &[u8]) -> Self {
        let shown = &line[..line.len().min(LONGEST_LINE)];
        Self { line: String::from_utf8_lossy(shown).into_owned() }
    }
}

impl GuardMessage {
    /// Reads one line, without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, GarbledMessage> {
        let text = std::str::from_utf8(line).map_err(|_| GarbledMessage::new(line))?;
        let parsed = match text.split_once(' ') {
            Some(("deadline", ns)) => ns.parse().ok().map(|ns| Self::Deadline(Duration::from_nanos(ns))),
            Some(("lease", id)) => id.parse().ok().map(Self::Lease),
            Some(("unlease", id)) => id.parse().ok().map(Self::Unlease),
            Some(("started", pid)) => pid.parse().ok().map(Self::Started),
            Some(("gone", pid)) => pid.parse().ok().map(Self::Gone),
            Some(_) => None,
            None => (text == "stood_down").then_some(Self::StoodDown),
        };
        parsed.ok_or_else(|| GarbledMessage::new(line))
    }
}

impl fmt::Display for GuardMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline(at) => write!(f, "deadline {}", at.as_nanos()),
            Self::Lease(id) => write!(f, "lease {id}"),
            Self::Unlease(id) => write!(f, "unlease {id}"),
            Self::Started(pid) => write!(f, "started {pid}"),
            Self::Gone(pid) => write!(f, "gone {pid}"),
            Self::StoodDown => f.write_str("stood_down"),
        }
    }
}

/// Cuts what was read into lines and keeps the unfinished rest, of which there is never more than one line's length.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes what was read and returns the messages that are complete by now.
    pub fn push(&mut self, read: &[u8]) -> Result<Vec<GuardMessage>, GarbledMessage> {
        self.rest.extend_from_slice(read);
        let mut messages = Vec::new();
        let mut start = 0;
        while let Some(length) = self.rest[start..].iter().position(|&byte| byte == b'\n') {
            messages.push(GuardMessage::parse(&self.rest[start..start + length])?);
            start += length + 1;
        }
        self.rest.drain(..start);
        if self.rest.len() > LONGEST_LINE {
            return Err(GarbledMessage::new(&self.rest));
        }
        Ok(messages)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message() -> impl Strategy<Value = GuardMessage> {
        prop_oneof![
            any::<u64>().prop_map(|ns| GuardMessage::Deadline(Duration::from_nanos(ns))),
            any::<i64>().prop_map(GuardMessage::Lease),
            any::<i64>().prop_map(GuardMessage::Unlease),
            any::<u32>().prop_map(GuardMessage::Started),
            any::<u32>().prop_map(GuardMessage::Gone),
            Just(GuardMessage::StoodDown),
        ]
    }

    proptest! {
        #[test]
        fn messages_survive_however_the_pipe_cuts_them(
            messages in prop::collection::vec(message(), 0..20),
            piece in 1_usize..40,
        ) {
            let wire: String = messages.iter().map(|message| format!("{message}\n")).collect();
            let mut lines = Lines::default();
            let mut read = Vec::new();
            for chunk in wire.as_bytes().chunks(piece) {
                read.extend(lines.push(chunk).unwrap());
            }
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn no_bytes_make_it_panic_or_hoard(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut lines = Lines::default();
            if lines.push(&bytes).is_ok() {
                prop_assert!(lines.rest.len() <= LONGEST_LINE);
            }
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for line in [
            "",
            "deadline",
            "deadline -1",
            "deadline 1 2",
            "lease x",
            "unlease",
            "started -3",
            "gone 1.5",
            "stood_down 1",
        ] {
            assert!(GuardMessage::parse(line.as_bytes()).is_err(), "{line:?} was taken for a message");
        }
        assert!(GuardMessage::parse(&[0xff, b' ', b'1']).is_err());
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert!(Lines::default().push(&[b'x'; LONGEST_LINE + 1]).is_err());
    }
}
