//! A tenant's own proxy as it comes in. What is refused is not told again: a password may be in it.

use roost_model::Proxy;
use roost_proto::v1;

use super::Checks;

const URL_CHARS: usize = 2_048;

/// One without an address is none.
pub(super) fn proxy(checks: &mut Checks, given: Option<v1::Proxy>) -> Option<Option<Proxy>> {
    let v1::Proxy { url, has_credentials } = given.unwrap_or_default();
    if url.is_empty() {
        return Some(None);
    }
    let length = url.chars().count();
    let parsed = if length > URL_CHARS {
        Err(format!("has {length} characters, {URL_CHARS} at most are allowed"))
    } else {
        url.parse::<Proxy>().map_err(|error| error.to_string())
    };
    let proxy = checks.take("tenant.proxy.url", parsed)?;
    if has_credentials && proxy.login.is_none() {
        let why = "its credentials are not shown, and would be lost: give the address with them, or leave proxy out of the update mask";
        return checks.take("tenant.proxy", Err(why.to_owned()));
    }
    Some(Some(proxy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(url: &str, has_credentials: bool) -> Result<Option<Proxy>, String> {
        let mut checks = Checks::default();
        let taken = proxy(&mut checks, Some(v1::Proxy { url: url.into(), has_credentials }));
        taken.ok_or_else(|| checks.refusal().message)
    }

    #[test]
    fn a_proxy_is_taken_with_its_credentials_and_an_empty_one_is_none() {
        let taken = take("socks5://asha:sesame@proxy.example", false).unwrap().unwrap();
        assert_eq!(taken.place.to_string(), "socks5://proxy.example:1080");
        assert_eq!(taken.login.unwrap().password, "sesame");
        assert_eq!(take("", false), Ok(None));
        assert_eq!(proxy(&mut Checks::default(), None), Some(None));
    }

    #[test]
    fn what_is_wrong_is_named_and_not_told_again() {
        for (url, why) in [
            ("asha:sesame@proxy.example:3128", "is no address of a proxy"),
            ("ftp://asha:sesame@proxy.example", "another scheme than http, https and socks5"),
            ("http://asha:sesame/x@proxy.example", "tenant.proxy.url"),
            (&format!("http://asha:sesame@{}", "h".repeat(2_048)), "2048 at most"),
        ] {
            let refused = take(url, false).unwrap_err();
            assert!(refused.contains("tenant.proxy.url") && refused.contains(why), "{refused}");
            assert!(!refused.contains("sesame"), "{refused}");
        }
    }

    #[test]
    fn what_was_shown_cannot_be_given_back_in_the_place_of_what_was_not() {
        let refused = take("http://proxy.example:3128", true).unwrap_err();
        assert!(refused.contains("leave proxy out of the update mask"), "{refused}");
        assert!(take("http://asha:sesame@proxy.example:3128", true).is_ok());
    }
}
