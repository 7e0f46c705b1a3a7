//! A profile that no browser uses, as it is to be sent.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    ProfileError, ProfileFile,
    stores::{self, BLOBS, DATABASE, INDEXED_DB, LOCAL_STORAGE},
    users,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotProfile {
    pub dir: PathBuf,
    /// Names in `Default/IndexedDB`, without the ending.
    pub databases: Vec<String>,
    /// Its browser has closed in order: nothing of one that was killed is left.
    pub clean: bool,
    /// Tells it from others and from itself at another time: of its files' names, sizes and times.
    pub digest: String,
    files: Vec<ProfileFile>,
}

impl BotProfile {
    /// Refuses one that a browser uses.
    pub fn read(dir: &Path) -> Result<Self, ProfileError> {
        if !dir.join("Default").is_dir() {
            return Err(ProfileError::NotAProfile { dir: dir.to_owned() });
        }
        let killed = users::check(dir)?;
        let files = stores::find(dir)?;
        let name_of = |file: &ProfileFile| {
            let below = file.path.strip_prefix(INDEXED_DB)?.strip_prefix('/')?;
            Some(below.split_once('/')?.0.strip_suffix(DATABASE)?.to_owned())
        };
        let mut databases: Vec<_> = files.iter().filter_map(name_of).collect();
        databases.dedup();
        let digest = digest(&files);
        Ok(Self { dir: dir.to_owned(), databases, clean: !killed, digest, files })
    }

    /// What is to be sent for the session of this database, and how large it is.
    pub fn session_of(&self, database: &str) -> (Vec<ProfileFile>, u64) {
        let own = [DATABASE, BLOBS].map(|kind| format!("{INDEXED_DB}/{database}{kind}/"));
        let is_wanted = |file: &&ProfileFile| {
            file.path.starts_with(LOCAL_STORAGE) || own.iter().any(|own| file.path.starts_with(own))
        };
        let files: Vec<_> = self.files.iter().filter(is_wanted).cloned().collect();
        let bytes = files.iter().map(|file| file.bytes).sum();
        (files, bytes)
    }

    /// Looks at what can be seen without reading the databases; a node looks closer.
    pub fn check(
        &self,
        database: &str,
        max_file_bytes: u64,
        max_total_bytes: u64,
    ) -> Result<(), ProfileError> {
        for database in [format!("{INDEXED_DB}/{database}{DATABASE}"), LOCAL_STORAGE.to_owned()] {
            self.check_database(&database)?;
        }
        let (files, bytes) = self.session_of(database);
        let too_large = |what, bytes, limit| Err(ProfileError::TooLarge { what, bytes, limit });
        if let Some(file) = files.iter().find(|file| file.bytes > max_file_bytes) {
            return too_large(self.dir.join(&file.path).display().to_string(), file.bytes, max_file_bytes);
        }
        if bytes > max_total_bytes {
            return too_large(format!("the session in {}", self.dir.display()), bytes, max_total_bytes);
        }
        Ok(())
    }

    fn check_database(&self, database: &str) -> Result<(), ProfileError> {
        let dir = self.dir.join(database);
        let torn = |reason: String| Err(ProfileError::Torn { database: dir.clone(), reason });
        let current = match fs::read_to_string(dir.join("CURRENT")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return torn("it has no CURRENT".to_owned());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
            current => current.map_err(ProfileError::unreadable(dir.join("CURRENT")))?,
        };
        let manifest =
            current.strip_suffix('\n').filter(|name| name.starts_with("MANIFEST-") && !name.contains('/'));
        match manifest {
            None => torn("its CURRENT names no manifest".to_owned()),
            Some(manifest) if !dir.join(manifest).is_file() => torn(format!("it has no {manifest}")),
            Some(_) => Ok(()),
        }
    }
}

