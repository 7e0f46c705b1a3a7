//! How the directory of a spare browser becomes a tenant's profile while the browser runs.
//!
//! Chromium keeps the path that it was started with and opens files by it for as long as it lives; what it has open goes on
//! being what it was when the directory is moved. So the directory is moved into the tenant's profile, which the snapshots are
//! taken from and the next browser starts on, and a link is left where it was. Between the two a file that the browser
//! opens is not found: it shows an empty tab then, and opens none.
//!
//! Which of a profile's directories counts is told by their stamps alone (see `standby`). They are written before the
//! directory comes: the profile is locked, what was in it set aside, the place stamped as nobody's, and only then is there a
//! browser in it. Whoever dies between two of these steps leaves a profile that the next one who locks it finds as it was before.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::profile::{LockedProfile, Profiles, UNOWNED};
use super::restore::{SessionSource, choose};
use super::spare_dirs::{SpareDir, SpareDirs};
use super::{SessionError, SnapshotRef, files};

impl Profiles {
    /// The place of this node's spares, for this process alone.
    pub fn spare_dirs(&self) -> Result<SpareDirs, SessionError> {
        SpareDirs::take(self.dir(), self.run_as())
    }

    /// There are to be none.
    pub fn discard_spares(&self) -> Result<(), SessionError> {
        SpareDirs::discard(self.dir())
    }
}

/// One of the steps by which a spare's directory becomes the profile's.
type Step = fn(&LockedProfile, &Path) -> Result<(), SessionError>;

/// Their order is what makes each survive the death of the node.
pub(super) const STEPS: [Step; 4] = [
    LockedProfile::set_aside,
    LockedProfile::stamp_as_nobodys,
    LockedProfile::move_in,
    LockedProfile::leave_link,
];

impl LockedProfile {
    /// Whether a browser that runs already can have the session: what only the profile here has is in files that a browser opens
    /// when it starts.
    pub fn is_fit_for_spare(&self, newest: Option<&SnapshotRef>) -> bool {
        choose(self.stamp().as_ref(), newest) != SessionSource::Local
    }

    /// Makes the directory of a browser that runs and has opened nothing the one of this profile, as
    /// [`LockedProfile::make_standby_dir`] makes an empty one. When it fails, the browser is to be ended and then
    /// [`LockedProfile::discard_unused`] called.
    pub fn adopt(&self, spare: SpareDir) -> Result<(), SessionError> {
        let adopted = STEPS.iter().try_for_each(|step| step(self, &spare.browser_dir()));
        // The link is needed for as long as the browser may run, which is not longer than the profile is held.
        self.keep_link(spare);
        adopted
    }

    fn set_aside(&self, _spare: &Path) -> Result<(), SessionError> {
        files::rename_if_there(&self.current(), &self.aside())
    }

    fn stamp_as_nobodys(&self, _spare: &Path) -> Result<(), SessionError> {
        self.make_current_dir()?;
        self.write_stamp(&self.unused_stamp(UNOWNED))
    }

    fn move_in(&self, spare: &Path) -> Result<(), SessionError> {
        fs::rename(spare, self.browser_dir())
            .map_err(SessionError::disk("moving a spare browser's directory", spare))
    }

    fn leave_link(&self, spare: &Path) -> Result<(), SessionError> {
        symlink(self.browser_dir(), spare)
            .map_err(SessionError::disk("leaving a link where a spare browser was started", spare))
    }
}
