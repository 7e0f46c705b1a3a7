//! The fence of a tenant's writes, and why it holds (I2).
//!
//! Every write made on behalf of a worker begins, in the same statement, with
//!
//! ```sql
//! owner as materialized (
//!     select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
//! )
//! ```
//!
//! and everything else in the statement draws its rows from `owner`. A placement takes the same row `for update`, and the
//! generation is part of a unique key (`worker_processes_generation`), so that no update of it takes less. One of the two
//! comes after the other:
//!
//! - The write has the row first: the placement leaves the tenant out, and a later one finds the write committed. What
//!   the old owner wrote is then there before the new generation is, so the new owner, which learns of its generation
//!   later, reads it.
//! - The placement has the row first: the write waits, Postgres then evaluates the condition again on the new version
//!   of the row, finds another generation, and `owner` is empty. Nothing is written: [`StoreError::Fenced`].
//!
//! The comparison is for equality, not order: a generation from the future would be a defect, not an owner.
//!
//! `for key share` waits for nothing but a new generation and the row's deletion, and holds up nothing else: writes of one
//! owner do not wait for each other, and a stop, a report or stale detection passes however busy the tenant is. So a
//! write whose effect depends on more of the row than the generation (a report, a QR code: is the worker to run?) locks
//! it `for no key update`, at once; taking the share first and then more is how two of them would wait in a circle.
//! A heartbeat alone locks no worker ([`crate::Store::heartbeat`] says why it may).
//!
//! A tenant that is deleted takes the row with it, and one that is made again under the same id starts above every
//! generation of its predecessor (sequence `generations`), so a worker left over is refused in both cases.

use roost_model::ids::{Generation, TenantId};

use crate::StoreError;

/// In whose name a worker writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    pub tenant: TenantId,
    pub generation: Generation,
}

impl Fence {
    /// Turns the statement's answer whether `owner` was there into a result.
    pub(crate) fn check(&self, owns: bool) -> Result<(), StoreError> {
        if owns {
            Ok(())
        } else {
            Err(StoreError::Fenced { tenant: self.tenant.clone(), generation: self.generation })
        }
    }
}
