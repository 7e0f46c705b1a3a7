//! How things stand that callers follow: of each thing its last state, and in which change it came to be so. A compacted log: one
//! who reads late finds what is true by then, however much has happened, and nothing piles up for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Things that have gone are kept so many, for those who have not read of it.
const GONE_KEPT: usize = 10_000;

/// What has become of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change<S> {
    pub state: Arc<S>,
    /// It is no more; this is its last state.
    pub is_gone: bool,
}

pub(super) struct StateLog<K, S> {
    entries: BTreeMap<K, Entry<S>>,
    /// By the change that each entry is of.
    changes: BTreeMap<u64, K>,
    /// Of these, the ones whose thing has gone.
    gone: BTreeMap<u64, K>,
    last: u64,
    /// Up to this change, some of those that have gone are not kept any more.
    forgotten: u64,
}

struct Entry<S> {
    state: Arc<S>,
    changed: u64,
    /// The change with which it came.
    came: u64,
    is_gone: bool,
}

impl<S> Entry<S> {
    fn change(&self) -> Change<S> {
        Change { state: self.state.clone(), is_gone: self.is_gone }
    }
}

impl<K, S> Default for StateLog<K, S> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            changes: BTreeMap::new(),
            gone: BTreeMap::new(),
            last: 0,
            forgotten: 0,
        }
    }
}

impl<K: Ord + Clone, S> StateLog<K, S> {
    /// The number of the last change.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// All there are, in order.
    pub fn present(&self) -> Vec<Change<S>> {
        self.entries.values().filter(|entry| !entry.is_gone).map(Entry::change).collect()
    }

    /// The thing, if it is there.
    pub fn present_one(&self, key: &K) -> Option<Change<S>> {
        self.entries.get(key).filter(|entry| !entry.is_gone).map(Entry::change)
    }

    /// What one has to be told who has read up to `seen`. None when not all of that is known any more.
    pub fn after(&self, seen: u64) -> Option<Vec<Change<S>>> {
        let entries = self.changes.range(seen + 1..).filter_map(|(_, key)| self.entries.get(key));
        let unseen = entries.filter(|entry| !(entry.is_gone && entry.came > seen));
        (seen >= self.forgotten).then(|| unseen.map(Entry::change).collect())
    }

    /// The same, by one who reads of this thing only.
    pub fn one_after(&self, key: &K, seen: u64) -> Option<Change<S>> {
        self.entries.get(key).filter(|entry| entry.changed > seen).map(Entry::change)
    }

    /// How the thing stands now; none when it is not there. Whether that is a change: what `differs` does not see is none.
    pub fn put(&mut self, key: K, now: Option<S>, differs: impl FnOnce(&S, &S) -> bool) -> bool {
        let before = self.entries.get_mut(&key).filter(|entry| !entry.is_gone);
        let next = self.last + 1;
        let entry = match (before, now) {
            (None, None) => return false,
            (Some(before), Some(now)) if !differs(&before.state, &now) => {
                before.state = Arc::new(now);
                return false;
            }
            (Some(before), None) => {
                Entry { state: before.state.clone(), changed: next, came: before.came, is_gone: true }
            }
            (before, Some(now)) => Entry {
                state: Arc::new(now),
                changed: next,
                came: before.map_or(next, |before| before.came),
                is_gone: false,
            },
        };
        self.forget(&key);
        self.last = next;
        self.changes.insert(next, key.clone());
        if entry.is_gone {
            self.gone.insert(next, key.clone());
        }
        self.entries.insert(key, entry);
        if self.gone.len() > GONE_KEPT
            && let Some((oldest, key)) = self.gone.pop_first()
        {
            self.forgotten = oldest;
            self.forget(&key);
        }
        true
    }

    /// All but these are nobody's business any more.
    pub fn retain(&mut self, wanted: impl Fn(&K) -> bool) {
        let others: Vec<K> = self.entries.keys().filter(|key| !wanted(key)).cloned().collect();
        others.iter().for_each(|key| self.forget(key));
    }

