//! Whether a LevelDB is whole. Chromium throws away a database whose MANIFEST names what is not there, and the session
//! with it; so a copy is looked at before it counts, and a profile before a browser is started on it.
//!
//! `CURRENT` names a MANIFEST, a log of version edits: tables added and removed, and the log that holds what is in no table
//! yet. Form of a log: blocks of 32 KiB, in them records of a masked CRC-32C, a length and a kind, for a record may be cut into
//! fragments; a tail that was being written counts for nothing. Read here and not with a crate: those that there are keep
//! their readers of edits to themselves, and opening a database writes to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use crc::{CRC_32_ISCSI, Crc};

use super::SessionError;
use super::files;
use super::staging::{self, SessionFile};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;
/// LevelDB begins a new one at two megabytes, and at each opening.
const MOST_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// Refuses the copy when a database in it is not whole.
pub(super) fn check(copy: &Path, copied: &[SessionFile]) -> Result<(), SessionError> {
    check_files(copied, |path| fs::read(copy.join(path)))
}

/// The same of what lies in a browser's own directory, which no browser uses now. Answers with the files of the session there.
pub(super) fn check_in_place(browser_dir: &Path) -> Result<Vec<SessionFile>, SessionError> {
    let found = staging::find(browser_dir)?;
    check_files(&found, |path| files::read_beneath(browser_dir, path, MOST_MANIFEST_BYTES))?;
    Ok(found)
}

fn check_files(
    session: &[SessionFile],
    read: impl Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<(), SessionError> {
    let mut databases: BTreeMap<&Path, BTreeMap<&str, u64>> = BTreeMap::new();
    for file in session {
        let (Some(dir), Some(name)) = (file.path.parent(), file.path.file_name()) else { continue };
        // `Local Storage/leveldb` and `<origin>.indexeddb.leveldb`.
        if dir.file_name().is_some_and(|dir| dir.as_encoded_bytes().ends_with(b"leveldb"))
            && let Some(name) = name.to_str()
        {
            databases.entry(dir).or_default().insert(name, file.size);
        }
    }
    for (database, files) in databases {
        let database = database.to_owned();
        match check_database(&files, |name| read(&database.join(name))) {
            Ok(()) => {}
            Err(Fault::Torn(reason)) => return Err(SessionError::Torn { database, reason }),
            Err(Fault::Unread(error)) => {
                return Err(SessionError::disk("reading a database of the session", database)(error));
            }
        }
    }
    Ok(())
}

/// A disk that fails says nothing of what is on it.
enum Fault {
    Torn(String),
    Unread(io::Error),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Torn(reason)
    }
}

fn check_database(
    files: &BTreeMap<&str, u64>,
    read: impl Fn(&str) -> io::Result<Vec<u8>>,
) -> Result<(), Fault> {
    let read = |name: &str| read(name).map_err(Fault::Unread);
    let size = |name: &str| files.get(name).ok_or_else(|| format!("{name} is not in it"));
    size("CURRENT")?;
    let current = String::from_utf8_lossy(&read("CURRENT")?).into_owned();
    let manifest = current.strip_suffix('\n').filter(|name| name.starts_with("MANIFEST-"));
    let manifest = manifest.ok_or_else(|| format!("CURRENT holds {current:?}"))?;
    if *size(manifest)? > MOST_MANIFEST_BYTES {
        return Err(format!("{manifest} is larger than a manifest can be").into());
    }
    let version = Version::read(&read(manifest)?).map_err(|reason| format!("{manifest}: {reason}"))?;
    for ((_, number), table_size) in &version.tables {
        let of_old = format!("{number:06}.sst");
        let table = format!("{number:06}.ldb");
        let found = files.get(table.as_str()).or_else(|| files.get(of_old.as_str()));
        match found {
            None => return Err(format!("{manifest} names {table}, which is not in it").into()),
            Some(found) if found != table_size => {
                return Err(format!("{table} has {found} bytes, and {table_size} by {manifest}").into());
            }
            Some(_) => {}
        }
    }
    // A database that was made or repaired just now has none.
    let log = format!("{:06}.log", version.log);
    if version.log != 0 && !files.contains_key(log.as_str()) {
        return Err(format!("{manifest} names {log}, which is not in it").into());
    }
    Ok(())
}

/// What the edits of a MANIFEST come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Version {
    /// By level and number, each with its size.
    tables: BTreeMap<(u64, u64), u64>,
    /// The number of the log that is written to; 0 for none.
    log: u64,
}

