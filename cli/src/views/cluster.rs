//! How the cluster is: its leader, its counts, its policy.

use roost_proto::v1::{
    ClusterStatus, ControllerComplaint, FailoverHold, FailoverPause, Leader, NodeCounts, Policy, TenantCounts,
};
use serde::Serialize;

use super::{OperationView, VersionView, ago, rfc3339};
use crate::{
    failure::Failure,
    output::{Output, Row},
};

/// How the cluster is.
#[derive(Debug, Serialize)]
pub struct ClusterView {
    complaints: Vec<ComplaintView>,
    leader: Option<LeaderView>,
    nodes: NodeCountsView,
    tenants: TenantCountsView,
    failover_pause: Option<PauseView>,
    failover_hold: Option<HoldView>,
    policy: PolicyView,
    operations: Vec<OperationView>,
    expiring_versions: Vec<VersionView>,
    conflicts: i64,
}

#[derive(Debug, Serialize)]
struct ComplaintView {
    holder: String,
    kind: String,
    reason: String,
    since_time: Option<String>,
    remedy: String,
}

#[derive(Debug, Serialize)]
struct LeaderView {
    holder: String,
    address: String,
    term: i64,
}

#[derive(Debug, Serialize)]
struct NodeCountsView {
    live: i32,
    lost: i32,
    cordoned: i32,
    draining: i32,
    suspect: i32,
    impaired: i32,
}

#[derive(Debug, Serialize)]
struct TenantCountsView {
    running: i32,
    placed: i32,
    waiting: i32,
    error: i32,
}

#[derive(Debug, Serialize)]
struct PauseView {
    reason: String,
    requested_by: String,
    start_time: Option<String>,
}

#[derive(Debug, Serialize)]
struct HoldView {
    lost_node_ids: Vec<String>,
    held_until: Option<String>,
    ramp: i32,
    waiting: i32,
}

#[derive(Debug, Serialize)]
pub struct PolicyView {
    auto_rebalance: bool,
    failover_breaker: bool,
    message_retention_days: i32,
}

impl From<ClusterStatus> for ClusterView {
    fn from(status: ClusterStatus) -> Self {
        let leader = |Leader { holder, address, term }| LeaderView { holder, address, term };
        let complaint = |ControllerComplaint { holder, kind, reason, since_time, remedy }| ComplaintView {
            holder,
            kind,
            reason,
            since_time: rfc3339(&since_time),
            remedy,
        };
        let pause = |FailoverPause { reason, requested_by, start_time }| PauseView {
            reason,
            requested_by,
            start_time: rfc3339(&start_time),
        };
        let hold = |FailoverHold { lost_node_ids, held_until, ramp, waiting }| HoldView {
            lost_node_ids,
            held_until: rfc3339(&held_until),
            ramp,
            waiting,
        };
        let NodeCounts { live, lost, cordoned, draining, suspect, impaired } =
            status.nodes.unwrap_or_default();
        let TenantCounts { running, placed, waiting, error } = status.tenants.unwrap_or_default();
        Self {
            complaints: status.complaints.into_iter().map(complaint).collect(),
            leader: status.leader.map(leader),
            nodes: NodeCountsView { live, lost, cordoned, draining, suspect, impaired },
            tenants: TenantCountsView { running, placed, waiting, error },
            failover_pause: status.failover_pause.map(pause),
            failover_hold: status.failover_hold.map(hold),
            policy: status.policy.unwrap_or_default().into(),
            operations: status.operations.into_iter().map(OperationView::from).collect(),
            expiring_versions: status.expiring_versions.into_iter().map(VersionView::from).collect(),
            conflicts: status.conflicts,
        }
    }
}

