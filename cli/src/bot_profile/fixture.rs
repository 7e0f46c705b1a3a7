//! A profile for tests.

use std::{fs, path::Path};

use super::stores::{DATABASE, INDEXED_DB, LOCAL_STORAGE};

pub const SITE: &str = "https_web.whatsapp.com_0";

/// A profile as a bot that has closed its browser leaves it.
pub fn make(dir: &Path) {
    for database in [format!("{INDEXED_DB}/{SITE}{DATABASE}"), LOCAL_STORAGE.to_owned()] {
        let dir = dir.join(database);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("CURRENT"), "MANIFEST-000001\n").unwrap();
        for file in ["MANIFEST-000001", "000003.log", "LOCK", "LOG"] {
            fs::write(dir.join(file), file).unwrap();
        }
    }
}
