//! That of each call it is decided who may make it: checked while this is compiled.

use roost_proto::METHODS;

use crate::app::access::calls::CALLS;

const _: () = {
    let mut method = 0;
    while method < METHODS.len() {
        let mut call = 0;
        while call < CALLS.len() && !is_same(METHODS[method], CALLS[call].path) {
            call += 1;
        }
        assert!(call < CALLS.len(), "a call of roost.v1 has no line in the table of who may make it");
        method += 1;
    }
};

const fn is_same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    // From the end, where they differ.
    let mut at = left.len();
    while at > 0 {
        at -= 1;
        if left[at] != right[at] {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_call_has_one_line_and_each_line_a_call() {
        let paths: HashSet<_> = CALLS.iter().map(|call| call.path).collect();
        assert_eq!(paths.len(), CALLS.len());
        let ours = CALLS.iter().filter(|call| call.path.starts_with("/roost."));
        for call in ours {
            assert!(METHODS.contains(&call.path), "{}", call.path);
        }
    }
}
