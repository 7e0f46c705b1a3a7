//! What is in the controller's way: as the one that leads has written it down, and as this process's own knows it when nobody
//! can lead.

use std::time::Duration;

use roost_cluster::{controller::ControllerStatus, ledger::Complaint, records::LeaderRecord};
use roost_store::PresentController;
use time::OffsetDateTime;
use tokio::sync::watch;

/// This process's controller.
#[derive(Debug, Clone)]
pub struct OwnController {
    /// As in [`LeaderRecord::holder`].
    pub holder: String,
    pub status: watch::Receiver<ControllerStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerComplaint {
    /// Whose controller says so, as in [`LeaderRecord::holder`].
    pub holder: String,
    pub complaint: Complaint,
    /// Since when it is of this kind.
    pub since: OffsetDateTime,
}

impl OwnController {
    fn complaint(&self, now: Duration) -> Option<ControllerComplaint> {
        let status = self.status.borrow();
        let (complaint, since) = status.complaint.clone().zip(status.complaint_since)?;
        let since = OffsetDateTime::now_utc() - now.saturating_sub(since);
        Some(ControllerComplaint {
            holder: self.holder.clone(),
            complaint,
            since: since.truncate_to_second(),
        })
    }

    fn leads_a_term(&self) -> bool {
        self.status.borrow().term.is_some()
    }
}

/// `leader` is etcd's, `present` the database's. Both name the same one while there is nothing wrong with who leads; else
/// nobody has a term, and why not this process's own controller knows. `now` is on the controller's clock.
pub(super) fn complaints(
    own: Option<&OwnController>,
    leader: Option<&LeaderRecord>,
    present: &PresentController,
    now: Duration,
) -> Vec<ControllerComplaint> {
    let told = own.and_then(|own| own.complaint(now));
    if own.is_some_and(OwnController::leads_a_term) {
        // Its own memory is the newer: a database that takes no writes has not been told.
        return told.into_iter().collect();
    }
    let holds_term = |leader: &LeaderRecord| {
        leader.holder == present.holder && own.is_none_or(|own| own.holder != leader.holder)
    };
    let own_counts = !leader.is_some_and(holds_term);
    let written = present.complaint.clone().map(|(complaint, since)| ControllerComplaint {
        holder: present.holder.clone(),
        complaint,
        since,
    });
    written.into_iter().chain(told.filter(|_| own_counts)).collect()
}

#[cfg(test)]
mod tests {
    use roost_cluster::ledger::ComplaintKind;
    use roost_model::ids::Term;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn own(kind: ComplaintKind, term: Option<Term>) -> OwnController {
        let status = ControllerStatus {
            leading: term.is_some(),
            term,
            complaint: Some(Complaint::new(kind, "own")),
            complaint_since: Some(Duration::from_secs(40)),
            ..ControllerStatus::default()
        };
        OwnController { holder: "coordinator/own".to_owned(), status: watch::channel(status).1 }
    }

    fn present(holder: &str) -> PresentController {
        let complaint = Complaint::new(ComplaintKind::Tenants, "written");
        let complaint = Some((complaint, OffsetDateTime::UNIX_EPOCH));
        PresentController { term: Term(3), holder: holder.to_owned(), complaint, silent_for: Duration::ZERO }
    }

    fn told(own: &OwnController, leader: Option<&str>, present: &PresentController) -> Vec<String> {
        let leader = leader.map(|holder| LeaderRecord { holder: holder.to_owned(), address: String::new() });
        let told = complaints(Some(own), leader.as_ref(), present, NOW);
        told.into_iter().map(|told| format!("{}: {}", told.holder, told.complaint.reason)).collect()
    }

    #[test]
    fn what_the_one_that_leads_has_written_is_told_and_not_what_others_failed_at_before() {
        let own = own(ComplaintKind::Etcd, None);
        assert_eq!(told(&own, Some("node/n1"), &present("node/n1")), ["node/n1: written"]);
    }

    #[test]
    fn while_nobody_has_the_term_this_process_says_why_it_has_not() {
        let own = own(ComplaintKind::EtcdFull, None);
        let both = ["coordinator/b: written", "coordinator/own: own"];
        assert_eq!(told(&own, None, &present("coordinator/b")), both);
        // The leader of this etcd is not who has the database's term.
        assert_eq!(told(&own, Some("coordinator/own"), &present("coordinator/b")), both);
        let namesake = present("coordinator/own");
        assert_eq!(told(&own, Some("coordinator/own"), &namesake).last().unwrap(), "coordinator/own: own");
    }

    #[test]
    fn one_that_leads_is_believed_before_what_it_could_write() {
        let own = own(ComplaintKind::Postgres, Some(Term(3)));
        assert_eq!(
            told(&own, Some("coordinator/own"), &present("coordinator/own")),
            ["coordinator/own: own"]
        );
        let since = own.complaint(NOW).unwrap().since;
        assert!((OffsetDateTime::now_utc() - since).whole_seconds().abs_diff(60) <= 2, "{since}");
    }
}
