//! A list of nodes or tenants in a line for people.

/// So many are named; the others are counted.
const NAMED: usize = 10;

/// The first of them, for people.
pub(super) fn named<'a>(all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let names = all.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_are_named_and_the_others_counted() {
        let names: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
        let first = |count: usize| named(names[..count].iter().map(String::as_str));
        assert_eq!(first(2), "n0, n1");
        assert_eq!(first(10), "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9");
        assert_eq!(first(12), "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more");
    }
}