    /// Of those that are there.
    pub fn missing_from(&self, found: &BTreeSet<K>) -> Vec<K> {
        let present = self.entries.iter().filter(|(_, entry)| !entry.is_gone).map(|(key, _)| key);
        present.filter(|key| !found.contains(key)).cloned().collect()
    }

    fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.changes.remove(&entry.changed);
            self.gone.remove(&entry.changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(a: &u32, b: &u32) -> bool {
        a != b
    }

    fn put(log: &mut StateLog<u32, u32>, key: u32, now: Option<u32>) -> bool {
        log.put(key, now, differs)
    }

    fn put_all(log: &mut StateLog<u32, u32>, keys: impl Iterator<Item = u32>) {
        for key in keys {
            put(log, key, Some(key));
        }
    }

    fn told(changes: Vec<Change<u32>>) -> Vec<(u32, bool)> {
        changes.into_iter().map(|change| (*change.state, change.is_gone)).collect()
    }

    #[test]
    fn one_who_reads_late_is_told_once_of_each_thing_how_it_stands() {
        let mut log = StateLog::default();
        for (key, state) in [(1, 10), (2, 20), (3, 30)] {
            assert!(put(&mut log, key, Some(state)));
        }
        assert_eq!(told(log.present()), [(10, false), (20, false), (30, false)]);
        let seen = log.last();
        assert!(!put(&mut log, 1, Some(10)), "nothing has changed");
        for (key, state) in [(2, 21), (1, 11), (2, 22), (2, 23)] {
            put(&mut log, key, Some(state));
        }
        assert!(put(&mut log, 3, None));
        assert!(!put(&mut log, 3, None), "it is told once");
        assert_eq!(told(log.after(seen).unwrap()), [(11, false), (23, false), (30, true)]);
        assert_eq!(told(log.after(log.last()).unwrap()), []);
        assert_eq!(log.one_after(&2, seen).map(|change| *change.state), Some(23));
        assert_eq!(log.one_after(&2, log.last()), None);
        assert_eq!(log.missing_from(&BTreeSet::from([1])), [2]);
    }

    #[test]
    fn what_came_and_went_meanwhile_is_not_told_and_what_came_back_is() {
        let mut log = StateLog::default();
        put(&mut log, 1, Some(10));
        let seen = log.last();
        put(&mut log, 2, Some(20));
        put(&mut log, 2, None);
        put(&mut log, 1, None);
        assert_eq!(told(log.after(seen).unwrap()), [(10, true)]);
        assert!(put(&mut log, 1, Some(10)), "another one of the same name");
        assert_eq!(told(log.after(seen).unwrap()), [(10, false)]);
        assert_eq!(log.present_one(&2), None);
    }

    #[test]
    fn what_has_gone_is_kept_for_a_while_and_who_has_not_read_of_it_by_then_is_told_so() {
        let mut log = StateLog::default();
        let things = u32::try_from(GONE_KEPT).unwrap() + 1;
        put_all(&mut log, 0..things);
        let seen = log.last();
        for key in 0..things {
            put(&mut log, key, None);
        }
        assert_eq!((log.entries.len(), log.changes.len(), log.gone.len()), (GONE_KEPT, GONE_KEPT, GONE_KEPT));
        assert_eq!(log.after(seen), None);
        assert_eq!(log.after(seen + 1).map(|changes| changes.len()), Some(GONE_KEPT));
    }

    #[test]
    fn what_nobody_follows_is_forgotten() {
        let mut log = StateLog::default();
        put_all(&mut log, 1..=3);
        put(&mut log, 3, None);
        log.retain(|key| *key == 2);
        assert_eq!(told(log.present()), [(2, false)]);
        assert_eq!((log.changes.len(), log.gone.len()), (1, 0));
    }
}
