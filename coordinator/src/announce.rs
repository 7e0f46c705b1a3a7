//! The announcement: a file that says where this process serves, for whoever started it on a port of its choosing.

use std::{
    fs::Permissions,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process,
};

use serde::Serialize;

/// Where a process serves what.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Addresses {
    pub addr: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_addr: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_addr: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Announcement {
    pid: u32,
    #[serde(flatten)]
    addresses: Addresses,
}

/// Writes `{"pid", "addr"}`, and `"health_addr"` and `"http_addr"` if there are such, whole: aside, then renamed, so that a reader sees all of it or nothing.
pub fn write(path: &Path, addresses: Addresses) -> io::Result<()> {
    let announcement = Announcement { pid: process::id(), addresses };
    let text = serde_json::to_vec(&announcement)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Whoever waits may be another user: the umask decides, as for any file.
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(dir)?;
    file.write_all(&text)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_announcement_is_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let addresses = Addresses {
            addr: "127.0.0.1:4711".parse().unwrap(),
            health_addr: None,
            http_addr: Some("127.0.0.1:4712".parse().unwrap()),
        };
        write(&dir.path().join("coordinator.json"), addresses).unwrap();
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["coordinator.json"]);
        let text = fs::read_to_string(dir.path().join("coordinator.json")).unwrap();
        assert_eq!(
            text,
            format!(r#"{{"pid":{},"addr":"127.0.0.1:4711","http_addr":"127.0.0.1:4712"}}"#, process::id())
        );
    }
}
