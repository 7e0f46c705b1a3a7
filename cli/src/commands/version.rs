//! `roost version`

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::{Subcommand, builder::NonEmptyStringValueParser};
use roost_proto::v1::{
    CreateVersionRequest, DeleteVersionRequest, ListVersionsRequest, PinVersionRequest, PlanRolloutRequest,
    StartRolloutRequest, VersionKind,
};
use serde::Deserialize;

use super::{
    Context,
    attribution::{Attribution, name_or_user},
    consent::Consent,
    follow::started,
    rebalance::percent,
};
use crate::{
    choices::VersionKindChoice,
    failure::Failure,
    views::{RolloutPlanView, VersionView},
};

#[derive(Debug, Subcommand)]
pub enum VersionVerb {
    /// Keeps a version: a page's document, or a build of wa-js.
    Create(Create),
    /// Lists the versions, and who has them.
    List,
    /// Deletes one that nobody has. Asks first.
    Delete {
        name: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Makes a version the fleet's at once, for browsers that start from now on. Asks first. `rollout` tries it before.
    Pin {
        #[arg(value_enum)]
        kind: VersionKindChoice,
        /// Without it: what the site gives, and what came with the node.
        name: Option<String>,
        #[command(flatten)]
        attribution: Attribution,
        #[command(flatten)]
        consent: Consent,
    },
    Rollout(Rollout),
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("content").required(true).args(["page", "library", "wa_version"])))]
pub struct Create {
    /// 1 to 64 letters, digits and . _ + -
    name: String,
    /// The page's document, an HTML file.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// The library, `dist/wppconnect-wa.js` of the npm package @wppconnect/wa-js.
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
    /// The page of this name, with the time at which it expires, of the npm package @wppconnect/wa-version in this directory.
    #[arg(long, value_name = "DIR")]
    wa_version: Option<PathBuf>,
    /// When WhatsApp may turn it away, such as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339, conflicts_with = "wa_version")]
    expires: Option<SystemTime>,
    /// Who keeps it, for the list [default: $USER].
    #[arg(long, env = "ROOST_OPERATOR", value_name = "NAME")]
    by: Option<String>,
}

/// Gives a version to some tenants first, drawn by lot, and makes it the fleet's if it does them as well as as many others do without;
/// else they go back to what they had.
#[derive(Debug, clap::Args)]
pub struct Rollout {
    /// Its name.
    #[arg(value_name = "VERSION")]
    name: String,
    /// Choose from the tenants that meet all of these: terms as in `roost worker list --selector`.
    #[arg(short = 'l', long, value_name = "TERMS", value_parser = NonEmptyStringValueParser::new())]
    selector: Option<String>,
    /// How many of them, up to 50%; 30 at least, 200 at most, and never more than half.
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    share: i32,
    /// Only show whom it could choose.
    #[arg(long, conflicts_with = "detach")]
    plan: bool,
    /// The most that have been given it and are not back yet, up to 100.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..))]
    max_concurrent: i32,
    /// How long the last of them is watched.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    watch: Duration,
    /// After so long it is undecided, which is no success [default: four times --watch].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    give_up: Option<Duration>,
    /// Sends that WhatsApp has to have acknowledged with it.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..))]
    sends: i32,
    /// Do not wait for the end.
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    attribution: Attribution,
}

impl VersionVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(context).await,
            Self::List => {
                let told = context.admin()?.versions().list_versions(ListVersionsRequest {}).await?;
                let rows: Vec<_> = told.into_inner().versions.into_iter().map(VersionView::from).collect();
                context.output.list(&rows)
            }
            Self::Delete { name, consent } => {
                consent.obtain(&format!("delete version {name}"))?;
                let request = DeleteVersionRequest { name: name.clone() };
                context.admin()?.versions().delete_version(request).await?;
                context.output.note(&format!("version {name} is deleted"));
                Ok(())
            }
            Self::Pin { kind, name, attribution, consent } => {
                let name = name.unwrap_or_default();
                let what = kind.noun();
                let question = match name.as_str() {
                    "" => format!("take the {what} version from the fleet"),
                    name => format!("give the whole fleet the {what} version {name}, untried"),
                };
                consent.obtain(&question)?;
                let (requested_by, reason) = attribution.into_parts();
                let kind = VersionKind::from(kind).into();
                let request = PinVersionRequest { kind, name, requested_by, reason };
                let changed = context.admin()?.versions().pin_version(request).await?.into_inner().changed;
                context.output.note(if changed {
                    "done; browsers that run keep what they have until they start anew: `roost worker restart --all` has them do so"
                } else {
                    "it is so already"
                });
                Ok(())
            }
            Self::Rollout(rollout) => rollout.run(context).await,
        }
    }
}

