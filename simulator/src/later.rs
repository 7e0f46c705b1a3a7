//! What a connection does after a while. None of it happens once the connection is gone.

use std::time::Duration;

use crate::wire::ToPage;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    pub after: Duration,
    pub what: Due,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    Tell(ToPage),
    /// Messages that the page refused are delivered again.
    Redeliver(Vec<String>),
    /// A recipient has the message with this stanza id.
    Receipt {
        stanza: String,
    },
    /// The page's wish to be logged out is answered.
    LogOut {
        request: u64,
    },
}

impl Due {
    pub fn after_ms(self, ms: u64) -> Later {
        Later { after: Duration::from_millis(ms), what: self }
    }
}
