//! A site whose server answers with an error.

use axum::http::StatusCode;
use roost_engine::PageEvent;

use crate::{
    site::Site,
    stage::{Stage, event},
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
