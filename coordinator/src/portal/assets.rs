//! The style and the script of all pages: the same for everybody, and named by what is in them when they are asked for again.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

const FILES: [(&str, &str, &str); 4] = [
    ("portal.css", "text/css; charset=utf-8", include_str!("assets/portal.css")),
    ("console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
    ("portal.js", "text/javascript; charset=utf-8", include_str!("assets/portal.js")),
];

pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = FILES.into_iter().find(|(known, _, _)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let digest = Sha256::digest(content.as_bytes());
    let tag = format!("\"{}\"", hex::encode(&digest[..8]));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let about = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if known == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, kind)], content).into_response()
}
