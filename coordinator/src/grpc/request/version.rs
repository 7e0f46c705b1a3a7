//! Versions and their rollouts, as they come in.

use std::time::Duration;

use roost_cluster::ledger::RolloutLimits;
use roost_model::browser::check_version_name;
use roost_proto::{error::ApiError, v1};
use roost_store::{CONTENT_AT_MOST, NewVersion, Requester, VersionKind, WorkerFilter};
use time::OffsetDateTime;

use super::{Checks, selector::Selector};
use crate::app::Rollout;

const USUAL_SHARE: u32 = 10;
const MOST_SHARE: u32 = 50;
const USUAL_CONCURRENT: u32 = 5;
const MOST_CONCURRENT: u32 = 100;
const USUAL_WATCH: Duration = Duration::from_secs(15 * 60);
/// Times as long as it is watched.
const USUAL_GIVE_UP: u32 = 4;
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
const USUAL_ACKNOWLEDGED: u32 = 20;
const MOST_ACKNOWLEDGED: u32 = 1_000_000;

pub fn version_name(given: &str) -> Result<&str, ApiError> {
    let mut checks = Checks::default();
    checks.version_name("name", given).ok_or_else(|| checks.refusal())
}

pub fn new_version(request: v1::CreateVersionRequest) -> Result<(NewVersion, Requester), ApiError> {
    let v1::CreateVersionRequest { name, kind, content, expire_time, requested_by } = request;
    let mut checks = Checks::default();
    let is_named = checks.version_name("name", &name).is_some();
    let kind = checks.version_kind(kind);
    let content = checks.content(kind, content);
    let expires_at = checks.instant("expire_time", expire_time);
    let by = checks.by(requested_by, String::new());
    match (is_named, kind, content, expires_at, by) {
        (true, Some(kind), Some(content), Some(expires_at), Some(by)) => {
            Ok((NewVersion { name, kind, content, expires_at }, by))
        }
        _ => Err(checks.refusal()),
    }
}

/// The name is none where none is to be the fleet's.
pub fn pin(request: v1::PinVersionRequest) -> Result<(VersionKind, Option<String>, Requester), ApiError> {
    let v1::PinVersionRequest { kind, name, requested_by, reason } = request;
    let mut checks = Checks::default();
    let kind = checks.version_kind(kind);
    let is_named = name.is_empty() || checks.version_name("name", &name).is_some();
    let by = checks.by(requested_by, reason);
    match (kind, is_named, by) {
        (Some(kind), true, Some(by)) => Ok((kind, Some(name).filter(|name| !name.is_empty()), by)),
        _ => Err(checks.refusal()),
    }
}

pub fn planned_rollout(request: v1::PlanRolloutRequest) -> Result<Rollout, ApiError> {
    let v1::PlanRolloutRequest { version, selector, share_percent } = request;
    let mut checks = Checks::default();
    checks.rollout(version, selector, share_percent).ok_or_else(|| checks.refusal())
}

pub fn started_rollout(
    request: v1::StartRolloutRequest,
) -> Result<(Rollout, RolloutLimits, Requester), ApiError> {
    let mut checks = Checks::default();
    let rollout = checks.rollout(request.version, request.selector, request.share_percent);
    let concurrent =
        checks.limit("max_concurrent", request.max_concurrent, USUAL_CONCURRENT, MOST_CONCURRENT);
    let given = request.least_acknowledged;
    let least = checks.limit("least_acknowledged", given, USUAL_ACKNOWLEDGED, MOST_ACKNOWLEDGED);
    let watch = checks.optional_span("watch_for", request.watch_for);
    let give_up = checks.optional_span("give_up_after", request.give_up_after);
    let spans = watch.zip(give_up).and_then(|(watch, give_up)| checks.watched(watch, give_up));
    let by = checks.by(request.requested_by, request.reason);
    let (Some(rollout), Some(max_concurrent), Some(least_acknowledged), Some(spans), Some(by)) =
        (rollout, concurrent, least, spans, by)
    else {
        return Err(checks.refusal());
    };
    let (watch_for, give_up_after) = spans;
    Ok((rollout, RolloutLimits { max_concurrent, watch_for, give_up_after, least_acknowledged }, by))
}