impl Version {
    fn read(manifest: &[u8]) -> Result<Self, String> {
        let (mut version, mut seen) = (Self::default(), BTreeSet::new());
        for edit in records(manifest)? {
            let mut fields = Fields(&edit);
            while let Some(tag) = fields.next_tag()? {
                seen.insert(tag);
                version
                    .apply(tag, &mut fields)
                    .ok_or_else(|| format!("an edit is cut at its field {tag}"))?;
            }
        }
        for (tag, what) in [(LOG_NUMBER, "log"), (NEXT_FILE, "next file"), (LAST_SEQUENCE, "last sequence")] {
            if !seen.contains(&tag) {
                return Err(format!("no edit has a {what}"));
            }
        }
        Ok(version)
    }

    /// None when the edit ends within the field, or has one of a tag that LevelDB does not know.
    fn apply(&mut self, tag: u64, fields: &mut Fields<'_>) -> Option<()> {
        match tag {
            COMPARATOR => fields.skip_text()?,
            LOG_NUMBER => self.log = fields.number()?,
            NEXT_FILE | LAST_SEQUENCE | PREVIOUS_LOG => {
                fields.number()?;
            }
            COMPACT_POINTER => {
                fields.number()?;
                fields.skip_text()?;
            }
            DELETED_TABLE => {
                let table = (fields.number()?, fields.number()?);
                self.tables.remove(&table);
            }
            NEW_TABLE => {
                let table = (fields.number()?, fields.number()?);
                self.tables.insert(table, fields.number()?);
                fields.skip_text()?;
                fields.skip_text()?;
            }
            _ => return None,
        }
        Some(())
    }
}

const COMPARATOR: u64 = 1;
const LOG_NUMBER: u64 = 2;
const NEXT_FILE: u64 = 3;
const LAST_SEQUENCE: u64 = 4;
const COMPACT_POINTER: u64 = 5;
const DELETED_TABLE: u64 = 6;
const NEW_TABLE: u64 = 7;
const PREVIOUS_LOG: u64 = 9;

/// The fields of an edit that are still to be read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next_tag(&mut self) -> Result<Option<u64>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.number().map(Some).ok_or_else(|| "an edit is cut".to_owned())
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn skip_text(&mut self) -> Option<()> {
        let length = usize::try_from(self.number()?).ok()?;
        self.0 = self.0.get(length..)?;
        Some(())
    }
}

/// Whole, and the first, middle and last fragment of one that is cut.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

fn records(log: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let (mut records, mut begun) = (Vec::new(), None::<Vec<u8>>);
    for block in log.chunks(BLOCK_BYTES) {
        let mut rest = block;
        while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let [c0, c1, c2, c3, l0, l1, kind] = *header;
            let length = usize::from(u16::from_le_bytes([l0, l1]));
            // Room that was made before it is used.
            if kind == 0 && length == 0 {
                break;
            }
            let Some(fragment) = after.get(..length) else {
                if block.len() == BLOCK_BYTES {
                    return Err("a record goes beyond its block".to_owned());
                }
                return Ok(records);
            };
            if checksum(kind, fragment) != u32::from_le_bytes([c0, c1, c2, c3]) {
                return Err("a record has another checksum".to_owned());
            }
            match (kind, begun.take()) {
                (FULL, None) => records.push(fragment.to_vec()),
                (FIRST, None) => begun = Some(fragment.to_vec()),
                (MIDDLE, Some(mut so_far)) => {
                    so_far.extend_from_slice(fragment);
                    begun = Some(so_far);
                }
                (LAST, Some(so_far)) => records.push([so_far.as_slice(), fragment].concat()),
                _ => return Err("a fragment of a record is out of place".to_owned()),
            }
            rest = &after[length..];
        }
    }
    Ok(records)
}

