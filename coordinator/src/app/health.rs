//! What a coordinator stands on: looked at once a second, for all who ask in whatever protocol.
//!
//! Three of the four are its own: without the database, its schema or etcd it answers nothing, or only half, and callers
//! belong to another coordinator. That nobody leads is everybody's: the other coordinators answer no better, so it is
//! told and takes nobody out.

use std::time::Duration;

use roost_cluster::{
    clock::boottime, keys, ledger::SILENT_FOR, records::LeaderRecord, registry::Entry, timing::Timing,
};
use roost_model::causes;
use roost_store::{PresentController, Store};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    App, Error, FailedMigration,
    complaints::{ControllerComplaint, complaints},
};
use crate::transport::Certificates;

pub const POSTGRES: &str = "postgres";
pub const ETCD: &str = "etcd";
const SCHEMA: &str = "schema";
const CONTROLLER: &str = "controller";

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is wrong with each; none while it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub postgres: Option<String>,
    pub schema: Option<String>,
    pub etcd: Option<String>,
    /// Of whoever leads: it gives signs of life, and nothing has kept it from placing for long.
    pub controller: Option<String>,
    /// What is no reason to go elsewhere and for a person to mend.
    pub warnings: Vec<String>,
}

impl Health {
    /// Before the first look, and once the coordinator stops.
    fn of_none(why: &str) -> Self {
        let why = Some(why.to_owned());
        Self {
            postgres: why.clone(),
            schema: why.clone(),
            etcd: why.clone(),
            controller: why,
            warnings: vec![],
        }
    }