impl ClusterView {
    /// A line for each part, then a table of what runs.
    pub fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_data() {
            return output.data(self);
        }
        output.one(self)?;
        if self.operations.is_empty() {
            return Ok(());
        }
        output.text("")?;
        output.list(&self.operations)
    }

    fn controller(&self) -> String {
        match &self.leader {
            None => "none is elected".to_owned(),
            Some(LeaderView { holder, address, term }) if address.is_empty() => {
                format!("{holder}, term {term}")
            }
            Some(LeaderView { holder, address, term }) => format!("{holder} at {address}, term {term}"),
        }
    }

    fn failover(&self) -> String {
        let Some(PauseView { reason, requested_by, start_time }) = &self.failover_pause else {
            return self.failover_hold.as_ref().map_or_else(|| "on".to_owned(), HoldView::told);
        };
        let since = ago(start_time.as_deref());
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        format!("paused by {requested_by} {since}{why}")
    }
}

impl ComplaintView {
    /// What is wrong, and what mends it if that is known.
    fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let since = ago(self.since_time.as_deref());
        let wrong = format!("{} ({}, {since})", self.reason, self.holder);
        let remedy = Some(self.remedy.clone()).filter(|remedy| !remedy.is_empty());
        [("NOT WELL", wrong)].into_iter().chain(remedy.map(|remedy| ("to mend it", remedy)))
    }
}

impl HoldView {
    fn told(&self) -> String {
        let (lost, waiting) = (self.lost_node_ids.join(", "), self.waiting);
        if self.ramp == 0 {
            let until = self.held_until.as_deref().unwrap_or_default();
            format!("held until {until}, for they may be back: {lost} are lost; {waiting} tenants wait")
        } else {
            format!("on, {} tenants at a time: {lost} are lost; {waiting} tenants wait", self.ramp)
        }
    }
}

impl Row for ClusterView {
    const HEADER: &'static [&'static str] = &[
        "controller",
        "nodes",
        "tenants",
        "failover",
        "auto-rebalance",
        "failover breaker",
        "messages kept",
        "conflicts",
    ];

    fn cells(&self) -> Vec<String> {
        let NodeCountsView { live, lost, cordoned, draining, suspect, impaired } = self.nodes;
        let TenantCountsView { running, placed, waiting, error } = self.tenants;
        let nodes = format!(
            "{live} live, {lost} lost, {cordoned} cordoned, {draining} draining, {suspect} suspect, \
             {impaired} impaired"
        );
        let tenants = format!("{running} should run: {placed} placed, {waiting} waiting; {error} in error");
        let mut cells = vec![self.controller(), nodes, tenants, self.failover()];
        cells.extend(self.policy.cells());
        cells.push(self.conflicts.to_string());
        cells
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let complaints = self.complaints.iter().flat_map(ComplaintView::lines);
        let expiring = self.expiring_versions.iter().map(|version| ("version", version.told()));
        complaints.chain(expiring).chain(Self::HEADER.iter().copied().zip(self.cells())).collect()
    }
}

impl From<Policy> for PolicyView {
    fn from(Policy { auto_rebalance, failover_breaker, message_retention_days }: Policy) -> Self {
        Self { auto_rebalance, failover_breaker, message_retention_days }
    }
}

impl Row for PolicyView {
    const HEADER: &'static [&'static str] = &["auto-rebalance", "failover breaker", "messages kept"];

    fn cells(&self) -> Vec<String> {
        let switch = |is_on: bool| if is_on { "on" } else { "off" }.to_owned();
        let kept = format!("{} days", self.message_retention_days);
        vec![switch(self.auto_rebalance), switch(self.failover_breaker), kept]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(ramp: i32) -> HoldView {
        HoldView {
            lost_node_ids: vec!["n1".to_owned(), "n2".to_owned()],
            held_until: Some("2026-11-29T10:00:05Z".to_owned()),
            ramp,
            waiting: 4,
        }
    }

    #[test]
    fn what_is_held_is_told_with_its_reason_and_its_end() {
        assert_eq!(
            hold(0).told(),
            "held until 2026-11-29T10:00:05Z, for they may be back: n1, n2 are lost; 4 tenants wait"
        );
        assert_eq!(hold(6).told(), "on, 6 tenants at a time: n1, n2 are lost; 4 tenants wait");
    }
}
