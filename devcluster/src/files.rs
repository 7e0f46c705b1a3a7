//! Small files of the state directory, and the randomness for the secrets in them.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use super::error::{DevError, Result};

/// Writes a file that only its owner can read, whole: aside, then renamed.
pub(super) fn write_private(path: &Path, contents: &str) -> Result<()> {
    let write = || -> io::Result<()> {
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
        file.write_all(contents.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(DevError::file("write", path))
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What the file holds; on the first use it is made, private, of `BYTES` random bytes in hexadecimal.
pub(super) fn secret<const BYTES: usize>(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(secret) => Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = random_hex::<BYTES>()?;
            write_private(path, &format!("{secret}\n"))?;
            Ok(secret)
        }
        Err(error) => Err(DevError::file("read", path)(error)),
    }
}

pub(super) fn random_hex<const BYTES: usize>() -> Result<String> {
    Ok(random::<BYTES>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; BYTES];
    let read = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
    read.map(|()| bytes).map_err(DevError::file("read", source))
}
