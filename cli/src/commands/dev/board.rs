//! What `roost dev` shows, as a value: events go in, lines about what changed come out. No I/O.

use std::collections::BTreeMap;

use roost_devcluster::{TenantRecord, is_connected};
use roost_proto::v1::{Direction, SessionStatus, Worker, WorkerStatus};

use crate::text::visible;

/// The newest lines are kept for the screen.
const RECENT_LINES: usize = 12;

#[derive(Debug, Default)]
pub struct Board {
    pub services: Vec<Part>,
    pub nodes: Vec<Part>,
    /// By the order of the tenants' numbers.
    pub tenants: Vec<TenantLine>,
    pub recent: Vec<String>,
}

/// A process of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub id: String,
    pub pid: u32,
    pub alive: bool,
}

#[derive(Debug, Default, Clone)]
pub struct TenantLine {
    pub record: Option<TenantRecord>,
    pub worker: Worker,
    pub received: u64,
    pub answered: u64,
    /// The counts that the last line about them told.
    told: (u64, u64),
}

/// What the cluster tells.
#[derive(Debug)]
pub enum Event {
    Worker {
        worker: Box<Worker>,
        deleted: bool,
    },
    Message {
        tenant: String,
        direction: Direction,
    },
    /// A QR code for a real phone; only against another site than the simulator.
    Code {
        tenant: String,
        text: String,
    },
}

impl Board {
    pub fn new(tenants: &[TenantRecord]) -> Self {
        let line = |record: &TenantRecord| TenantLine {
            record: Some(record.clone()),
            worker: Worker { tenant_id: record.id.clone(), ..Worker::default() },
            ..TenantLine::default()
        };
        Self { tenants: tenants.iter().map(line).collect(), ..Self::default() }
    }

    /// Takes an event in; a line if something that it tells is new.
    pub fn apply(&mut self, event: Event) -> Option<String> {
        let line = match event {
            Event::Worker { worker, deleted: true } => {
                self.tenants.retain(|line| line.worker.tenant_id != worker.tenant_id);
                Some(format!("{} deleted", worker.tenant_id))
            }
            Event::Worker { worker, deleted: false } => {
                let line = self.line(&worker.tenant_id);
                let (before, after) = (describe(&line.worker), describe(&worker));
                line.worker = *worker;
                (before != after).then(|| format!("{} {after}", line.worker.tenant_id))
            }
            Event::Message { tenant, direction } => {
                let line = self.line(&tenant);
                match direction {
                    Direction::In => line.received += 1,
                    Direction::Out => line.answered += 1,
                    Direction::Unspecified => {}
                }
                None
            }
            Event::Code { .. } => None,
        };
        line.inspect(|line| self.remember(line))
    }

    /// Takes in which processes run; a line per change.
    pub fn set_parts(&mut self, services: Vec<Part>, nodes: Vec<Part>) -> Vec<String> {
        let before: BTreeMap<_, _> =
            self.services.iter().chain(&self.nodes).map(|part| (&part.id, part)).collect();
        let changed = services.iter().chain(&nodes).filter(|part| before.get(&part.id) != Some(part));
        let lines: Vec<String> = changed.map(Part::describe).collect();
        (self.services, self.nodes) = (services, nodes);
        lines.iter().for_each(|line| self.remember(line));
        lines
    }

    /// A line per tenant whose message counts have changed since the last call.
    pub fn new_counts(&mut self) -> Vec<String> {
        let changed = self.tenants.iter_mut().filter(|line| line.told != (line.received, line.answered));
        changed
            .map(|line| {
                line.told = (line.received, line.answered);
                format!("{} received {} answered {}", line.worker.tenant_id, line.received, line.answered)
            })
            .collect()
    }

    /// Whether the demo tenants are; others may have been made by hand.
    pub fn all_connected(&self) -> bool {
        let mut demo = self.tenants.iter().filter(|line| line.record.is_some());
        demo.all(|line| is_connected(&line.worker))
    }

    pub fn tenants_on(&self, node: &str) -> usize {
        self.tenants.iter().filter(|line| line.worker.node_id == node).count()
    }

