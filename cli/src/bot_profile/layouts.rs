//! Where bots keep their profiles: LocalAuth's `dataPath` has `session` in it, or `session-CLIENTID` for each client; programs with
//! many bots give each a `dataPath` of its own, so there is `SESSIONS_PATH/TENANT/session`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::ProfileError;

const SESSION: &str = "session";
const OF_CLIENT: &str = "session-";

/// The profiles in a directory of many.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// By the name of whose it is.
    pub profiles: BTreeMap<String, PathBuf>,
    /// Names of which there are two.
    pub ambiguous: Vec<String>,
}

fn is_profile(dir: &Path) -> bool {
    dir.join("Default").is_dir()
}

/// The profile that is meant by a directory: it, or what LocalAuth has made in it for this client.
pub fn locate(dir: &Path, client: &str) -> Result<PathBuf, ProfileError> {
    let candidates = [dir.to_owned(), dir.join(SESSION), dir.join(format!("{OF_CLIENT}{client}"))];
    let found = candidates.into_iter().find(|candidate| is_profile(candidate));
    found.ok_or_else(|| ProfileError::NotAProfile { dir: dir.to_owned() })
}

/// Every profile in a directory of many bots'.
pub fn find_all(dir: &Path) -> Result<Layout, ProfileError> {
    let listing = fs::read_dir(dir).map_err(ProfileError::unreadable(dir))?;
    let mut layout = Layout::default();
    for entry in listing {
        let path = entry.map_err(ProfileError::unreadable(dir))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let found = match name.strip_prefix(OF_CLIENT) {
            Some(client) if is_profile(&path) => (client, path.clone()),
            _ => match locate(&path, name) {
                Ok(profile) => (name, profile),
                Err(_) => continue,
            },
        };
        if layout.profiles.insert(found.0.to_owned(), found.1).is_some() {
            layout.ambiguous.push(found.0.to_owned());
        }
    }
    for name in &layout.ambiguous {
        layout.profiles.remove(name);
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(dir: &Path, profiles: &[&str]) {
        for profile in profiles {
            fs::create_dir_all(dir.join(profile).join("Default")).unwrap();
        }
    }

    #[test]
    fn a_profile_is_found_in_each_of_the_layouts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |below: &str| dir.path().join(below);
        made(dir.path(), &["own", "single/session", "many/session-duka"]);
        assert_eq!(locate(&at("own"), "duka").unwrap(), at("own"));
        assert_eq!(locate(&at("single"), "duka").unwrap(), at("single/session"));
        assert_eq!(locate(&at("many"), "duka").unwrap(), at("many/session-duka"));
        assert!(locate(&at("many"), "soko").is_err());
    }

    #[test]
    fn many_are_found_by_whose_they_are_and_two_of_one_name_are_none() {
        let dir = tempfile::tempdir().unwrap();
        made(
            dir.path(),
            &["duka/session", "session-soko", "hotel", "session-twice", "twice/session", "empty/x"],
        );
        fs::write(dir.path().join("notes.txt"), "").unwrap();
        let Layout { profiles, ambiguous } = find_all(dir.path()).unwrap();
        let found: Vec<_> =
            profiles.iter().map(|(name, at)| (name.as_str(), at.strip_prefix(dir.path()).unwrap())).collect();
        let at = Path::new;
        assert_eq!(
            found,
            [("duka", at("duka/session")), ("hotel", at("hotel")), ("soko", at("session-soko"))]
        );
        assert_eq!(ambiguous, ["twice"]);
        assert!(find_all(&dir.path().join("nowhere")).is_err());
    }
}
