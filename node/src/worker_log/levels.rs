//! Which tenants have a level of their own, and which it is now. A level for a time ends when its time is over, without a timer: whoever
//! asks compares the time, and the writer, which something has just come to, forgets what is over.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::SystemTime,
};

use parking_lot::RwLock;
use roost_model::{LogLevel, ids::TenantId};
use tracing::{Level, level_filters::LevelFilter};

/// What operators have set of one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantLevels {
    pub own: Option<LogLevel>,
    /// In its place until then.
    pub temporary: Option<(LogLevel, SystemTime)>,
}

impl TenantLevels {
    fn at(&self, now: SystemTime) -> Option<LogLevel> {
        self.temporary.filter(|(_, until)| now < *until).map(|(level, _)| level).or(self.own)
    }
}

/// Those of the tenants that this node holds. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogLevels(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Only those that have some.
    tenants: RwLock<HashMap<TenantId, TenantLevels>>,
    /// The most that any of them has written, as [`verbosity`] counts; 0 when there is none.
    most: AtomicU8,
}

/// 1 for errors alone, 5 for everything.
fn verbosity(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 1,
        LogLevel::Warn => 2,
        LogLevel::Info => 3,
        LogLevel::Debug => 4,
        LogLevel::Trace => 5,
    }
}

fn verbosity_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

impl LogLevels {
    /// From now on.
    pub fn set(&self, tenant: &TenantId, levels: TenantLevels) {
        let mut tenants = self.0.tenants.write();
        let before = if levels == TenantLevels::default() {
            tenants.remove(tenant)
        } else {
            tenants.insert(tenant.clone(), levels)
        };
        if before.unwrap_or_default() != levels {
            self.recount(&tenants);
        }
    }

    /// Forgets what is over. Not to be called while something is logged: see [`Self::recount`].
    pub(super) fn end_due(&self, now: SystemTime) {
        let is_over = |levels: &TenantLevels| levels.temporary.is_some_and(|(_, until)| until <= now);
        if self.is_empty() || !self.0.tenants.read().values().any(is_over) {
            return;
        }
        let mut tenants = self.0.tenants.write();
        tenants.retain(|_, levels| {
            levels.temporary = levels.temporary.filter(|(_, until)| *until > now);
            *levels != TenantLevels::default()
        });
        self.recount(&tenants);
    }

    /// Has `tracing` ask anew what is of interest, when that is another than before.
    fn recount(&self, tenants: &HashMap<TenantId, TenantLevels>) {
        let of =
            |levels: &TenantLevels| levels.own.into_iter().chain(levels.temporary.map(|(level, _)| level));
        let most = tenants.values().flat_map(of).map(verbosity).max().unwrap_or(0);
        if self.0.most.swap(most, Ordering::AcqRel) != most {
            tracing_core::callsite::rebuild_interest_cache();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.most.load(Ordering::Acquire) == 0
    }

    /// Whether a tenant may have it written. At once, for it is asked of whatever is logged.
    pub(super) fn may_take(&self, level: Level) -> bool {
        verbosity_of(level) <= self.0.most.load(Ordering::Acquire)
    }

    /// Whether the tenant's own level takes it; none when it has no level of its own.
    pub(super) fn takes(&self, tenant: &TenantId, level: Level, now: SystemTime) -> Option<bool> {
        if self.is_empty() {
            return None;
        }
        let least = self.0.tenants.read().get(tenant)?.at(now)?;
        Some(verbosity_of(level) <= verbosity(least))
    }

    /// What has to be told of: the spans that say whose an event is are of INFO.
    pub(super) fn of_interest(&self) -> LevelFilter {
        match self.0.most.load(Ordering::Acquire) {
            5 => LevelFilter::TRACE,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::INFO,
        }
    }
}
