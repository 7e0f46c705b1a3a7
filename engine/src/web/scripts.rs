//! The scripts that documents are given: the node's own, and one for each other build of the library that somebody has.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::bridge::{HoldLimits, WaJs, script};
use crate::LibraryVersion;

pub(super) struct Scripts {
    own: String,
    limits: HoldLimits,
    /// Each is built once, not for every browser, and forgotten when nobody has its version any more.
    others: Mutex<Vec<(Weak<LibraryVersion>, Arc<str>)>>,
}

impl Scripts {
    pub(super) fn new(wa_js: &WaJs, limits: HoldLimits) -> Self {
        Self { own: script(wa_js, limits), limits, others: Mutex::default() }
    }

    pub(super) fn own(&self) -> &str {
        &self.own
    }

    pub(super) fn of(&self, version: &Arc<LibraryVersion>) -> Arc<str> {
        let mut others = self.others.lock();
        others.retain(|(of, _)| of.strong_count() > 0);
        let version_of = Arc::downgrade(version);
        if let Some((_, built)) = others.iter().find(|(of, _)| of.ptr_eq(&version_of)) {
            return built.clone();
        }
        let built: Arc<str> = script(&WaJs::reworded(version.wa_js().to_owned()), self.limits).into();
        others.push((version_of, built.clone()));
        built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_built_once_for_a_version_and_not_kept_longer_than_that() {
        let scripts = Scripts::new(&WaJs::stand_in("own"), HoldLimits::default());
        let version = |text: &str| Arc::new(LibraryVersion::new(text, text.to_owned()));
        let (one, other) = (version("one"), version("other"));
        let built = scripts.of(&one);
        assert!(built.contains("\none\n") && scripts.of(&other).contains("\nother\n"));
        assert!(Arc::ptr_eq(&built, &scripts.of(&one)));
        drop(one);
        scripts.of(&other);
        assert_eq!(scripts.others.lock().len(), 1);
        assert_eq!(Arc::strong_count(&built), 1);
    }

    /// What is put in other words in the node's own library is so in another build of it, where it is there.
    #[test]
    fn another_build_attaches_as_early_as_the_nodes_own() {
        let text = "t>0&&Date.now()-s>=e)".to_owned();
        let scripts = Scripts::new(&WaJs::stand_in(""), HoldLimits::default());
        let built = scripts.of(&Arc::new(LibraryVersion::new("one", text)));
        assert!(built.contains("t>0&&Date.now()-s>=(roostIsMain()?100:e))"));
    }
}
