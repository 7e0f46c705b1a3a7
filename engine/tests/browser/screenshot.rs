//! What a page shows: taken of one that does nothing else than usual, and not waited for without an end.

use std::time::{Duration, Instant};

use roost_engine::EngineError;

use crate::{site::Site, stage::Stage};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const FREEZES: &str = "setTimeout(() => { for (;;); }, 1000);";

pub async fn taken() {
    let site = Site::serve("127.0.0.2", "").await;
    let launched = Stage::set(&site.url()).launch().await.unwrap();
    let picture = launched.page.screenshot().await.unwrap();
    assert!(picture.starts_with(PNG) && picture.len() > 100, "{} bytes", picture.len());
    launched.page.kill().await;
    let gone = launched.page.screenshot().await.unwrap_err();
    assert!(matches!(gone, EngineError::Gone), "{gone:?}");
}

pub async fn frozen() {
    let site = Site::serve("127.0.0.2", FREEZES).await;
    let launched = Stage::set(&site.url()).launch().await.unwrap();
    let began = Instant::now();
    let (overdue, took) = loop {
        let asked = Instant::now();
        match launched.page.screenshot().await {
            Ok(_) => assert!(began.elapsed() < Duration::from_secs(30), "it does not freeze"),
            Err(overdue) => break (overdue, asked.elapsed()),
        }
    };
    assert!(matches!(overdue, EngineError::TimedOut { .. }), "{overdue:?}");
    assert!(took < Duration::from_secs(12), "after {took:?}");
    launched.page.kill().await;
}
