//! What came of the sends of the browser that a worker has, and which versions that was given: by this a version is judged that some
//! tenants are given first.

use std::sync::Arc;

use parking_lot::Mutex;
use roost_engine::Versions;
use roost_store::SendFigures;

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct SendTally(Arc<Mutex<SendFigures>>);

impl SendTally {
    /// Another browser begins.
    pub fn begin(&self, versions: &Versions) {
        *self.0.lock() = SendFigures {
            page_version: versions.page.as_ref().map(|page| page.name.clone()),
            library_version: versions.library.as_ref().map(|library| library.name.clone()),
            ..SendFigures::default()
        };
    }

    pub fn acknowledged(&self) {
        self.0.lock().acknowledged += 1;
    }

    pub fn unacknowledged(&self) {
        self.0.lock().unacknowledged += 1;
    }

    pub fn figures(&self) -> SendFigures {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_browser_begins_with_nothing() {
        let tally = SendTally::default();
        tally.acknowledged();
        tally.unacknowledged();
        let SendFigures { acknowledged, unacknowledged, .. } = tally.clone().figures();
        assert_eq!((acknowledged, unacknowledged), (1, 1));
        tally.begin(&Versions::default());
        assert_eq!(tally.figures(), SendFigures::default());
    }
}
