//! The guard's end of the pipe from the process that it guards, which carries the product's own messages.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read},
    os::fd::OwnedFd,
    time::Duration,
};

use roost_node::guard::GuardMessage;

/// What the child has told.
#[derive(Debug, Clone, Default)]
pub struct Reported {
    pub deadline: Option<Duration>,
    pub leases: BTreeSet<i64>,
}

/// The guard's end of the pipe.
pub struct PipeReader {
    pipe: std::fs::File,
    reported: Reported,
}

impl PipeReader {
    pub fn new(pipe: OwnedFd) -> Self {
        Self { pipe: pipe.into(), reported: Reported::default() }
    }

    /// Takes in everything that is in the pipe.
    pub fn read(&mut self) -> Reported {
        let mut text = Vec::new();
        match self.pipe.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match GuardMessage::parse(line).expect("a message of the product's own") {
                GuardMessage::Deadline(at) => self.reported.deadline = Some(at),
                GuardMessage::Lease(id) => drop(self.reported.leases.insert(id)),
                GuardMessage::Unlease(id) => drop(self.reported.leases.remove(&id)),
                GuardMessage::StoodDown => self.reported.deadline = None,
                GuardMessage::Started(_) | GuardMessage::Gone(_) => {}
            }
        }
        self.reported.clone()
    }
}
