//! `roost worker screenshot`

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use roost_proto::v1::TakeScreenshotRequest;

use super::{Context, attribution::Attribution};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub struct Screenshot {
    tenant: String,
    /// The file to write, which its owner alone may read [default: TENANT.png].
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    attribution: Attribution,
}

impl Screenshot {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let path = self.file.unwrap_or_else(|| format!("{}.png", self.tenant).into());
        // Before anything is asked: what is asked is in the history.
        if !self.force && path.symlink_metadata().is_ok() {
            return Err(there_already(&path));
        }
        let (requested_by, reason) = self.attribution.into_parts();
        let request = TakeScreenshotRequest { tenant_id: self.tenant.clone(), requested_by, reason };
        let answer = context.admin()?.inspection().take_screenshot(request).await?.into_inner();
        write(&path, &answer.png, self.force).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => there_already(&path),
            _ => Failure::Output { what: path.display().to_string(), source },
        })?;
        let (tenant, node) = (self.tenant, answer.node_id);
        let told = format!("{tenant}: what its page on {node} shows is in {}", path.display());
        context.output.note(&told);
        Ok(())
    }
}

fn there_already(path: &Path) -> Failure {
    Failure::Refused(format!("{} is there already; give --force to write over it, or --file", path.display()))
}

/// Whole or not at all where there was none, and for its owner's eyes alone.
fn write(path: &Path, png: &[u8], force: bool) -> io::Result<()> {
    if force {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(png).inspect_err(|_| {
        // It is no picture.
        let _gone = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_picture_is_its_owners_alone_and_takes_nothings_place_unless_it_is_forced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.png");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write(&path, b"one", false).unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap().as_slice()), (0o600, b"one".as_slice()));
        let refused = write(&path, b"two", false).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        // One that is open to others is closed, and another's file behind a link is left alone.
        let (other, link) = (dir.path().join("other"), dir.path().join("link"));
        fs::write(&other, "another's").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        for path in [&path, &link] {
            write(path, b"three", true).unwrap();
            assert_eq!((mode(path), fs::read(path).unwrap().as_slice()), (0o600, b"three".as_slice()));
        }
        assert_eq!(fs::read(&other).unwrap(), b"another's");
    }
}