    pub fn remember(&mut self, line: &str) {
        self.recent.push(line.to_owned());
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_LINES));
    }

    fn line(&mut self, tenant: &str) -> &mut TenantLine {
        let at = match self.tenants.iter().position(|line| line.worker.tenant_id == tenant) {
            Some(at) => at,
            None => {
                let worker = Worker { tenant_id: tenant.to_owned(), ..Worker::default() };
                self.tenants.push(TenantLine { worker, ..TenantLine::default() });
                self.tenants.len() - 1
            }
        };
        &mut self.tenants[at]
    }
}

impl Part {
    fn describe(&self) -> String {
        format!("{} {} (pid {})", self.id, if self.alive { "up" } else { "DEAD" }, self.pid)
    }
}

impl TenantLine {
    pub fn name(&self) -> &str {
        self.record.as_ref().map_or("", |record| &record.name)
    }

    pub fn phone(&self) -> &str {
        self.record.as_ref().map_or("", |record| &record.phone)
    }
}

pub fn worker_status(worker: &Worker) -> &'static str {
    match worker.status() {
        WorkerStatus::Unspecified => "-",
        status => status.as_str_name().trim_start_matches("WORKER_STATUS_"),
    }
}

pub fn session_status(worker: &Worker) -> &'static str {
    match worker.session_status() {
        SessionStatus::Unspecified => "-",
        status => status.as_str_name().trim_start_matches("SESSION_STATUS_"),
    }
}

fn describe(worker: &Worker) -> String {
    let node = if worker.node_id.is_empty() { "nowhere" } else { &worker.node_id };
    let mut told = format!(
        "{} {} on {node} generation {}",
        worker_status(worker),
        session_status(worker),
        worker.generation
    );
    if !worker.last_error.is_empty() {
        told.push_str(": ");
        told.push_str(&visible(&worker.last_error));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_devcluster::demo_tenant;

    fn connected(tenant: &str, node: &str, generation: i64) -> Event {
        let worker = Worker {
            tenant_id: tenant.into(),
            status: WorkerStatus::Running as i32,
            session_status: SessionStatus::Connected as i32,
            node_id: node.into(),
            generation,
            ..Worker::default()
        };
        Event::Worker { worker: Box::new(worker), deleted: false }
    }

    #[test]
    fn a_move_is_one_line_and_a_heartbeat_is_none() {
        let mut board = Board::new(&[demo_tenant(0)]);
        assert_eq!(
            board.apply(connected("demo-1", "node-2", 1)).as_deref(),
            Some("demo-1 RUNNING CONNECTED on node-2 generation 1")
        );
        assert_eq!(board.apply(connected("demo-1", "node-2", 1)), None);
        assert!(board.apply(connected("demo-1", "node-3", 2)).is_some());
        assert_eq!((board.tenants_on("node-2"), board.tenants_on("node-3")), (0, 1));
    }

    #[test]
    fn all_are_connected_only_when_each_tenant_is() {
        let mut board = Board::new(&[demo_tenant(0), demo_tenant(1)]);
        board.apply(connected("demo-1", "node-1", 1));
        assert!(!board.all_connected());
        board.apply(connected("demo-2", "node-1", 1));
        assert!(board.all_connected());
    }

    #[test]
    fn a_part_that_dies_or_comes_back_is_told_once() {
        let mut board = Board::default();
        let part = |pid, alive| Part { id: "node-1".into(), pid, alive };
        assert_eq!(board.set_parts(vec![], vec![part(7, true)]), ["node-1 up (pid 7)"]);
        assert!(board.set_parts(vec![], vec![part(7, true)]).is_empty());
        assert_eq!(board.set_parts(vec![], vec![part(7, false)]), ["node-1 DEAD (pid 7)"]);
        assert_eq!(board.set_parts(vec![], vec![part(9, true)]), ["node-1 up (pid 9)"]);
    }

    #[test]
    fn counts_are_told_when_they_have_changed() {
        let mut board = Board::new(&[demo_tenant(0)]);
        for direction in [Direction::In, Direction::Out, Direction::In] {
            board.apply(Event::Message { tenant: "demo-1".into(), direction });
        }
        assert_eq!(board.new_counts(), ["demo-1 received 2 answered 1"]);
        assert!(board.new_counts().is_empty());
    }
}
