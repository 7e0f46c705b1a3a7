//! A tenant's WhatsApp session on disk and beyond this machine.
//!
//! The credentials are non-extractable keys in the page's IndexedDB: nothing can export them, but the files they lie in
//! can be copied. So a session is the profile's `Default/IndexedDB` and `Default/Local Storage`, and a snapshot is a copy
//! of these at one instant, plus the localStorage as the page sees it, which reaches the disk seconds to minutes late.
//!
//! - [`Profiles`], [`Profile`]: the directories of this node and of one tenant on it, locked while used, stamped with what it holds.
//! - [`SnapshotTaker`]: from a frozen browser (the tree stands still for milliseconds) or a closed one.
//! - [`SnapshotStore`]: snapshots in the object store, per tenant: content-addressed, compressed, encrypted, checked.
//! - [`s3`]: a bucket as that store; `store_proof`: whether a store keeps what is relied on.
//! - [`LockedProfile::find_session`]: which snapshot is the newest, also when the database has gone back.
//! - [`LockedProfile::prepare`]: decides between the profile that is here and the newest snapshot, and restores.
//! - [`LockedProfile::prepare_or_find_damage`]: the same, and what to go on from when that is damaged.
//! - [`LockedProfile::go_back`]: to an older snapshot, because an operator says so.
//! - [`Imports`]: a profile of another program's, which becomes a snapshot.
//! - [`LockedProfile::keep_session`]: what is of a session before is void, wherever it was kept.
//! - `beginning`: what of the store an owner builds on, and why nobody removes it.
//! - [`LockedProfile::make_standby_dir`], [`LockedProfile::install_session`]: the same for a browser that runs before its session is here.
//! - [`SpareDirs`], [`LockedProfile::adopt`]: the directory of a browser that runs for nobody yet, and how it becomes a tenant's.
//!
//! Order of snapshots is (generation, sequence). Who may say that a snapshot is *the* newest is not decided here: the
//! pointer row in Postgres does, fenced by the generation (I2). What is here keeps a deposed owner harmless: it writes
//! only under its own generation and never removes what belongs to a later one.

mod adoption;
mod beginning;
mod content;
mod crypto;
mod error;
mod fallback;
mod files;
mod going_back;
mod import;
mod leveldb;
mod manifest;
mod newest;
mod objects;
mod orphans;
mod profile;
mod restore;
pub mod s3;
mod session_number;
mod snapshot;
mod snapshot_listing;
mod snapshot_store;
mod spare_dirs;
mod staging;
mod standby;
mod store_marker;
mod store_proof;
mod superseded;
#[cfg(test)]
mod tests;
mod upload;

pub use crypto::SnapshotKeys;
pub use error::{SessionError, Unfit};
pub use fallback::{Damage, Preparation};
pub use going_back::GoingBack;
pub use import::{ImportError, ImportedAs, Imports, ReceivedProfile, WholeProfile};
pub use manifest::SnapshotRef;
pub use newest::{FoundSession, LaterSession};
pub use profile::{LockedProfile, Profile, ProfileStamp, Profiles};
pub use restore::{FetchedFiles, PreparedProfile, SessionSource};
pub use snapshot::SnapshotTaker;
pub use snapshot_listing::Tombstone;
pub use snapshot_store::SnapshotStore;
pub use spare_dirs::{SpareDir, SpareDirs};
pub use store_marker::StoreMarker;

/// What of a profile makes the session, relative to the browser's user data directory.
const STORES: [&str; 2] = [INDEXED_DB, LOCAL_STORAGE_DIR];
/// The part of it that a browser opens with the first document of the site, and not when it starts.
const INDEXED_DB: &str = "Default/IndexedDB";
const LOCAL_STORAGE_DIR: &str = "Default/Local Storage";
