//! Versions, and whom a rollout would choose.

use roost_proto::v1;
use roost_store::{Version, VersionKind};
use time::{Duration, OffsetDateTime};

use super::{count, timestamp};
use crate::app::RolloutPlan;

/// Before its end one is told of it.
const WARNED_BEFORE: Duration = Duration::days(7);

pub fn version(row: Version) -> v1::Version {
    let warning = warning(&row, OffsetDateTime::now_utc());
    v1::Version {
        name: row.name,
        kind: version_kind(row.kind).into(),
        size_bytes: i64::try_from(row.bytes).unwrap_or(i64::MAX),
        expire_time: row.expires_at.map(timestamp),
        create_time: Some(timestamp(row.created_at)),
        created_by: row.created_by,
        is_fleets: row.is_the_fleets,
        tenants: i64::try_from(row.tenants).unwrap_or(i64::MAX),
        warning: warning.unwrap_or_default(),
    }
}

/// Nobody is warned of what nobody has.
fn warning(version: &Version, now: OffsetDateTime) -> Option<String> {
    let left = version.expires_at.filter(|_| version.is_the_fleets || version.tenants > 0)? - now;
    if left <= Duration::ZERO {
        Some("it has expired: WhatsApp may turn away whoever has it; roll out another one".to_owned())
    } else if left <= WARNED_BEFORE {
        let hours = left.whole_hours();
        Some(format!("it expires in {} d {} h; roll out another one before that", hours / 24, hours % 24))
    } else {
        None
    }
}

pub fn version_kind(kind: VersionKind) -> v1::VersionKind {
    match kind {
        VersionKind::Page => v1::VersionKind::Page,
        VersionKind::Library => v1::VersionKind::Library,
    }
}

pub fn rollout_plan(plan: RolloutPlan) -> v1::RolloutPlan {
    v1::RolloutPlan {
        candidates: i64::try_from(plan.candidates).unwrap_or(i64::MAX),
        missed_percent: count(plan.missed_percent()),
        tenant_ids: plan.chosen.tenants.into_iter().map(String::from).collect(),
        control_tenant_ids: plan.chosen.controls.into_iter().map(String::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_and_expires_is_told_of() {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let told = |tenants, is_the_fleets, left: Option<Duration>| {
            let version = Version {
                name: "2.3000.1".into(),
                kind: VersionKind::Page,
                bytes: 1,
                expires_at: left.map(|left| now + left),
                created_at: now,
                created_by: "asha".into(),
                is_the_fleets,
                tenants,
            };
            warning(&version, now).unwrap_or_default()
        };
        assert!(told(1, false, Some(Duration::ZERO)).starts_with("it has expired"));
        assert!(told(0, true, Some(Duration::hours(7 * 24 - 1))).starts_with("it expires in 6 d 23 h"));
        assert_eq!(told(1, true, Some(Duration::days(8))), "");
        assert_eq!(told(1, true, None), "");
        assert_eq!(told(0, false, Some(Duration::ZERO)), "", "nobody has it");
    }
}
