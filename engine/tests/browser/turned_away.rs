//! A site that is not there as it should be: its server answers with an error, or sends the page elsewhere. And a browser that is not
//! there at all.

use std::sync::Arc;

use axum::http::StatusCode;
use roost_engine::{EngineError, PageEvent};

use crate::{
    site::Site,
    stage::{Stage, Unwatched, event},
};

/// Told with its status, when it is opened and when it is loaded anew.
pub async fn status() {
    let site = Site::answer("127.0.0.2", StatusCode::SERVICE_UNAVAILABLE, "").await;
    let stage = Stage::set(&site.url());
    let mut launched = stage.launch().await.unwrap();
    for _ in 0..2 {
        assert_eq!(event(&mut launched).await, PageEvent::TurnedAway { status: 503 });
        launched.page.reload().await.unwrap();
    }
    launched.page.kill().await;
}

/// The page may not go there, and whoever reads why knows what lets it.
pub async fn redirect() {
    let site = Site::redirect("127.0.0.2", "http://elsewhere.example/").await;
    let failed = Stage::set(&site.url()).launch().await.map(|launched| launched.pid).unwrap_err();
    assert!(matches!(failed, EngineError::Unreachable { .. }), "{failed:?}");
    let told = failed.to_string();
    assert!(told.contains("ERR_NAME_NOT_RESOLVED") && told.contains("--page-hosts"), "{told}");
}

/// Removed, as by an upgrade, while its node ran.
pub async fn no_browser() {
    let site = Site::serve("127.0.0.2", "").await;
    let stage = Stage::with_browser(&site.url(), "/nowhere/browser".into(), Arc::new(Unwatched));
    let failed = stage.launch().await.map(|launched| launched.pid).unwrap_err().to_string();
    assert!(failed.contains("\"/nowhere/browser\" could not be executed"), "{failed}");
}
