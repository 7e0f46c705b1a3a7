//! In which language a page is: what its reader has chosen, else what his browser prefers of those that there are.

use axum::{
    Form,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;

const COOKIE: &str = "roost-language";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    Swahili,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Swahili];

    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Swahili => "sw",
        }
    }

    fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }
}

pub fn of(headers: &HeaderMap) -> Language {
    let said =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let mut cookies = said(header::COOKIE).split(';').filter_map(|pair| pair.trim().split_once('='));
    let chosen = cookies.find(|(name, _)| *name == COOKIE).and_then(|(_, tag)| Language::from_tag(tag));
    chosen.unwrap_or_else(|| preferred(said(header::ACCEPT_LANGUAGE)))
}

/// The one with the greatest weight (RFC 9110), of several the first.
fn preferred(accepted: &str) -> Language {
    let weighed = accepted.split(',').filter_map(|range| {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight =
            parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
        Some((Language::from_tag(tag)?, weight)).filter(|(_, weight)| *weight > 0.0)
    });
    let first_best = weighed.fold(None, |best: Option<(Language, f32)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    first_best.map_or(Language::English, |(language, _)| language)
}

#[derive(Deserialize)]
pub struct Choice {
    language: String,
    back: String,
}

/// Goes back to a page of this server, whatever the form says.
pub async fn choose(Form(Choice { language, back }): Form<Choice>) -> Response {
    let tag = Language::from_tag(&language).unwrap_or(Language::English).tag();
    let cookie = format!("{COOKIE}={tag}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000");
    let is_ours = back.starts_with('/') && !back.starts_with("//") && !back.contains(['\\', '\r', '\n']);
    let back = if is_ours { back.as_str() } else { "/" };
    let cookie = HeaderValue::from_str(&cookie).unwrap_or_else(|_| HeaderValue::from_static(""));
    ([(header::SET_COOKIE, cookie)], Redirect::to(back)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_choice_counts_and_then_the_browsers_preference() {
        let of = |cookie: &'static str, accepted: &'static str| {
            of(&HeaderMap::from_iter([
                (header::COOKIE, HeaderValue::from_static(cookie)),
                (header::ACCEPT_LANGUAGE, HeaderValue::from_static(accepted)),
            ]))
        };
        assert_eq!(of("", "sw-KE,sw;q=0.9,en;q=0.8"), Language::Swahili);
        assert_eq!(of("", "fr, en;q=0.5, sw;q=0.7"), Language::Swahili);
        assert_eq!(of("", "sw;q=0, en;q=0.1"), Language::English);
        assert_eq!(of("", "fr"), Language::English);
        assert_eq!(of("a=b; roost-language=en", "sw"), Language::English);
        assert_eq!(of("roost-language=xx", "sw"), Language::Swahili);
    }
}
