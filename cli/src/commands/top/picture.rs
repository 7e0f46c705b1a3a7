//! What is known of the cluster: the last that was told of each tenant and node, and whether anybody tells.

use std::{collections::HashMap, sync::Arc};

use roost_proto::v1::{Node, Worker, WorkerFigures};
use time::OffsetDateTime;

use super::{
    line::{Figures, Line},
    nodes::{self, NodeLine, Sums},
};

/// What the feed tells.
#[derive(Debug)]
pub enum News {
    /// A stream of workers has begun: all there are will be told.
    Begun,
    Worker {
        worker: Box<Worker>,
        is_gone: bool,
    },
    Figures(Vec<WorkerFigures>),
    /// Whatever has not been told since it began is no more.
    AllTold,
    /// The stream of workers has ended, or none can be opened.
    Lost(String),
    Nodes(Vec<Node>),
    /// Nodes cannot be listed.
    NodesLost(String),
}

/// Whether what is shown is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The first answers are on their way.
    Opening,
    Live,
    /// What is shown is from before.
    Lost {
        since: OffsetDateTime,
        why: String,
    },
}

pub type Name = Arc<str>;

#[derive(Debug)]
pub struct Picture {
    pub lines: HashMap<Name, Entry>,
    pub nodes: Vec<NodeLine>,
    pub workers_link: Link,
    pub nodes_link: Link,
    /// How many tenants are how, by their alarms.
    pub by_alarm: [usize; 5],
    /// Of the stream of workers that is being told.
    round: u64,
    /// Tenants have come or gone since this was last asked.
    pub has_other_tenants: bool,
}

#[derive(Debug)]
pub struct Entry {
    pub line: Line,
    /// In which stream it was told last.
    round: u64,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            nodes: Vec::new(),
            workers_link: Link::Opening,
            nodes_link: Link::Opening,
            by_alarm: [0; 5],
            round: 0,
            has_other_tenants: false,
        }
    }
}

impl Picture {
    /// Whether a worker is on another node than before.
    pub fn take(&mut self, news: News, now: OffsetDateTime) -> bool {
        match news {
            News::Begun => self.round += 1,
            News::Worker { worker, is_gone: false } => return self.put(*worker),
            News::Worker { worker, is_gone: true } => {
                self.has_other_tenants |= self.lines.remove(worker.tenant_id.as_str()).is_some();
            }
            News::Figures(all) => {
                for told in &all {
                    if let Some(entry) = self.lines.get_mut(told.tenant_id.as_str()) {
                        entry.line.figures = Figures::from(told);
                    }
                }
            }
            News::AllTold => {
                let before = self.lines.len();
                self.lines.retain(|_, entry| entry.round == self.round);
                self.has_other_tenants |= self.lines.len() != before;
                self.workers_link = Link::Live;
            }
            News::Lost(why) => lose(&mut self.workers_link, why, now),
            News::Nodes(all) => {
                self.nodes = all.into_iter().map(NodeLine::from).collect();
                nodes::sort(&mut self.nodes);
                self.nodes_link = Link::Live;
            }
            News::NodesLost(why) => lose(&mut self.nodes_link, why, now),
        }
        false
    }

    fn put(&mut self, worker: Worker) -> bool {
        let round = self.round;
        match self.lines.get_mut(worker.tenant_id.as_str()) {
            Some(entry) => {
                let line = Line::new(worker, entry.line.figures);
                let has_moved = line.node != entry.line.node;
                *entry = Entry { line, round };
                has_moved
            }
            None => {
                let line = Line::new(worker, Figures::default());
                self.lines.insert(Name::from(line.tenant.as_str()), Entry { line, round });
                self.has_other_tenants = true;
                false
            }
        }
    }

    /// Counts the tenants, and adds up what the workers of each node use.
    pub fn sum_up(&mut self) {
        self.by_alarm = [0; 5];
        for entry in self.lines.values() {
            self.by_alarm[entry.line.standing.alarm() as usize] += 1;
        }
        let mut sums: HashMap<&str, Sums> = HashMap::new();
        for entry in self.lines.values().filter(|entry| !entry.line.node.is_empty()) {
            sums.entry(&entry.line.node).or_default().add(&entry.line);
        }
        for node in &mut self.nodes {
            node.sums = sums.get(node.id.as_str()).copied().unwrap_or_default();
        }
    }

    /// The link that says why what is shown may not be true, with what it is about.
    pub fn lost(&self) -> Option<(&'static str, OffsetDateTime, &str)> {
        let links = [("the tenants", &self.workers_link), ("the nodes", &self.nodes_link)];
        links.into_iter().find_map(|(what, link)| match link {
            Link::Lost { since, why } => Some((what, *since, why.as_str())),
            Link::Opening | Link::Live => None,
        })
    }
}

/// Since when does not change while it lasts.
fn lose(link: &mut Link, why: String, now: OffsetDateTime) {
    let since = match link {
        Link::Lost { since, .. } => *since,
        Link::Opening | Link::Live => now,
    };
    *link = Link::Lost { since, why };
}
