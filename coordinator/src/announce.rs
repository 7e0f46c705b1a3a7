//! The announcement: a file that says where this process serves, for whoever started it on a port of its choosing.

use std::{fs, io, net::SocketAddr, path::Path, process};

use serde::Serialize;

#[derive(Serialize)]
struct Announcement {
    pid: u32,
    addr: String,
}

/// Writes `{"pid", "addr"}` whole: aside, then renamed, so that a reader sees all of it or nothing.
pub fn write(path: &Path, addr: SocketAddr) -> io::Result<()> {
    let text = serde_json::to_vec(&Announcement { pid: process::id(), addr: addr.to_string() })?;
    let aside = path.with_extension(format!("{}.new", process::id()));
    fs::write(&aside, text)?;
    fs::rename(aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_is_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("coordinator.json"), "127.0.0.1:4711".parse().unwrap()).unwrap();
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["coordinator.json"]);
        let text = fs::read_to_string(dir.path().join("coordinator.json")).unwrap();
        assert_eq!(text, format!(r#"{{"pid":{},"addr":"127.0.0.1:4711"}}"#, process::id()));
    }
}
