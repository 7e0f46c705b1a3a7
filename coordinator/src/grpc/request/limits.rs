//! What a tenant's browser may take of its node, as it comes in.

use std::{fmt::Display, ops::RangeInclusive};

use roost_model::{
    ResourceLimits,
    limits::{CPU_LIMIT_MILLICORES, MEMORY_LIMIT_BYTES, MEMORY_REQUEST_BYTES, PROCESS_LIMIT},
};
use roost_proto::v1;
use roost_store::LimitsPatch;

use super::Checks;

const MIB: u64 = 1 << 20;

/// Of a tenant that is new.
pub(super) fn limits(checks: &mut Checks, tenant: &v1::Tenant) -> ResourceLimits {
    limits_patch(checks, tenant, |_| true).of_new()
}

/// Of those whose fields are named.
pub(super) fn limits_patch(
    checks: &mut Checks,
    tenant: &v1::Tenant,
    is_named: impl Fn(&str) -> bool,
) -> LimitsPatch {
    let is_named = |path| is_named(path).then_some(());
    let patch = LimitsPatch {
        memory_request_bytes: is_named("memory_request_bytes")
            .and_then(|()| memory_request(checks, tenant.memory_request_bytes)),
        memory_limit_bytes: is_named("memory_limit_bytes")
            .and_then(|()| memory_limit(checks, tenant.memory_limit_bytes)),
        cpu_limit_millicores: is_named("cpu_limit_millicores")
            .and_then(|()| cpu_limit(checks, tenant.cpu_limit_millicores)),
        process_limit: is_named("process_limit").and_then(|()| process_limit(checks, tenant.process_limit)),
    };
    memory(checks, patch.memory_request_bytes, patch.memory_limit_bytes);
    patch
}

/// For each: the outer is none when it is wrong, the inner when it is not given and the node's own counts.
fn memory_request(checks: &mut Checks, given: Option<i64>) -> Option<Option<u64>> {
    let why = || mebibytes(&MEMORY_REQUEST_BYTES, "");
    within(checks, "memory_request_bytes", given, |bytes| MEMORY_REQUEST_BYTES.contains(bytes), why)
}

fn memory_limit(checks: &mut Checks, given: Option<i64>) -> Option<Option<u64>> {
    let why = || mebibytes(&MEMORY_LIMIT_BYTES, LIFTED);
    let is_allowed = |bytes: &u64| *bytes == 0 || MEMORY_LIMIT_BYTES.contains(bytes);
    within(checks, "memory_limit_bytes", given, is_allowed, why)
}

fn cpu_limit(checks: &mut Checks, given: Option<i32>) -> Option<Option<u32>> {
    let is_allowed = |limit: &u32| *limit == 0 || CPU_LIMIT_MILLICORES.contains(limit);
    let why = || format!("{} thousandths of a core{LIFTED}", span(&CPU_LIMIT_MILLICORES));
    within(checks, "cpu_limit_millicores", given, is_allowed, why)
}

fn process_limit(checks: &mut Checks, given: Option<i32>) -> Option<Option<u32>> {
    let is_allowed = |limit: &u32| *limit == 0 || PROCESS_LIMIT.contains(limit);
    within(checks, "process_limit", given, is_allowed, || {
        format!("{} processes{LIFTED}", span(&PROCESS_LIMIT))
    })
}

/// More than may be used need not be kept free. Of a change that names one of them, the store knows the other.
fn memory(checks: &mut Checks, request: Option<Option<u64>>, limit: Option<Option<u64>>) {
    if let (Some(Some(request)), Some(Some(limit))) = (request, limit)
        && limit != 0
        && request > limit
    {
        let why = format!("is over memory_limit_bytes ({limit}); raise that, or give less");
        checks.take::<()>("tenant.memory_request_bytes", Err(why));
    }
}

const LIFTED: &str = ", or 0 for no limit";

fn within<G: Copy + Display, T: TryFrom<G>>(
    checks: &mut Checks,
    field: &str,
    given: Option<G>,
    is_allowed: impl Fn(&T) -> bool,
    allowed: impl Fn() -> String,
) -> Option<Option<T>> {
    let Some(given) = given else { return Some(None) };
    let taken = T::try_from(given).ok().filter(is_allowed);
    let why = || format!("{given} is not allowed: {}", allowed());
    checks.take(&format!("tenant.{field}"), taken.ok_or_else(why)).map(Some)
}

fn span(allowed: &RangeInclusive<u32>) -> String {
    format!("{} to {}", allowed.start(), allowed.end())
}

fn mebibytes(allowed: &RangeInclusive<u64>, more: &str) -> String {
    format!("{} to {} MiB, in bytes{more}", allowed.start() / MIB, allowed.end() / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(checks: Checks) -> String {
        checks.refusal().message
    }

    #[test]
    fn what_is_not_given_is_the_nodes_own_and_zero_lifts_a_limit() {
        let mut checks = Checks::default();
        assert_eq!(memory_request(&mut checks, None), Some(None));
        assert_eq!(memory_limit(&mut checks, Some(0)), Some(Some(0)));
        assert_eq!(cpu_limit(&mut checks, Some(500)), Some(Some(500)));
        assert_eq!(process_limit(&mut checks, Some(8)), Some(Some(8)));
        assert!(checks.passed());
    }

    #[test]
    fn what_is_out_of_its_range_is_named_with_the_range() {
        let mut checks = Checks::default();
        assert_eq!(memory_request(&mut checks, Some(0)), None);
        assert_eq!(memory_limit(&mut checks, Some(1)), None);
        assert_eq!(cpu_limit(&mut checks, Some(-1)), None);
        assert_eq!(process_limit(&mut checks, Some(7)), None);
        let told = refusal(checks);
        for said in [
            "tenant.memory_request_bytes: 0 is not allowed: 16 to 1048576 MiB, in bytes",
            "tenant.memory_limit_bytes: 1 is not allowed: 64 to 1048576 MiB, in bytes, or 0 for no limit",
            "tenant.cpu_limit_millicores: -1 is not allowed: 50 to 1000000 thousandths of a core, or 0 for no limit",
            "tenant.process_limit: 7 is not allowed: 8 to 100000 processes, or 0 for no limit",
        ] {
            assert!(told.contains(said), "{said}: {told}");
        }
    }

    #[test]
    fn a_request_is_not_over_its_limit() {
        let over = |request, limit| {
            let mut checks = Checks::default();
            memory(&mut checks, Some(Some(request)), Some(limit));
            !checks.passed()
        };
        assert!(over(513 * MIB, Some(512 * MIB)));
        assert!(!over(512 * MIB, Some(512 * MIB)) && !over(512 * MIB, Some(0)) && !over(512 * MIB, None));
    }
}
