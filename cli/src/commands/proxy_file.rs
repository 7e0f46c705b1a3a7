//! The option that says by which proxy a tenant's browser goes. It is a file, so that its password is in no list of processes and in no
//! shell's history.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use roost_proto::v1::Proxy;

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct ProxyArgs {
    /// A file with the proxy of its browser, `scheme://[user:password@]host[:port]` with http, https or socks5, closed to others; '-' reads
    /// stdin, '' takes the proxy off. Counts from the browser's next start.
    #[arg(long, value_name = "FILE")]
    proxy_file: Option<PathBuf>,
}

impl ProxyArgs {
    pub fn is_given(&self) -> bool {
        self.proxy_file.is_some()
    }

    pub fn read(self) -> Result<Option<Proxy>, Failure> {
        let Some(path) = self.proxy_file else { return Ok(None) };
        let url = match path.to_str() {
            Some("") => return Ok(None),
            Some("-") => not_empty("stdin", &from_stdin()?)?,
            _ => read_proxy(&path)?,
        };
        Ok(Some(Proxy { url, has_credentials: false }))
    }
}

/// The address in a file that is closed to others.
pub fn read_proxy(path: &Path) -> Result<String, Failure> {
    let text = roost_secrets::read(path).map_err(Failure::SecretFile)?;
    not_empty(&path.display().to_string(), &text)
}

fn not_empty(name: &str, text: &str) -> Result<String, Failure> {
    let url = text.trim();
    if url.is_empty() {
        let why = format!("{name} holds no proxy; to take one off: --proxy-file ''");
        return Err(Failure::Refused(why));
    }
    Ok(url.to_owned())
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().read_to_string(&mut text);
    read.map(|_| text).map_err(|source| Failure::Input { what: "stdin".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_proxy_comes_from_a_file_that_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy");
        let read = |path: &Path| ProxyArgs { proxy_file: Some(path.to_owned()) }.read();
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("http://asha:sesame@proxy.example:3128\n", 0o600);
        assert_eq!(read(&path).unwrap().unwrap().url, "http://asha:sesame@proxy.example:3128");
        write(" \n", 0o600);
        assert!(read(&path).unwrap_err().to_string().contains("holds no proxy"));
        write("http://asha:sesame@proxy.example:3128", 0o644);
        let refused = read(&path).unwrap_err().to_string();
        assert!(!refused.contains("sesame"), "{refused}");
        assert_eq!(read(Path::new("")).unwrap(), None);
    }
}
