//! Which tenants are shown, and in which order.

use std::cmp::Ordering;

use super::{
    line::Line,
    picture::{Name, Picture},
};

/// By what tenants are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Those that need a person first.
    Trouble,
    Tenant,
    Node,
    Memory,
    Cpu,
    Messages,
    Queue,
    Restarts,
}

impl Sort {
    const ALL: [Self; 8] = [
        Self::Trouble,
        Self::Tenant,
        Self::Node,
        Self::Memory,
        Self::Cpu,
        Self::Messages,
        Self::Queue,
        Self::Restarts,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Tenant => "tenant",
            Self::Node => "node",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Messages => "messages",
            Self::Queue => "queue",
            Self::Restarts => "restarts",
        }
    }

    /// The one after it, or before it, round and round.
    pub fn step(self, forwards: bool) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or_default();
        let by = if forwards { 1 } else { Self::ALL.len() - 1 };
        Self::ALL[(at + by) % Self::ALL.len()]
    }

    /// Amounts: the most first. Ties are by tenant.
    fn compare(self, a: &Line, b: &Line) -> Ordering {
        let (x, y) = (&a.figures, &b.figures);
        match self {
            Self::Trouble => {
                (a.standing, a.since.unwrap_or(i64::MAX)).cmp(&(b.standing, b.since.unwrap_or(i64::MAX)))
            }
            Self::Tenant => Ordering::Equal,
            Self::Node => a.node.cmp(&b.node),
            Self::Memory => y.memory_bytes.cmp(&x.memory_bytes),
            Self::Cpu => y.cpu_millicores.cmp(&x.cpu_millicores),
            Self::Messages => y.messages_per_minute.cmp(&x.messages_per_minute),
            Self::Queue => y.queue().cmp(&x.queue()),
            Self::Restarts => b.restarts.cmp(&a.restarts),
        }
    }
}

/// The tenants that are shown.
#[derive(Debug)]
pub struct Order {
    pub sort: Sort,
    pub reversed: bool,
    /// What is typed to find some.
    pub filter: String,
    /// Only those of this node.
    pub node: Option<String>,
    pub shown: Vec<Name>,
}

impl Default for Order {
    fn default() -> Self {
        let (filter, node, shown) = (String::new(), None, Vec::new());
        Self { sort: Sort::Trouble, reversed: false, filter, node, shown }
    }
}

impl Order {
    pub fn is_narrowed(&self) -> bool {
        !self.filter.is_empty() || self.node.is_some()
    }

    /// What is sorted nearly as before takes hardly more than a look at each.
    pub fn renew(&mut self, picture: &mut Picture) {
        let filter = self.filter.to_lowercase();
        let is_shown = |line: &Line| {
            self.node.as_ref().is_none_or(|node| line.node == *node)
                && (filter.is_empty() || line.has(&filter))
        };
        if self.is_narrowed() || picture.has_other_tenants || self.shown.len() != picture.lines.len() {
            let fits = |name: &Name| picture.lines.get(name).is_some_and(|entry| is_shown(&entry.line));
            let mut shown: Vec<Name> = self.shown.iter().filter(|name| fits(name)).cloned().collect();
            if shown.len() != picture.lines.len() {
                let known: std::collections::HashSet<&Name> = shown.iter().collect();
                let new = picture
                    .lines
                    .iter()
                    .filter(|(name, entry)| !known.contains(name) && is_shown(&entry.line));
                let new: Vec<Name> = new.map(|(name, _)| name.clone()).collect();
                shown.extend(new);
            }
            self.shown = shown;
            picture.has_other_tenants = false;
        }
        let (sort, reversed) = (self.sort, self.reversed);
        // Looked up once each, not once a comparison.
        let mut lines: Vec<(&Line, Name)> = std::mem::take(&mut self.shown)
            .into_iter()
            .filter_map(|name| picture.lines.get(&name).map(|entry| (&entry.line, name)))
            .collect();
        lines.sort_by(|(a, _), (b, _)| {
            let order = sort.compare(a, b).then_with(|| a.tenant.cmp(&b.tenant));
            if reversed { order.reverse() } else { order }
        });
        self.shown = lines.into_iter().map(|(_, name)| name).collect();
    }
}
