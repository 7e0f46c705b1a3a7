//! The contents of the versions that this node's browsers are given: read once, and kept for the others.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use roost_engine::{LibraryVersion, PageVersion, Versions};
use roost_store::{ChosenVersions, Store, StoreError, VersionRef};

/// A fleet has one of each, and tries another.
const KEPT: usize = 6;

#[derive(Default)]
pub struct VersionContents {
    pages: Shelf<PageVersion>,
    libraries: Shelf<LibraryVersion>,
}

impl VersionContents {
    /// All that a browser is to be given. One that was deleted since it was chosen is not found: whoever asks has to ask anew what is
    /// chosen.
    pub async fn of(&self, store: &Store, chosen: &ChosenVersions) -> Result<Versions, StoreError> {
        let page = match &chosen.page {
            Some(version) => {
                Some(self.pages.get(store, version, |name, html| PageVersion { name, html }).await?)
            }
            None => None,
        };
        let library = match &chosen.library {
            Some(version) => Some(self.libraries.get(store, version, LibraryVersion::new).await?),
            None => None,
        };
        Ok(Versions { page, library })
    }
}

/// By their numbers, the one that came last at the end.
struct Shelf<T>(Mutex<VecDeque<(i64, Arc<T>)>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Shelf<T> {
    async fn get(
        &self,
        store: &Store,
        VersionRef { id, name }: &VersionRef,
        made_of: impl FnOnce(String, String) -> T,
    ) -> Result<Arc<T>, StoreError> {
        if let Some(kept) = self.kept(*id) {
            return Ok(kept);
        }
        let content = store.version_content(*id).await?;
        let content = content.ok_or_else(|| StoreError::NotFound { kind: "version", id: name.clone() })?;
        tracing::info!(version = name, bytes = content.len(), "a version is read");
        Ok(self.put(*id, made_of(name.clone(), content)))
    }

    fn kept(&self, id: i64) -> Option<Arc<T>> {
        self.0.lock().iter().find(|(kept, _)| *kept == id).map(|(_, content)| content.clone())
    }

    /// Another may have put it there meanwhile.
    fn put(&self, id: i64, content: T) -> Arc<T> {
        let mut kept = self.0.lock();
        if let Some((_, there)) = kept.iter().find(|(kept, _)| *kept == id) {
            return there.clone();
        }
        let content = Arc::new(content);
        kept.push_back((id, content.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_was_read_twice_is_one() {
        let shelf = Shelf::default();
        let first = shelf.put(1, "one");
        assert!(Arc::ptr_eq(&first, &shelf.put(1, "one")));
        for id in 2..=KEPT as i64 + 1 {
            shelf.put(id, "another");
        }
        assert!(shelf.kept(1).is_none());
        assert!(shelf.kept(2).is_some() && shelf.kept(KEPT as i64 + 1).is_some());
    }
}