impl Create {
    async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Self { name, page, library, wa_version, expires, by } = self;
        let (kind, file, expires) = match (page, library, wa_version) {
            (Some(page), ..) => (VersionKind::Page, page, expires),
            (None, Some(library), _) => (VersionKind::Library, library, expires),
            (None, None, dir) => {
                let (file, expires) = of_wa_version(&dir.unwrap_or_default(), &name)?;
                (VersionKind::Page, file, Some(expires))
            }
        };
        let content = read(&file)?;
        let request = CreateVersionRequest {
            name,
            kind: kind.into(),
            content,
            expire_time: expires.map(Into::into),
            requested_by: name_or_user(by),
        };
        let made = context.admin()?.versions().create_version(request).await?.into_inner();
        context.output.one(&VersionView::from(made))
    }
}

impl Rollout {
    async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.versions();
        let (version, selector) = (self.name, self.selector.unwrap_or_default());
        if self.plan {
            let request = PlanRolloutRequest { version, selector, share_percent: self.share };
            let plan = client.plan_rollout(request).await?.into_inner();
            return RolloutPlanView::from(plan).print(&mut context.output);
        }
        let (requested_by, reason) = self.attribution.into_parts();
        let request = StartRolloutRequest {
            version,
            selector,
            share_percent: self.share,
            max_concurrent: self.max_concurrent,
            watch_for: self.watch.try_into().ok(),
            give_up_after: self.give_up.and_then(|span| span.try_into().ok()),
            least_acknowledged: self.sends,
            requested_by,
            reason,
        };
        let operation = client.start_rollout(request).await?.into_inner();
        started(context, operation, self.detach).await
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Input { what: file.display().to_string(), source };
    fs::read_to_string(file).map_err(failed)
}

/// `versions.json` of the package, as far as it is of use.
#[derive(Debug, Deserialize)]
struct WaVersions {
    versions: Vec<WaVersion>,
}

#[derive(Debug, Deserialize)]
struct WaVersion {
    version: String,
    expire: String,
}

/// The file of a page in the package, and when it expires.
fn of_wa_version(dir: &Path, name: &str) -> Result<(PathBuf, SystemTime), Failure> {
    let list = dir.join("versions.json");
    let wrong = |what: String| Failure::Refused(format!("{}: {what}", list.display()));
    let invalid = |source| Failure::Invalid { what: list.display().to_string(), source };
    let known: WaVersions = serde_json::from_str(&read(&list)?).map_err(invalid)?;
    let found = known.versions.iter().find(|known| known.version == name);
    let WaVersion { expire, .. } = found.ok_or_else(|| wrong(format!("there is no version {name}")))?;
    let expires = humantime::parse_rfc3339(expire).map_err(|error| wrong(format!("{expire}: {error}")))?;
    Ok((dir.join("html").join(format!("{name}.html")), expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_package_comes_with_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let list = r#"{"currentVersion": "2.3000.2", "versions": [
            {"version": "2.3000.1", "beta": false, "released": "2026-07-21T20:04:48.543Z", "expire": "2026-09-21T20:04:48.543Z"}]}"#;
        fs::write(dir.path().join("versions.json"), list).unwrap();
        let (file, expires) = of_wa_version(dir.path(), "2.3000.1").unwrap();
        assert_eq!(file, dir.path().join("html/2.3000.1.html"));
        assert_eq!(humantime::format_rfc3339_millis(expires).to_string(), "2026-09-21T20:04:48.543Z");
        assert!(
            of_wa_version(dir.path(), "2.3000.2").unwrap_err().to_string().contains("no version 2.3000.2")
        );
        assert!(of_wa_version(&dir.path().join("x"), "2.3000.1").is_err());
    }
}
