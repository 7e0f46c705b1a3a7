//! Versions of the two things that change outside of Roost: WhatsApp's page, and the library that drives it. A browser is given
//! them when its session is opened, so that one build can be tried on some tenants and kept from the others.

use std::fmt;
use std::sync::Arc;

/// What stands in the place of what there is anyway: of the page that the site gives, and of the library that the node has.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    pub page: Option<Arc<PageVersion>>,
    pub library: Option<Arc<LibraryVersion>>,
}

impl Versions {
    pub(crate) fn page_name(&self) -> Option<String> {
        self.page.as_ref().map(|version| version.name.clone())
    }

    /// Where there is no other library, it is the node's own.
    pub(crate) fn library_name(&self, own: &str) -> String {
        self.library.as_ref().map_or(own, |version| &version.name).to_owned()
    }
}

/// A document that is served in the place of the site's. What it loads comes from the site.
pub struct PageVersion {
    pub name: String,
    pub html: String,
}

impl fmt::Debug for PageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageVersion").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Another build of wa-js, beneath Roost's own side of the bridge. Nobody here checks what it is: whoever fetched it has.
pub struct LibraryVersion {
    pub name: String,
    wa_js: String,
}

impl LibraryVersion {
    pub fn new(name: impl Into<String>, wa_js: String) -> Self {
        Self { name: name.into(), wa_js }
    }

    pub(crate) fn wa_js(&self) -> &str {
        &self.wa_js
    }
}

impl fmt::Debug for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibraryVersion").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A launch is written to logs, and these are as large as a bundle.
    #[test]
    fn versions_are_printed_by_their_names_alone() {
        let page = PageVersion { name: "2.3000.1".to_owned(), html: "<!doctype html>".to_owned() };
        let library = LibraryVersion::new("4.6.1", "window.WPP".to_owned());
        let versions = Versions { page: Some(Arc::new(page)), library: Some(Arc::new(library)) };
        let printed = format!("{versions:?}");
        assert!(printed.contains("2.3000.1") && printed.contains("4.6.1"), "{printed}");
        assert!(!printed.contains("doctype") && !printed.contains("WPP"), "{printed}");
    }
}
