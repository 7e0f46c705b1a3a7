//! A page that is pinned: its document is answered here whenever the tab loads it, at the start, after a reload and after a
//! log-out alike, and the site is not asked for it. What the document loads comes from the site.
//!
//! Its response has no header of the site's, so none of its policies: whoever pins a document puts in it what it needs.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chromiumoxide_cdp::cdp::browser_protocol::browser::{
    PermissionDescriptor, PermissionSetting, SetPermissionParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::fetch::{
    ContinueRequestParams, EnableParams as FetchParams, FulfillRequestParams, HeaderEntry, RequestId,
    RequestPattern,
};
use chromiumoxide_cdp::cdp::browser_protocol::network::{
    EnableParams as NetworkParams, ResourceType, SetBypassServiceWorkerParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::target::{SessionId, TargetId};
use serde::Deserialize;
use serde_json::Value;

use super::cdp::{ANSWERED_WITHIN, Cdp};
use super::hosts::PageUrl;
use crate::{EngineError, PageVersion};

const STEP: &str = "pinning the page";
/// What Chromium asks a person about, who is not there, before a page from afar connects to a machine that is near.
const NEAR: [&str; 2] = ["loopback-network", "local-network"];
const CONTENT_TYPE: &str = "text/html; charset=utf-8";

pub(super) struct PinnedPage {
    pub version: Arc<PageVersion>,
    pub url: PageUrl,
    /// A tab's own frame has the id of the tab.
    pub tab: TargetId,
}

/// What becomes of a request that the browser has asked about.
#[derive(Debug)]
pub(super) enum Answer {
    Document(FulfillRequestParams),
    GoOn(ContinueRequestParams),
}

/// As much as is needed of what Chromium says of it, so that what it may say beside that keeps no request waiting.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    request_id: RequestId,
    frame_id: String,
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    /// Without its fragment.
    url: String,
}

impl PinnedPage {
    /// From here on the browser asks about every document of the page's origin before it loads it.
    pub(super) async fn intercept(&self, cdp: &Cdp, session: &SessionId) -> Result<(), EngineError> {
        self.permit_near_sites(cdp).await?;
        let session = Some(session);
        // A service worker would answer before anybody is asked. The browser passes it by only where the Network domain is on; what
        // that tells is not read (see `cdp`), and nothing is kept for whoever would ask for it.
        let network = NetworkParams {
            max_total_buffer_size: Some(0),
            max_resource_buffer_size: Some(0),
            max_post_data_size: Some(0),
            ..NetworkParams::default()
        };
        cdp.call(STEP, session, network, ANSWERED_WITHIN).await?;
        cdp.call(STEP, session, SetBypassServiceWorkerParams::new(true), ANSWERED_WITHIN).await?;
        let documents = RequestPattern {
            url_pattern: Some(format!("{}/*", self.url.origin())),
            resource_type: Some(ResourceType::Document),
            request_stage: None,
        };
        let documents = FetchParams { patterns: Some(vec![documents]), ..FetchParams::default() };
        cdp.call(STEP, session, documents, ANSWERED_WITHIN).await.map(drop)
    }

    /// A document that was answered here came from no address, so it counts as one from afar, and could open no websocket to a site
    /// that is near. What it may reach is the business of the resolver's rules. A browser that does not know these permissions does
    /// not ask for them.
    async fn permit_near_sites(&self, cdp: &Cdp) -> Result<(), EngineError> {
        for name in NEAR {
            let permission = PermissionDescriptor::new(name);
            let permitted = SetPermissionParams {
                origin: Some(self.url.origin()),
                ..SetPermissionParams::new(permission, PermissionSetting::Granted)
            };
            match cdp.call(STEP, None, permitted, ANSWERED_WITHIN).await {
                Ok(_) | Err(EngineError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// To a request that is paused. Frames may show the page's address too, and the tab another one.
    pub(super) fn answer(&self, paused: Value) -> serde_json::Result<Answer> {
        let Paused { request_id, frame_id, request } = serde_json::from_value(paused)?;
        if frame_id != *self.tab.inner() || !self.url.is_of_document(&request.url) {
            return Ok(Answer::GoOn(ContinueRequestParams::new(request_id)));
        }
        Ok(Answer::Document(FulfillRequestParams {
            response_headers: Some(vec![HeaderEntry::new("content-type", CONTENT_TYPE)]),
            body: Some(STANDARD.encode(&self.version.html).into()),
            ..FulfillRequestParams::new(request_id, 200)
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tabs_own_document_is_answered_and_no_other() {
        let version = PageVersion { name: "a".to_owned(), html: "<p>é".to_owned() };
        let pinned = PinnedPage {
            version: Arc::new(version),
            url: "https://web.whatsapp.com".parse().unwrap(),
            tab: TargetId::new("tab"),
        };
        let answer = |frame: &str, url: &str| {
            let paused = json!({ "requestId": "interception-1", "frameId": frame, "request": { "url": url, "new": {} }, "resourceType": "New" });
            pinned.answer(paused).unwrap()
        };
        for url in ["https://web.whatsapp.com/", "https://web.whatsapp.com/?post_logout=1"] {
            let Answer::Document(document) = answer("tab", url) else { panic!("{url} is the site's") };
            let body = document.body.unwrap();
            assert_eq!(STANDARD.decode(body.as_ref() as &[u8]).unwrap(), "<p>é".as_bytes());
        }
        for (frame, url) in [
            ("frame", "https://web.whatsapp.com/"),
            ("tab", "https://web.whatsapp.com/business"),
            ("tab", "https://web.whatsapp.com:8443/"),
            ("tab", "http://web.whatsapp.com/"),
            ("tab", "https://static.whatsapp.net/"),
        ] {
            assert!(matches!(answer(frame, url), Answer::GoOn(_)), "{frame} {url}");
        }
        assert!(pinned.answer(json!({ "requestId": "interception-1" })).is_err());
    }
}
