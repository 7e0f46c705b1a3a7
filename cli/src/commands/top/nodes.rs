//! A node as `roost top` shows it.

use roost_proto::v1::Node;

use super::line::{Alarm, Line};

#[derive(Debug, Clone, PartialEq)]
pub struct NodeLine {
    pub id: String,
    pub state: String,
    pub alarm: Alarm,
    pub tenants: i32,
    pub capacity: i32,
    /// What is wrong with it, or why it is closed.
    pub trouble: String,
    pub sums: Sums,
}

/// Of its workers, as far as they are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    pub memory_bytes: i64,
    pub cpu_millicores: i64,
    pub messages_per_minute: i64,
    /// Nobody has told anything of what its browsers use.
    pub is_measured: bool,
}

impl Sums {
    pub fn add(&mut self, line: &Line) {
        self.memory_bytes += line.figures.memory_bytes.unwrap_or_default();
        self.cpu_millicores += i64::from(line.figures.cpu_millicores.unwrap_or_default());
        self.messages_per_minute += i64::from(line.figures.messages_per_minute.unwrap_or_default());
        self.is_measured |= line.figures.memory_bytes.is_some();
    }
}

impl From<Node> for NodeLine {
    fn from(node: Node) -> Self {
        let states = [
            (!node.live, "LOST", Alarm::Bad),
            (!node.impairments.is_empty(), "impaired", Alarm::Bad),
            (node.shedding, "shedding", Alarm::Bad),
            (node.draining, "draining", Alarm::Waits),
            (node.leaving, "leaving", Alarm::Waits),
            (node.cordoned && !node.draining, "cordoned", Alarm::Waits),
            (node.suspect_until_time.is_some(), "suspect", Alarm::Waits),
            (node.restart_window_end_time.is_some(), "restarting", Alarm::Waits),
        ];
        let unusual: Vec<_> = states.into_iter().filter(|(is, ..)| *is).collect();
        let words: Vec<_> = unusual.iter().map(|(_, word, _)| *word).collect();
        let impaired = node.impairments.iter().map(|what| format!("{}: {}", what.kind, what.reason));
        let closed = [&node.cordoned_by, &node.cordon_reason].into_iter().filter(|text| !text.is_empty());
        let trouble: Vec<String> = impaired.chain(closed.cloned()).collect();
        Self {
            state: if words.is_empty() { "live".to_owned() } else { words.join(",") },
            // The worst comes first.
            alarm: unusual.first().map_or(Alarm::Good, |(_, _, alarm)| *alarm),
            tenants: node.tenants,
            capacity: node.capacity,
            trouble: trouble.join("; "),
            sums: Sums::default(),
            id: node.id,
        }
    }
}

/// Those that need a person first, then by id.
pub fn sort(nodes: &mut [NodeLine]) {
    let rank = |alarm: Alarm| match alarm {
        Alarm::Bad => 0,
        Alarm::Waits => 1,
        Alarm::Passing | Alarm::Good | Alarm::Quiet => 2,
    };
    nodes.sort_by(|a, b| (rank(a.alarm), &a.id).cmp(&(rank(b.alarm), &b.id)));
}
