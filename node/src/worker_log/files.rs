//! The files of the tenants' logs, `<dir>/<tenant>.log` and the older `.log.1` to `.log.3`: bounded for each tenant, in age and
//! all together. No file is open between two writes, so a tenant that says nothing costs what is on the disk.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use super::line::{LineFilter, time_of};

/// Older ones beside the one that is written.
const ROTATED: u32 = 3;
/// A line is longer than this only when the disk has made it so.
const LONGEST_LINE: u64 = 64 << 10;
/// A file holds the lines of one part in so many of the time for which lines are kept.
const PARTS_OF_AGE: u32 = 7;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    pub tenant_bytes: u64,
    pub total_bytes: u64,
    pub age: Duration,
}

/// The directory; see the module. One process at a time writes in it.
#[derive(Debug, Clone)]
pub(super) struct LogFiles {
    dir: PathBuf,
    bounds: LogBounds,
}

/// A tenant's files as they were at one moment, oldest first, each with how much of it there was. They can be read whatever is
/// rotated or removed meanwhile.
#[derive(Debug, Default)]
pub(crate) struct OpenLog(Vec<(File, u64)>);

impl LogFiles {
    /// Makes the directory.
    pub(super) fn new(dir: PathBuf, bounds: LogBounds) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self { dir, bounds })
    }

    fn path(&self, tenant: &TenantId, number: u32) -> PathBuf {
        let name = if number == 0 { format!("{tenant}.log") } else { format!("{tenant}.log.{number}") };
        self.dir.join(name)
    }

    /// Whole lines, each with its end.
    pub(super) fn append(&self, tenant: &TenantId, lines: &str, now: OffsetDateTime) -> io::Result<()> {
        let path = self.path(tenant, 0);
        let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        let mut file = open()?;
        let size = file.metadata()?.len();
        let is_full =
            size > 0 && size + lines.len() as u64 > self.bounds.tenant_bytes / u64::from(ROTATED + 1);
        if is_full || (size > 0 && self.is_old(&file, now)) {
            self.rotate(tenant)?;
            file = open()?;
        }
        file.write_all(lines.as_bytes())
    }

    /// By its first line.
    fn is_old(&self, file: &File, now: OffsetDateTime) -> bool {
        let mut first = String::new();
        if BufReader::new(file).take(LONGEST_LINE).read_line(&mut first).is_err() {
            return true;
        }
        time_of(&first).is_none_or(|at| now - at > self.bounds.age / PARTS_OF_AGE)
    }

    fn rotate(&self, tenant: &TenantId) -> io::Result<()> {
        for number in (0..ROTATED).rev() {
            match fs::rename(self.path(tenant, number), self.path(tenant, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn open(&self, tenant: &TenantId) -> io::Result<OpenLog> {
        let mut files = Vec::new();
        for number in (0..=ROTATED).rev() {
            match File::open(self.path(tenant, number)) {
                Ok(file) => {
                    let size = file.metadata()?.len();
                    files.push((file, size));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(OpenLog(files))
    }

    /// Nothing is left of a tenant that was deleted.
    pub(super) fn remove(&self, tenant: &TenantId) -> io::Result<()> {
        for number in 0..=ROTATED {
            match fs::remove_file(self.path(tenant, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what was last written too long ago, and then the files that were last written longest ago until all together are
    /// within their bound. One walk through the directory.
    pub(super) fn sweep(&self, now: SystemTime) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_file() && is_log(&entry.path()) {
                files.push((meta.modified()?, meta.len(), entry.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (written, size, path) in files {
            let is_old = now.duration_since(written).is_ok_and(|age| age > self.bounds.age);
            if is_old || total > self.bounds.total_bytes {
                fs::remove_file(path)?;
                total -= size;
            }
        }
        Ok(())
    }
}

/// Nothing else that somebody has put here is touched.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once(".log").is_some_and(|(_, rest)| {
        rest.is_empty() || rest.strip_prefix('.').is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

impl OpenLog {
    /// The last of those that the filter takes, oldest first: at most so many lines and bytes. Blocking.
    pub(crate) fn last(self, filter: &LineFilter, lines: usize, bytes: usize) -> io::Result<Vec<String>> {
        let mut kept = VecDeque::new();
        let mut size = 0;
        for (file, length) in self.0 {
            let mut reader = BufReader::new(file.take(length));
            loop {
                let mut line = String::new();
                if reader.by_ref().take(LONGEST_LINE).read_line(&mut line)? == 0 {
                    break;
                }
                let line = line.trim_end();
                if !filter.takes(line) {
                    continue;
                }
                size += line.len() + 1;
                kept.push_back(line.to_owned());
                while kept.len() > lines || size > bytes {
                    size -= kept.pop_front().map_or(0, |first| first.len() + 1);
                }
            }
        }
        Ok(kept.into())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use time::{format_description::well_known::Rfc3339, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);
    const DAY: Duration = Duration::from_secs(86_400);

    fn files(tenant_bytes: u64, total_bytes: u64) -> (TempDir, LogFiles, TenantId) {
        let dir = tempfile::tempdir().unwrap();
        let bounds = LogBounds { tenant_bytes, total_bytes, age: 7 * DAY };
        let files = LogFiles::new(dir.path().join("logs"), bounds).unwrap();
        (dir, files, TenantId::new("t").unwrap())
    }

    fn line(number: usize, at: OffsetDateTime) -> String {
        let time = at.format(&Rfc3339).unwrap();
        format!("{{\"time\":\"{time}\",\"level\":\"INFO\",\"generation\":7,\"message\":\"{number}\"}}\n")
    }

    fn all(files: &LogFiles, tenant: &TenantId) -> Vec<String> {
        files.open(tenant).unwrap().last(&LineFilter::default(), usize::MAX, usize::MAX).unwrap()
    }

    fn size_of(dir: &LogFiles) -> u64 {
        fs::read_dir(&dir.dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn a_tenant_keeps_its_newest_lines_within_its_bound_and_in_order() {
        let (_dir, files, tenant) = files(4_000, u64::MAX);
        for number in 0..1_000 {
            files.append(&tenant, &line(number, NOW), NOW).unwrap();
            assert!(size_of(&files) <= 4_000);
        }
        let kept = all(&files, &tenant);
        let expected: Vec<String> =
            (1_000 - kept.len()..1_000).map(|number| line(number, NOW).trim_end().to_owned()).collect();
        assert!(kept == expected && kept.len() > 30, "{kept:?}");
        let last = files.open(&tenant).unwrap().last(&LineFilter::default(), 2, usize::MAX).unwrap();
        assert_eq!(last, expected[expected.len() - 2..]);
        let within = files.open(&tenant).unwrap().last(&LineFilter::default(), usize::MAX, 200).unwrap();
        assert!(
            within.iter().map(|line| line.len() + 1).sum::<usize>() <= 200
                && within.last() == expected.last()
        );
    }

    #[test]
    fn a_file_that_was_begun_a_day_ago_is_rotated() {
        let (_dir, files, tenant) = files(1 << 20, u64::MAX);
        files.append(&tenant, &line(1, NOW), NOW).unwrap();
        files.append(&tenant, &line(2, NOW + DAY / 2), NOW + DAY / 2).unwrap();
        assert!(!files.path(&tenant, 1).exists());
        files.append(&tenant, &line(3, NOW + 2 * DAY), NOW + 2 * DAY).unwrap();
        assert!(files.path(&tenant, 1).exists() && all(&files, &tenant).len() == 3);
    }

    #[test]
    fn a_sweep_removes_what_is_old_and_what_is_over_the_bound_of_all_and_nothing_else() {
        let (_dir, files, tenant) = files(1 << 20, 1_500);
        fs::write(files.dir.join("notes.txt"), "x".repeat(5_000)).unwrap();
        let name = |at: u64| TenantId::new(&format!("t{at}")).unwrap();
        let now = SystemTime::now();
        for at in 0..10 {
            fs::write(files.path(&name(at), 0), "x".repeat(300)).unwrap();
            let written = now - Duration::from_secs(100 - at);
            File::options()
                .write(true)
                .open(files.path(&name(at), 0))
                .unwrap()
                .set_modified(written)
                .unwrap();
        }
        files.append(&tenant, &line(1, NOW), NOW).unwrap();
        File::options()
            .write(true)
            .open(files.path(&tenant, 0))
            .unwrap()
            .set_modified(now - 8 * DAY)
            .unwrap();
        files.sweep(now).unwrap();
        let left: Vec<u64> = (0..10).filter(|at| files.path(&name(*at), 0).exists()).collect();
        assert_eq!(left, [5, 6, 7, 8, 9], "the newest 1,500 bytes");
        assert!(!files.path(&tenant, 0).exists() && files.dir.join("notes.txt").exists());
        files.remove(&name(9)).unwrap();
        assert!(all(&files, &name(9)).is_empty());
    }

    #[test]
    fn what_is_rotated_away_while_it_is_read_is_read_all_the_same() {
        let (_dir, files, tenant) = files(1 << 20, u64::MAX);
        files.append(&tenant, &line(1, NOW), NOW).unwrap();
        let open = files.open(&tenant).unwrap();
        files.append(&tenant, &line(2, NOW), NOW).unwrap();
        files.remove(&tenant).unwrap();
        assert_eq!(open.last(&LineFilter::default(), 10, 1_000).unwrap(), [line(1, NOW).trim_end()]);
    }
}
