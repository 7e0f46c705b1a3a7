//! How many messages of a tenant are answered, for how long, and what becomes of replies in doubt, as it comes in.

use std::{ops::RangeInclusive, time::Duration};

use roost_model::{DEFAULT_ANSWER_WITHIN, DEFAULT_REPLY_LIMIT, ResendPolicy};
use roost_proto::v1;

use super::Checks;

const REPLY_LIMITS: RangeInclusive<u32> = 0..=10_000;
const ANSWER_WITHIN: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3_600);

pub(super) fn reply_limit(checks: &mut Checks, given: Option<i32>) -> Option<u32> {
    let Some(given) = given else { return Some(DEFAULT_REPLY_LIMIT) };
    let limit = u32::try_from(given).ok().filter(|limit| REPLY_LIMITS.contains(limit));
    let why = || format!("{given} is not allowed: 1 to {}, or 0 for no limit", REPLY_LIMITS.end());
    checks.take("tenant.reply_limit_per_minute", limit.ok_or_else(why))
}

pub(super) fn answer_within(checks: &mut Checks, given: Option<prost_types::Duration>) -> Option<Duration> {
    let Some(given) = given else { return Some(DEFAULT_ANSWER_WITHIN) };
    let span = Duration::try_from(given).ok().filter(|span| span.subsec_nanos() == 0);
    let why = "is not allowed; it takes whole seconds from a minute to 7 days";
    let allowed = span.filter(|span| ANSWER_WITHIN.contains(span));
    checks.take("tenant.answer_within", allowed.ok_or_else(|| why.to_owned()))
}

pub(super) fn resend_policy(checks: &mut Checks, given: i32) -> Option<ResendPolicy> {
    checks.optional_enum("tenant.resend_policy", given).map(|given| match given {
        None | Some(v1::ResendPolicy::Unspecified) | Some(v1::ResendPolicy::Resend) => ResendPolicy::Resend,
        Some(v1::ResendPolicy::Hold) => ResendPolicy::Hold,
    })
}
