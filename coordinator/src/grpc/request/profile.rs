//! What is asked of an import: the description of a profile, and what follows it.

use roost_proto::v1::{ProfileDescription, ProfileEnd, ProfileFile, import_session_request::Part};

use super::Checks;
use crate::node_rpc::{ImportRequest, ProfilePart};

/// More than a browser of one site has.
const DATABASES_AT_MOST: usize = 100;
const DIGEST_CHARS: usize = 64;

impl Checks {
    pub fn import(&mut self, given: ProfileDescription) -> Option<ImportRequest> {
        let tenant = self.tenant_id("profile.tenant_id", &given.tenant_id);
        let is_digest =
            given.digest.len() == DIGEST_CHARS && given.digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = if is_digest {
            Ok(given.digest)
        } else {
            Err(format!("is not {DIGEST_CHARS} hexadecimal digits"))
        };
        let digest = self.take("profile.digest", digest);
        let databases = match given.databases.len() {
            0..=DATABASES_AT_MOST => Ok(given.databases),
            more => Err(format!("has {more} names, and {DATABASES_AT_MOST} is the most")),
        };
        let databases = self.take("profile.databases", databases);
        let by = self.by(given.requested_by, given.reason);
        let (clean, replace, validate_only) = (given.clean, given.replace, given.validate_only);
        Some(ImportRequest {
            tenant: tenant?,
            databases: databases?,
            clean,
            digest: digest?,
            replace,
            validate_only,
            by: by?,
        })
    }
}

/// What may follow the description; none of another.
pub fn profile_part(part: Part) -> Option<ProfilePart> {
    match part {
        Part::Profile(_) => None,
        Part::File(ProfileFile { path, size_bytes }) => {
            Some(ProfilePart::File { path, bytes: u64::try_from(size_bytes).ok()? })
        }
        Part::Content(content) => Some(ProfilePart::Content(content)),
        Part::End(ProfileEnd { files, size_bytes }) => Some(ProfilePart::End {
            files: u32::try_from(files).ok()?,
            bytes: u64::try_from(size_bytes).ok()?,
        }),
    }
}
