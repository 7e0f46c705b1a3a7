//! A staged file as pieces, of which each becomes a blob of its own, so that no more than a few pieces of a file are in memory
//! at a time, and of an upload that was interrupted what has got through is there.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::crypto::Checksum;
use super::manifest::FileEntry;
use super::{SessionError, SnapshotKeys};

/// A log is uploaded whole again after so many tails, so that a restore fetches few blobs.
const MOST_TAILS: u64 = 24;
/// What is read at once.
const BUFFER: usize = 64 << 10;
/// A piece as small as this is not read a second time: most of what a save uploads is.
const SMALL: usize = 256 << 10;

/// What is to be uploaded of a file.
pub(super) struct Measured {
    pub size: u64,
    pub sha256: String,
    /// The blobs of its beginning that are there already.
    pub before: Vec<String>,
    /// The rest of it.
    pub pieces: Vec<Piece>,
}

/// A part of a file.
pub(super) struct Piece {
    /// Names its content.
    pub name: String,
    pub length: usize,
    offset: u64,
    /// Of a small one.
    content: Option<Vec<u8>>,
}

/// Blocking. `before` is the file as it was saved the last time: if all that it has done since is grow, if anything, its blobs
/// stand for the beginning. That is checked, not believed of the file's name.
pub(super) fn measure(
    path: &Path,
    before: Option<FileEntry>,
    keys: &SnapshotKeys,
    piece_bytes: usize,
) -> Result<Measured, SessionError> {
    let measured = || -> io::Result<Measured> {
        let file = File::open(path)?;
        // What is appended from here on is of the next save.
        let length = file.metadata()?.len();
        let mut file = file.take(length);
        let mut checksum = Checksum::default();
        let before = before.filter(|before| {
            let tails = (before.blobs.len() as u64).saturating_sub(before.size / piece_bytes as u64);
            before.size <= length && tails < MOST_TAILS
        });
        let before = match before {
            Some(before) if begins_with(&mut file, &mut checksum, &before)? => before.blobs,
            Some(_) => {
                file.get_mut().rewind()?;
                (file, checksum) = (file.into_inner().take(length), Checksum::default());
                Vec::new()
            }
            None => Vec::new(),
        };
        let pieces = pieces(&mut file, &mut checksum, keys, piece_bytes)?;
        Ok(Measured { size: checksum.size(), sha256: checksum.sha256(), before, pieces })
    };
    measured().map_err(SessionError::disk("reading a staged file", path))
}

fn begins_with(file: &mut impl Read, checksum: &mut Checksum, before: &FileEntry) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    let mut beginning = file.take(before.size);
    loop {
        match beginning.read(&mut buffer)? {
            0 => return Ok(checksum.size() == before.size && checksum.sha256() == before.sha256),
            read => checksum.update(&buffer[..read]),
        }
    }
}

/// Those of the rest of the file, which begins where the checksum ends.
fn pieces(
    file: &mut impl Read,
    checksum: &mut Checksum,
    keys: &SnapshotKeys,
    piece_bytes: usize,
) -> io::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let (offset, mut namer, mut content) = (checksum.size(), keys.namer(), Some(Vec::new()));
        let mut piece = file.by_ref().take(piece_bytes as u64);
        loop {
            let read = piece.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            checksum.update(&buffer[..read]);
            namer.update(&buffer[..read]);
            content = content.filter(|content| content.len() + read <= SMALL);
            if let Some(content) = &mut content {
                content.extend_from_slice(&buffer[..read]);
            }
        }
        let length = (checksum.size() - offset) as usize;
        if length == 0 {
            return Ok(pieces);
        }
        pieces.push(Piece { name: namer.name(), length, offset, content });
    }
}

impl Piece {
    /// Blocking. Refuses what is not what was measured: a link to a file that was written to all the same.
    pub(super) fn read(self, path: &Path, keys: &SnapshotKeys) -> Result<Vec<u8>, SessionError> {
        if let Some(content) = self.content {
            return Ok(content);
        }
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(self.offset))?;
            let mut content = vec![0; self.length];
            file.read_exact(&mut content)?;
            match keys.content_name(&content) == self.name {
                true => Ok(content),
                false => Err(io::Error::other("it has changed while it was saved")),
            }
        };
        read().map_err(SessionError::disk("reading a staged file", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_pieces_and_one_that_has_grown_only_the_new_ones() {
        let (dir, keys) = (tempfile::tempdir().unwrap(), SnapshotKeys::from_hex(&"07".repeat(32)).unwrap());
        let path = dir.path().join("log");
        let measured = |content: &str, before: Option<FileEntry>| {
            std::fs::write(&path, content).unwrap();
            let measured = measure(&path, before, &keys, 4).unwrap();
            let pieces = measured.pieces.into_iter().map(|piece| piece.read(&path, &keys).unwrap());
            let pieces = pieces.map(|piece| String::from_utf8(piece).unwrap()).collect::<Vec<_>>();
            (measured.size, measured.before, pieces.join("|"), measured.sha256)
        };
        let (size, _, pieces, sha256) = measured("abcdefghij", None);
        assert_eq!((size, pieces.as_str()), (10, "abcd|efgh|ij"));
        let blobs = |tails: usize| vec!["blob".to_owned(); 2 + tails];
        let before =
            |tails| Some(FileEntry { path: "log".into(), size, sha256: sha256.clone(), blobs: blobs(tails) });
        let (size, kept, pieces, _) = measured("abcdefghijklmnop", before(1));
        assert_eq!((size, kept, pieces.as_str()), (16, blobs(1), "klmn|op"));
        assert_eq!(measured("abcdefghij", before(1)).2, "", "what has not changed");
        let whole = "abcd|efgh|ijkl";
        assert_eq!(measured("abcdefghijkl", before(24)).2, whole, "after many tails");
        assert_eq!(measured("abcdefghiXkl", before(1)).2, "abcd|efgh|iXkl", "what has not only grown");
        assert_eq!(measured("abcd", before(1)).2, "abcd", "and what has shrunk");
        assert_eq!(measured("", None).2, "");
    }

    #[test]
    fn a_piece_that_has_changed_since_it_was_measured_is_not_taken_for_it() {
        let (dir, keys) = (tempfile::tempdir().unwrap(), SnapshotKeys::from_hex(&"07".repeat(32)).unwrap());
        let path = dir.path().join("table");
        std::fs::write(&path, vec![1; SMALL + 1]).unwrap();
        let piece = measure(&path, None, &keys, 1 << 20).unwrap().pieces.remove(0);
        std::fs::write(&path, vec![2; SMALL + 1]).unwrap();
        assert!(matches!(piece.read(&path, &keys), Err(SessionError::Disk { .. })));
    }
}
