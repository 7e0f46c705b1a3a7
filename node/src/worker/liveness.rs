//! What counts as proof that a page works. A worker may only say CONNECTED on evidence: a page can show itself linked
//! and online and yet be deaf, so the evidence is an answer of the server behind it, asked for by the probe itself.

use std::time::{Duration, Instant};

use roost_engine::{EngineError, PROBE_WITHIN, Probe, StreamMode};

use super::timing::WorkerTiming;

/// How long a proof counts: by then the next probe has been made, and has been answered or given up.
pub fn fresh_for(timing: &WorkerTiming) -> Duration {
    timing.probe_every + PROBE_WITHIN
}

/// That a page worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    pub at: Instant,
    /// By what held for the worker then: a tenant that settles other times changes when its next probe is made.
    pub fresh_for: Duration,
}

impl Proof {
    pub fn now(timing: &WorkerTiming) -> Self {
        Self { at: Instant::now(), fresh_for: fresh_for(timing) }
    }

    /// For how long, from `now` on, the worker may be believed to answer by whoever hears nothing more of it: as long as this
    /// proof counts, and until the report after the next one is there.
    pub fn evident_for(&self, reported_every: Duration, now: Instant) -> Duration {
        (self.at + self.fresh_for + reported_every).saturating_duration_since(now)
    }
}

/// Why a page is not proven.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    #[error("the page is not linked to a phone any more")]
    NotLinked,
    #[error("the page is offline")]
    Offline,
    #[error("the page shows {mode:?} instead of the chats")]
    Elsewhere { mode: StreamMode },
    #[error("the page is deaf: WhatsApp does not answer it")]
    Deaf,
    #[error("the page does not answer")]
    Silent(#[from] EngineError),
}

impl Unproven {
    /// Whether an answer did not come in time, which a page that is given little of the processor does not bring about.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Deaf | Self::Silent(EngineError::TimedOut { .. }))
    }
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
        let told = |probe| check(&probe, true).map_err(|unproven| unproven.to_string());
        assert_eq!(told(good()), Ok(()));
        for (probe, reason) in [
            (Probe { answered: false, ..good() }, Unproven::Deaf),
            (Probe { online: false, ..good() }, Unproven::Offline),
            (Probe { authenticated: false, ..good() }, Unproven::NotLinked),
        ] {
            assert_eq!(told(probe), Err(reason.to_string()));
        }
        let conflict = Probe { stream_mode: StreamMode::Conflict, ..good() };
        assert_eq!(told(conflict), Err(Unproven::Elsewhere { mode: StreamMode::Conflict }.to_string()));
    }

    #[test]
    fn a_proof_is_believed_until_the_report_after_the_next_one_and_for_less_the_older_it_is() {
        let timing = WorkerTiming { probe_every: Duration::from_secs(60), ..WorkerTiming::default() };
        let proof = Proof::now(&timing);
        let evident_for = |age: u64| {
            proof.evident_for(Duration::from_secs(10), proof.at + Duration::from_secs(age)).as_secs()
        };
        assert_eq!([0, 9, 78, 100].map(evident_for), [78, 69, 0, 0]);
    }

    #[test]
    fn a_page_that_waits_for_a_scan_only_has_to_answer() {
        let waiting = Probe { authenticated: false, stream_mode: StreamMode::Qr, answered: false, ..good() };
        assert!(check(&waiting, false).is_ok());
    }

    #[test]
    fn only_an_answer_that_did_not_come_is_late() {
        let silent = EngineError::TimedOut { step: "probing", limit: Duration::from_secs(8) };
        assert!(Unproven::from(silent).is_late() && Unproven::Deaf.is_late());
        for other in [Unproven::NotLinked, Unproven::Offline, Unproven::from(EngineError::Gone)] {
            assert!(!other.is_late(), "{other}");
        }
    }
}
