//! A list of nodes or tenants in a line for people.

/// So many are named; the others are counted.
const NAMED: usize = 10;

/// The first of them, for people.
pub(super) fn named<'a>(all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let names = all.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}