impl Checks {
    fn version_name<'a>(&mut self, field: &str, given: &'a str) -> Option<&'a str> {
        self.take(field, check_version_name(given).map(|()| given).map_err(|error| error.to_string()))
    }

    fn version_kind(&mut self, given: i32) -> Option<VersionKind> {
        let known: Option<v1::VersionKind> = self.optional_enum("kind", given)?;
        let kind = match known {
            Some(v1::VersionKind::Page) => Ok(VersionKind::Page),
            Some(v1::VersionKind::Library) => Ok(VersionKind::Library),
            Some(v1::VersionKind::Unspecified) | None => Err("has to be PAGE or LIBRARY".to_owned()),
        };
        self.take("kind", kind)
    }

    /// What cannot be what it is said to be: a file of the other kind, or none of either.
    fn content(&mut self, kind: Option<VersionKind>, given: String) -> Option<String> {
        let begins = given.trim_start_matches('\u{feff}').trim_start();
        let is_document = begins.starts_with('<');
        let wrong = match kind {
            _ if begins.is_empty() => Some("is required".to_owned()),
            _ if given.len() > CONTENT_AT_MOST => {
                Some(format!("has {} bytes, {CONTENT_AT_MOST} are allowed", given.len()))
            }
            _ if given.contains('\0') => Some("has a NUL, and so is no text".to_owned()),
            Some(VersionKind::Page) if !is_document => {
                Some("is no document: HTML begins with <, such as <!DOCTYPE html>".to_owned())
            }
            Some(VersionKind::Library) if is_document => {
                Some("is a document and no script: give dist/wppconnect-wa.js of wa-js".to_owned())
            }
            Some(VersionKind::Library) if !given.contains("WPP") => {
                Some("is not wa-js, which has WPP in the page: give its dist/wppconnect-wa.js".to_owned())
            }
            _ => None,
        };
        self.take("content", wrong.map_or(Ok(given), Err))
    }

    fn instant(
        &mut self,
        field: &str,
        given: Option<prost_types::Timestamp>,
    ) -> Option<Option<OffsetDateTime>> {
        let instant = given.map(|at| {
            let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
            OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| "is no time".to_owned())
        });
        self.take(field, instant.transpose())
    }

    fn rollout(&mut self, version: String, selector: String, share: i32) -> Option<Rollout> {
        let is_named = self.version_name("version", &version).is_some();
        let chosen = self.selector(&selector);
        let share = self.limit("share_percent", share, USUAL_SHARE, MOST_SHARE);
        let (true, Some(chosen), Some(share_percent)) = (is_named, chosen, share) else { return None };
        let Selector { labels, status, node } = chosen;
        let filter = WorkerFilter { node, status, labels };
        Some(Rollout { version, selector: selector.trim().to_owned(), filter, share_percent })
    }

    /// How long it is watched, and after how long it is given up.
    fn watched(
        &mut self,
        watch: Option<Duration>,
        give_up: Option<Duration>,
    ) -> Option<(Duration, Duration)> {
        let watch = watch.unwrap_or(USUAL_WATCH);
        if watch.subsec_nanos() != 0 || watch > LONGEST - Duration::from_secs(1) {
            return self.take("watch_for", Err("has to be whole seconds, and less than 24 hours".to_owned()));
        }
        let give_up = give_up.unwrap_or_else(|| (watch * USUAL_GIVE_UP).min(LONGEST));
        if give_up <= watch {
            let why = format!("has to be longer than the {watch:?} for which it is watched");
            return self.take("give_up_after", Err(why));
        }
        Some((watch, Duration::from_secs(give_up.as_secs().max(watch.as_secs() + 1))))
    }
}

#[cfg(test)]
mod tests {
    use roost_proto::error::Violation;

    use super::*;

    fn fields(error: ApiError) -> Vec<String> {
        error.violations.into_iter().map(|Violation { field, .. }| field).collect()
    }

    fn page(content: &str) -> v1::CreateVersionRequest {
        v1::CreateVersionRequest {
            name: "2.3000.1".into(),
            kind: v1::VersionKind::Page.into(),
            content: content.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_version_is_a_file_of_its_kind() {
        assert!(new_version(page("<!DOCTYPE html><title>WhatsApp</title>")).is_ok());
        let library = |content: &str| v1::CreateVersionRequest {
            kind: v1::VersionKind::Library.into(),
            ..page(content)
        };
        assert!(new_version(library("window.WPP = {}")).is_ok());
        let too_large = format!("<{}", "x".repeat(CONTENT_AT_MOST));
        for wrong in [
            page(""),
            page("window.WPP"),
            page("<a\0>"),
            page(&too_large),
            library("<WPP>"),
            library("let x"),
        ] {
            assert_eq!(fields(new_version(wrong).unwrap_err()), ["content"]);
        }
        let nothing = fields(new_version(v1::CreateVersionRequest::default()).unwrap_err());
        assert_eq!(nothing, ["name", "kind", "content"]);
    }

    #[test]
    fn a_rollout_has_its_usual_limits_and_ranges() {
        let named = || v1::StartRolloutRequest { version: "2.3000.1".into(), ..Default::default() };
        let (rollout, limits, _) = started_rollout(named()).unwrap();
        assert_eq!(rollout.share_percent, 10);
        let usual = RolloutLimits {
            max_concurrent: 5,
            watch_for: Duration::from_secs(900),
            give_up_after: Duration::from_secs(3_600),
            least_acknowledged: 20,
        };
        assert_eq!(limits, usual);
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let long = v1::StartRolloutRequest { watch_for: seconds(36_000), ..named() };
        assert_eq!(started_rollout(long).unwrap().1.give_up_after, LONGEST);
        let wrong = v1::StartRolloutRequest {
            version: "a b".into(),
            selector: "plan".repeat(400),
            share_percent: 51,
            max_concurrent: -1,
            least_acknowledged: -1,
            watch_for: seconds(60),
            give_up_after: seconds(60),
            ..Default::default()
        };
        let told = fields(started_rollout(wrong).unwrap_err());
        let expected =
            ["version", "selector", "share_percent", "max_concurrent", "least_acknowledged", "give_up_after"];
        assert_eq!(told, expected);
        assert!(started_rollout(v1::StartRolloutRequest { watch_for: seconds(86_400), ..named() }).is_err());
    }
}
