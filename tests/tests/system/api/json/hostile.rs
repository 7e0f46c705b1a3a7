//! Callers that mean ill, or know no better.

use serde_json::Value;

use super::caller::Http;
use crate::api::harness::{TOKEN, api};

const GARBAGE_IDS: [&str; 6] =
    ["no-such-thing", "%F0%9F%90%94", "9223372036854775808", "-1", "a%27%3B--", "%20"];
const GARBAGE_BODIES: [&str; 6] = ["{", "[]", "null", "{\"noSuchField\": 1}", "\"text\"", "\u{fffd}\u{1}"];

/// Method, path with garbage ids in it, and whether it takes a body.
fn calls(document: &Value, garbage: &str) -> Vec<(String, String, bool)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let calls = paths.flat_map(|(path, methods)| {
        let parts = path.split(['{', '}']).enumerate();
        let path: String = parts.map(|(number, part)| if number % 2 == 1 { garbage } else { part }).collect();
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, call)| {
            (method.to_ascii_uppercase(), path.clone(), call["requestBody"].is_object())
        })
    });
    calls.collect()
}

#[tokio::test]
async fn whatever_is_sent_to_any_call_is_refused_as_the_callers_fault() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    let document = http.get("/v1/openapi.json").await.ok();
    let json = [("content-type", "application/json")];
    let mut asked = 0;
    for garbage in GARBAGE_IDS {
        for (method, path, takes_body) in calls(&document, garbage) {
            let mut answers = vec![http.bare(&method, &format!("{path}?garbage=1")).await];
            if path.contains(garbage) {
                answers.push(http.raw(&method, &path, &json, if takes_body { "{}" } else { "" }).await);
            }
            if garbage == GARBAGE_IDS[0] {
                for body in GARBAGE_BODIES {
                    answers.push(http.raw(&method, &path, &json, body).await);
                }
                answers.push(http.raw(&method, &path, &[("content-type", "text/plain")], "{}").await);
            }
            for answer in answers {
                asked += 1;
                assert!((400..500).contains(&answer.status), "{method} {path}: {answer:?}");
                let status = answer.status;
                answer.problem(status);
            }
        }
    }
    assert!(asked > 1_000, "{asked}");
}

#[tokio::test]
async fn what_is_too_large_or_in_another_form_is_refused_with_what_to_do() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    let json = [("content-type", "application/json")];
    let large = format!("{{\"content\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(http.raw("POST", "/v1/tenants", &json, &large).await.problem(413)["reason"], "TOO_LARGE");
    http.raw("POST", "/v1/versions", &json, &large).await.problem(400);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let told = http.raw("POST", "/v1/tenants", &form, "phone=1").await.problem(415);
    assert!(told["detail"].as_str().unwrap().contains("content-type: application/json"), "{told}");
    let answer = http.bare("PUT", "/v1/tenants/a").await;
    assert_eq!(answer.header("allow"), Some("GET, PATCH, DELETE"));
    answer.problem(405);
}

#[tokio::test]
async fn a_caller_that_leaves_a_stream_gives_its_place_back() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    // More than the connections, and the streams, that are served at a time.
    for _ in 0..600 {
        http.events("/v1/workers:watch").await;
    }
    http.get("/v1/workers").await.ok();
}
