//! What counts as proof that a page works. A worker may only say CONNECTED on evidence: a page can show itself linked
//! and online and yet be deaf, so the evidence is an answer of the server behind it, asked for by the probe itself.

use roost_engine::{Probe, StreamMode};
/// Why a page is not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("the page is not linked to a phone any more")]
    NotLinked,
    #[error("the page is offline")]
    Offline,
    #[error("the page shows {mode:?} instead of the chats")]
    Elsewhere { mode: StreamMode },
    #[error("the page is deaf: WhatsApp does not answer it")]
    Deaf,
}

/// Judges a probe. Without a session the page only has to answer; that it did is in the probe's existence.
pub fn check(probe: &Probe, expects_session: bool) -> Result<(), Unproven> {
    if !expects_session {
        return Ok(());
    }
    if !probe.authenticated {
        return Err(Unproven::NotLinked);
    }
    if !matches!(probe.stream_mode, StreamMode::Main | StreamMode::Syncing) {
        return Err(Unproven::Elsewhere { mode: probe.stream_mode.clone() });
    }
    if !probe.online {
        return Err(Unproven::Offline);
    }
    if probe.answered { Ok(()) } else { Err(Unproven::Deaf) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_engine::StreamInfo;

    fn good() -> Probe {
        Probe {
            authenticated: true,
            stream_mode: StreamMode::Main,
            stream_info: StreamInfo::Normal,
            online: true,
            answered: true,
        }
    }

    #[test]
    fn only_an_answer_of_the_server_proves_a_session() {
        assert_eq!(check(&good(), true), Ok(()));
        assert_eq!(check(&Probe { answered: false, ..good() }, true), Err(Unproven::Deaf));
        assert_eq!(check(&Probe { online: false, ..good() }, true), Err(Unproven::Offline));
        assert_eq!(check(&Probe { authenticated: false, ..good() }, true), Err(Unproven::NotLinked));
        let conflict = Probe { stream_mode: StreamMode::Conflict, ..good() };
        assert_eq!(check(&conflict, true), Err(Unproven::Elsewhere { mode: StreamMode::Conflict }));
    }

    #[test]
    fn a_page_that_waits_for_a_scan_only_has_to_answer() {
        let waiting = Probe { authenticated: false, stream_mode: StreamMode::Qr, answered: false, ..good() };
        assert_eq!(check(&waiting, false), Ok(()));
    }
}
