//! Builds of the page, and of wa-js, that are sound or broken: what a change at WhatsApp's or at the library's end brings, for
//! whoever has to notice it.
//!
//! A build of the page is a document of its own. It says in `<meta name="build">` what it breaks, for which share of the phones
//! and from when on, and `page/build.js` does it; the scripts are the same. Of wa-js a sound build is the file of the package.

use std::time::Duration;

use axum::extract::Path;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::control::{Query, invalid, not_too_long, number};
use crate::page::INDEX;
use crate::world::ControlError;

/// Which build of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageBuild {
    Sound,
    /// No module is found where the libraries look for them, so none of them attaches.
    BrokenLookups,
    /// It connects and receives. What it is to send reaches nobody and is never acknowledged: the call hangs.
    BrokenSends,
}

impl PageBuild {
    const ALL: [Self; 3] = [Self::Sound, Self::BrokenLookups, Self::BrokenSends];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|build| build.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::BrokenLookups => "broken-lookups",
            Self::BrokenSends => "broken-sends",
        }
    }
}

/// Where and when a build is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// Of the phones, from 0 to 1.
    pub share: f64,
    /// Of the page's life, each load of which begins anew.
    pub after: Duration,
}

impl Default for Extent {
    fn default() -> Self {
        Self { share: 1.0, after: Duration::ZERO }
    }
}

/// The document. It is whole but for the scripts that it loads from the simulator.
pub fn page(build: PageBuild, extent: Extent) -> String {
    let (name, Extent { share, after }) = (build.name(), extent);
    let after = after.as_millis();
    let declared = format!(
        "<meta name=\"build\" content=\"{name}\" data-share=\"{share}\" data-after=\"{after}\">\n</head>"
    );
    INDEX.replacen("</head>", &declared, 1)
}

/// Whether a build that is broken for such a share of the phones is so for this one: always the same answer, and what is broken
/// in a small share is so in every larger one.
pub fn is_in_share(phone: &str, share: f64) -> bool {
    let [high, low, ..] = <[u8; 32]>::from(Sha256::digest(phone));
    f64::from(u16::from_be_bytes([high, low])) < share * f64::from(1_u32 << 16)
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the text of wa-js as it is known: it does not look for the page's loader where it was expected to"
)]
pub struct NotWaJs;

/// How wa-js sees that the page's loader is there.
const LOADER_IS_THERE: &str = "e.require&&e.__d";

/// A build of wa-js that never gets ready: it looks for the page's loader under a name that this does not have. The text is that of
/// a sound build.
pub fn broken_library(wa_js: &str) -> Result<String, NotWaJs> {
    if !wa_js.contains(LOADER_IS_THERE) {
        return Err(NotWaJs);
    }
    Ok(wa_js.replace(LOADER_IS_THERE, "e.__require&&e.__d"))
}

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/share", get(share))
        .route("/library/broken.js", post(broken))
        .route("/{file}", get(build))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedExtent {
    #[serde(default = "all")]
    share: f64,
    #[serde(default)]
    after: u64,
}

fn all() -> f64 {
    1.0
}

async fn build(
    Path(file): Path<String>,
    Query(AskedExtent { share, after }): Query<AskedExtent>,
) -> Result<Html<String>, ControlError> {
    let build = file.strip_suffix(".html").and_then(PageBuild::named);
    let build = build.ok_or(ControlError::UnknownBuild { file })?;
    let share = checked(share)?;
    not_too_long("after", after)?;
    Ok(Html(page(build, Extent { share, after: Duration::from_millis(after) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPhone {
    phone: String,
    share: f64,
}

/// What the page itself asks for.
async fn share(Query(OfPhone { phone, share }): Query<OfPhone>) -> Result<Json<bool>, ControlError> {
    Ok(Json(is_in_share(&number("phone", &phone)?, checked(share)?)))
}

async fn broken(wa_js: String) -> Result<String, ControlError> {
    broken_library(&wa_js).map_err(|error| invalid("body", format!("cannot be broken: {error}")))
}

fn checked(share: f64) -> Result<f64, ControlError> {
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(invalid("share", format!("is {share}; it has to be from 0 to 1")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_in_a_share_always_or_never_and_about_as_many_are_as_it_says() {
        let phones: Vec<_> = (0..10_000).map(|number| format!("2557{number:08}")).collect();
        for share in [0.0, 0.01, 0.1, 0.5, 1.0] {
            let hit = phones.iter().filter(|phone| is_in_share(phone, share)).count();
            let (of_all, much_too_far) = (hit as f64 / 1e4, 4.0 * (share * (1.0 - share) / 1e4).sqrt());
            assert!((of_all - share).abs() <= much_too_far, "{of_all} of {share}");
        }
        let grows = |phone: &String| !is_in_share(phone, 0.1) || is_in_share(phone, 0.2);
        assert!(phones.iter().all(grows));
        // A pinned document is the same in every process, and so is what it breaks.
        assert!(is_in_share("255700000001", 0.6625) && !is_in_share("255700000001", 0.6623));
    }

    #[test]
    fn a_document_declares_its_build_and_is_the_sites_else() {
        let extent = Extent { share: 0.1, after: Duration::from_secs(600) };
        let declared = r#"<meta name="build" content="broken-sends" data-share="0.1" data-after="600000">"#;
        let document = page(PageBuild::BrokenSends, extent);
        assert!(document.contains(declared), "{document}");
        assert_eq!(document.replace(&format!("{declared}\n"), ""), INDEX);
    }

    #[test]
    fn the_library_that_is_installed_can_be_broken_and_no_other_text() {
        let installed = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/conformance/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js"
        );
        let sound = std::fs::read_to_string(installed).expect("run `make deps`");
        let broken = broken_library(&sound).unwrap();
        assert_ne!(broken, sound);
        assert!(!broken.contains(LOADER_IS_THERE));
        assert_eq!(broken_library("window.WPP = {}"), Err(NotWaJs));
    }
}
