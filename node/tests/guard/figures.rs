//! The leases and the times that the guard, its child and the tests go by.

use std::time::Duration;

/// Much longer than anything takes; a condition that is not met by then fails the test.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How far ahead the child's deadline is, each time it renews it.
pub const FENCE: Duration = Duration::from_millis(400);
/// What killing may take on a loaded machine.
pub const LATE: Duration = Duration::from_millis(600);
pub const RENEW_EVERY: Duration = Duration::from_millis(50);
pub const LEASE: i64 = 77;
/// The second lease of a child that leads.
pub const REIGN: i64 = 78;