fn digest(files: &[ProfileFile]) -> String {
    let mut hash = Sha256::new();
    for ProfileFile { path, bytes, modified_ns } in files {
        hash.update(format!("{path}\0{bytes}\0{modified_ns}\n"));
    }
    let mut digits = String::new();
    for byte in hash.finalize() {
        // A string takes all that is written to it.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{SITE, make},
        *,
    };

    #[test]
    fn a_profile_is_its_stores_and_only_those_of_the_site_are_its_session() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let other = dir.path().join(INDEXED_DB).join(format!("https_example.com_0{DATABASE}"));
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("CURRENT"), "MANIFEST-000001\n").unwrap();
        let blobs = dir.path().join(INDEXED_DB).join(format!("{SITE}{BLOBS}/1/00"));
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join("3"), "blob").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", blobs.join("4")).unwrap();
        fs::create_dir_all(dir.path().join("Default/Cache")).unwrap();
        fs::write(dir.path().join("Default/Cache/data"), "no").unwrap();

        let profile = BotProfile::read(dir.path()).unwrap();
        assert_eq!(profile.databases, ["https_example.com_0", SITE]);
        assert!(profile.clean);
        let (files, bytes) = profile.session_of(SITE);
        let names: Vec<_> =
            files.iter().filter_map(|file| file.path.split_once('/')).map(|(_, name)| name).collect();
        assert_eq!(
            names,
            [
                format!("IndexedDB/{SITE}{BLOBS}/1/00/3"),
                format!("IndexedDB/{SITE}{DATABASE}/000003.log"),
                format!("IndexedDB/{SITE}{DATABASE}/CURRENT"),
                format!("IndexedDB/{SITE}{DATABASE}/MANIFEST-000001"),
                "Local Storage/leveldb/000003.log".to_owned(),
                "Local Storage/leveldb/CURRENT".to_owned(),
                "Local Storage/leveldb/MANIFEST-000001".to_owned(),
            ]
        );
        assert_eq!(bytes, 4 + 2 * (10 + 16 + 15));
        profile.check(SITE, 16, 100).unwrap();
        let too_large = profile.check(SITE, 15, 100).unwrap_err().to_string();
        assert!(too_large.contains("CURRENT has 16 bytes, and 15 is the most"), "{too_large}");
        assert!(profile.check(SITE, 16, 85).unwrap_err().to_string().contains("has 86 bytes"));
    }

    #[test]
    fn the_digest_is_another_when_anything_is() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let before = BotProfile::read(dir.path()).unwrap();
        assert_eq!(BotProfile::read(dir.path()).unwrap(), before);
        assert_eq!(before.digest.len(), 64);
        fs::write(dir.path().join(LOCAL_STORAGE).join("000003.log"), "000003.lo!").unwrap();
        assert_ne!(BotProfile::read(dir.path()).unwrap().digest, before.digest);
    }

    #[test]
    fn what_is_torn_or_no_profile_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let none = BotProfile::read(dir.path()).unwrap_err().to_string();
        assert!(none.contains("is no profile of whatsapp-web.js") && none.contains("dataPath"), "{none}");
        make(dir.path());
        let profile = BotProfile::read(dir.path()).unwrap();
        let check = || profile.check(SITE, 100, 1_000).unwrap_err().to_string();
        let database = dir.path().join(LOCAL_STORAGE);
        fs::remove_file(database.join("MANIFEST-000001")).unwrap();
        assert!(
            check().contains("Local Storage/leveldb is not whole: it has no MANIFEST-000001"),
            "{}",
            check()
        );
        for (current, said) in [(&b"nonsense"[..], "names no manifest"), (b"\xff\xfe", "names no manifest")] {
            fs::write(database.join("CURRENT"), current).unwrap();
            assert!(check().contains(said), "{}", check());
        }
        fs::remove_file(database.join("CURRENT")).unwrap();
        assert!(check().contains("it has no CURRENT; copy the profile anew"), "{}", check());
    }
}