/// Masked, as LevelDB keeps it: a checksum of what holds checksums says little.
fn checksum(kind: u8, fragment: &[u8]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(&[kind]);
    digest.update(fragment);
    digest.finalize().rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use super::*;

    /// The MANIFEST of a database with these tables (number and size) that writes to this log.
    pub(in crate::session) fn manifest(tables: &[(u64, u64)], log: u64) -> Vec<u8> {
        written(&[beginning(log), tables.iter().flat_map(|table| new_table(1, *table)).collect()])
    }

    fn beginning(log: u64) -> Vec<u8> {
        let comparator = [&[1, 4][..], b"idb1"].concat();
        [comparator, vec![2], number(log), vec![9, 0, 3, 200, 1, 4, 0], vec![5, 1, 1, b'k']].concat()
    }

    fn new_table(level: u8, (table, size): (u64, u64)) -> Vec<u8> {
        [vec![7, level], number(table), number(size), b"\x01a\x01z".to_vec()].concat()
    }

    fn deleted_table(level: u8, table: u64) -> Vec<u8> {
        [vec![6, level], number(table)].concat()
    }

    fn number(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    /// A log of these records, cut into fragments where a block ends.
    fn written(records: &[Vec<u8>]) -> Vec<u8> {
        let mut log = Vec::new();
        for record in records {
            let (mut rest, mut is_first) = (record.as_slice(), true);
            loop {
                let room = BLOCK_BYTES - log.len() % BLOCK_BYTES;
                if room < HEADER_BYTES {
                    log.resize(log.len() + room, 0);
                    continue;
                }
                let (fragment, after) = rest.split_at(rest.len().min(room - HEADER_BYTES));
                let kind = match (is_first, after.is_empty()) {
                    (true, true) => FULL,
                    (true, false) => FIRST,
                    (false, true) => LAST,
                    (false, false) => MIDDLE,
                };
                log.extend(checksum(kind, fragment).to_le_bytes());
                log.extend((fragment.len() as u16).to_le_bytes());
                log.push(kind);
                log.extend(fragment);
                (rest, is_first) = (after, false);
                if rest.is_empty() {
                    break;
                }
            }
        }
        log
    }

    const DATABASE: &str = "Default/IndexedDB/x.indexeddb.leveldb";

    /// What is said of a copy of these files.
    fn checked(files: &[(&str, &[u8])]) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(DATABASE)).unwrap();
        let staged = files.iter().map(|(name, content)| {
            let path = Path::new(DATABASE).join(name);
            fs::write(dir.path().join(&path), content).unwrap();
            SessionFile { path, size: content.len() as u64, modified: SystemTime::UNIX_EPOCH }
        });
        let staged: Vec<_> = staged.collect();
        check(dir.path(), &staged).map_err(|error| error.to_string())
    }

    const CURRENT: (&str, &[u8]) = ("CURRENT", b"MANIFEST-000001\n");

    fn assert_refused(files: &[(&str, &[u8])], why: &str) {
        let said = checked(files).unwrap_err();
        assert!(said.contains(DATABASE) && said.contains(why), "{said:?} does not say {why:?}");
    }

    #[test]
    fn a_whole_copy_is_one_with_all_that_its_manifest_names() {
        let of = manifest(&[(5, 3), (200, 2)], 6);
        let (manifest, log) = (("MANIFEST-000001", of.as_slice()), ("000006.log", &b""[..]));
        let (five, other) = (("000005.ldb", &b"abc"[..]), ("000200.sst", &b"ab"[..]));
        checked(&[CURRENT, manifest, log, five, other]).unwrap();
        checked(&[]).unwrap();
        assert_refused(&[CURRENT, manifest, log, other], "names 000005.ldb");
        assert_refused(&[CURRENT, manifest, log, ("000005.ldb", b"ab"), other], "000005.ldb has 2 bytes");
        assert_refused(&[CURRENT, manifest, five, other], "names 000006.log");
        assert_refused(&[CURRENT, log, five, other], "MANIFEST-000001 is not in it");
        assert_refused(&[manifest, log, five, other], "CURRENT is not in it");
        assert_refused(&[("CURRENT", b"MANIFEST-0"), manifest, log, five, other], "CURRENT holds");
    }

    #[test]
    fn tables_that_went_are_not_missed_and_edits_may_be_cut_by_blocks() {
        let many: Vec<_> = (10..9_000).map(|table| new_table(2, (table, 1))).collect();
        let gone: Vec<_> = (10..9_000).map(|table| deleted_table(2, table)).collect();
        // Moved down a level in one edit, and then gone.
        let moved = [new_table(1, (7, 2)), deleted_table(1, 7), new_table(2, (7, 2))].concat();
        let log = written(&[beginning(0), many.concat(), moved, gone.concat()]);
        assert!(log.len() > 3 * BLOCK_BYTES, "the edits are cut");
        let version = Version::read(&log).unwrap();
        assert_eq!(version, Version { tables: BTreeMap::from([((2, 7), 2)]), log: 0 });
    }

    /// As LevelDB takes them: a tail that was being written is as if it were not there, and all else is an error.
    #[test]
    fn of_a_manifest_that_is_cut_the_whole_records_count_and_an_altered_one_is_refused() {
        let (first, second) = (beginning(4), new_table(0, (5, 1)));
        let whole = written(&[first.clone(), second]);
        let one = written(&[first]).len();
        for cut in one..whole.len() {
            assert_eq!(Version::read(&whole[..cut]).unwrap().tables, BTreeMap::new(), "cut at {cut}");
        }
        assert_eq!(Version::read(&whole).unwrap().tables.len(), 1);
        for cut in 0..one {
            assert!(Version::read(&whole[..cut]).unwrap_err().contains("no edit has"), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 0x10;
            let read = Version::read(&altered);
            assert!(read.is_err() || read.unwrap().tables.is_empty(), "altered at {at}");
        }
        let preallocated = [whole, vec![0; 100]].concat();
        assert_eq!(Version::read(&preallocated).unwrap().tables.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_browser_writes_makes_the_reader_panic(
            edit in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            raw in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        ) {
            let _whatever = Version::read(&written(&[beginning(1), edit]));
            let _whatever = Version::read(&raw);
        }
    }
}