    /// By name.
    pub fn checks(&self) -> [(&'static str, Option<&str>); 4] {
        [
            (POSTGRES, self.postgres.as_deref()),
            (SCHEMA, self.schema.as_deref()),
            (ETCD, self.etcd.as_deref()),
            (CONTROLLER, self.controller.as_deref()),
        ]
    }

    /// What it answers from the database alone.
    pub fn has_database(&self) -> bool {
        self.postgres.is_none() && self.schema.is_none()
    }

    /// All that it is asked.
    pub fn is_ready(&self) -> bool {
        self.has_database() && self.etcd.is_none()
    }
}

/// Looks until stopped; see [`Health`]. Before that nothing is well.
pub fn watch(
    app: App,
    timing: Timing,
    certificates: Certificates,
    stop: CancellationToken,
) -> (watch::Receiver<Health>, impl Future<Output = ()>) {
    let (sender, receiver) = watch::channel(Health::of_none("it has not been looked at yet"));
    let looking = async move {
        let look = async {
            loop {
                let mut found = app.look(timing.ttl).await;
                found.warnings.extend(certificates.warnings());
                tell(&sender.borrow(), &found);
                sender.send_if_modified(|last| (*last != found).then(|| *last = found).is_some());
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(look).await;
        sender.send_replace(Health::of_none("the coordinator is stopping"));
    };
    (receiver, looking)
}

/// Each change once.
fn tell(before: &Health, now: &Health) {
    for ((name, before), (_, now)) in before.checks().into_iter().zip(now.checks()) {
        match (before, now) {
            (Some(_), None) => tracing::info!(dependency = name, "dependency is well"),
            (None, Some(reason)) => tracing::warn!(dependency = name, reason, "dependency is not well"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

impl App {
    async fn look(&self, ttl: Duration) -> Health {
        let (database, leader) = tokio::join!(self.look_at_database(), self.registry().get(keys::LEADER));
        let (postgres, schema, present) = match database {
            Ok(present) => (None, None, Some(present)),
            Err(fault) => (fault.postgres, fault.schema, None),
        };
        let etcd = leader.as_ref().err().map(|error| causes(error).to_string());
        let controller = match (present, leader) {
            (Some(present), Ok(leader)) => self.look_at_controller(leader, &present, ttl),
            (None, _) => Some("not known without the database".to_owned()),
            (_, Err(_)) => Some("not known without etcd".to_owned()),
        };
        let gaps = self.store().map(Store::durability_gaps).unwrap_or_default();
        let warnings = gaps.iter().map(ToString::to_string).collect();
        Health { postgres, schema, etcd, controller, warnings }
    }

    /// Two reasons not to have it: it is away, or it has not this program's schema.
    async fn look_at_database(&self) -> Result<PresentController, DatabaseFault> {
        let migrated = match self.store() {
            Ok(store) => Ok(store.present_controller().await),
            Err(Error::NotMigrated(failed)) => Err(failed),
            Err(_) => Err(None),
        };
        match migrated {
            Ok(Ok(present)) => Ok(present),
            Ok(Err(error)) => Err(DatabaseFault { postgres: Some(causes(&error).to_string()), schema: None }),
            Err(Some(FailedMigration { is_away: true, reason })) => {
                Err(DatabaseFault { postgres: Some(reason), schema: Some("not known yet".to_owned()) })
            }
            Err(failed) => {
                let reason =
                    failed.map_or_else(|| "it is being looked at".to_owned(), |failed| failed.reason);
                Err(DatabaseFault { postgres: None, schema: Some(reason) })
            }
        }
    }

    fn look_at_controller(
        &self,
        leader: Option<Entry>,
        present: &PresentController,
        ttl: Duration,
    ) -> Option<String> {
        let leader = leader.as_ref().map(keys::decode::<LeaderRecord>).and_then(Result::ok);
        let told = complaints(self.own_controller(), leader.as_ref(), present, boottime());
        controller_fault(&told, present.silent_for, ttl, OffsetDateTime::now_utc())
    }
}

struct DatabaseFault {
    postgres: Option<String>,
    schema: Option<String>,
}

/// Elections and short outages are no news: what is told has lasted for longer than it takes another one to lead.
fn controller_fault(
    told: &[ControllerComplaint],
    silent_for: Duration,
    ttl: Duration,
    now: OffsetDateTime,
) -> Option<String> {
    let patience = ttl.mul_f64(SILENT_FOR);
    let stops = told.iter().filter(|told| told.complaint.kind.stops_placement());
    let mut lasting = stops.filter(|told| now - told.since > patience);
    if let Some(ControllerComplaint { holder, complaint, .. }) = lasting.next() {
        return Some(format!("{} ({holder})", complaint.reason));
    }
    (silent_for > patience)
        .then(|| format!("no controller has given a sign of life for {patience:?} or longer"))
}

#[cfg(test)]
mod tests {
    use roost_cluster::ledger::{Complaint, ComplaintKind};

    use super::*;

    const TTL: Duration = Duration::from_secs(4);

    fn fault(kind: ComplaintKind, for_s: i64, silent_s: u64) -> Option<String> {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::hours(9);
        let since = now - time::Duration::seconds(for_s);
        let complaint = Complaint::new(kind, "why");
        let told = ControllerComplaint { holder: "coordinator/a".to_owned(), complaint, since };
        controller_fault(&[told], Duration::from_secs(silent_s), TTL, now)
    }

    #[test]
    fn what_stops_placement_for_long_is_told_and_so_is_silence() {
        assert_eq!(fault(ComplaintKind::EtcdFull, 11, 0).as_deref(), Some("why (coordinator/a)"));
        assert_eq!(fault(ComplaintKind::EtcdFull, 9, 0), None, "it may be over soon");
        assert_eq!(fault(ComplaintKind::Records, 999, 0), None, "the others are placed");
        assert_eq!(fault(ComplaintKind::Tenants, 999, 9), None);
        let silent = fault(ComplaintKind::Tenants, 999, 11);
        assert_eq!(silent.as_deref(), Some("no controller has given a sign of life for 10s or longer"));
    }

    #[test]
    fn one_without_a_controller_is_ready_and_one_without_etcd_answers_from_the_database() {
        let well = Health { postgres: None, schema: None, etcd: None, controller: None, warnings: vec![] };
        let away = || Some("away".to_owned());
        assert!(Health { controller: away(), ..well.clone() }.is_ready());
        let without_etcd = Health { etcd: away(), ..well.clone() };
        assert!(!without_etcd.is_ready() && without_etcd.has_database());
        assert!(!Health { schema: away(), ..well }.has_database());
        assert!(!Health::of_none("new").has_database());
    }
}
