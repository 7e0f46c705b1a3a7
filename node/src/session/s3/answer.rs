//! What a server says when it refuses. The client library has it as a text with the answer's XML in it; what an operator is shown is
//! one line that says what to do.

use object_store::Error;
use roost_model::causes;

/// How the client library begins what a server answered.
const STATUS: &str = "Server returned non-2xx status code: ";

/// Why a server does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the server refuses ({code}): {}", self.advice())]
pub(crate) struct S3Refusal {
    code: String,
    said: String,
}

impl S3Refusal {
    fn advice(&self) -> &str {
        match self.code.as_str() {
            "NoSuchBucket" => "there is no such bucket: make it, or correct --object-store",
            "InvalidAccessKeyId" => {
                "it does not know the access key: correct AWS_ACCESS_KEY_ID or --object-store-credentials-file"
            }
            "SignatureDoesNotMatch" => {
                "the secret key is another: correct AWS_SECRET_ACCESS_KEY or --object-store-credentials-file"
            }
            "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
                "the bucket is in another region or at another endpoint: correct --object-store-region or \
                 --object-store-endpoint"
            }
            "AccessDenied" | "AllAccessDisabled" | "MethodNotAllowed" => {
                "the key may not do this: permit it to get, put, list and delete objects in the bucket"
            }
            "RequestTimeTooSkewed" | "RequestExpired" => {
                "this machine's clock and the server's are too far apart: set both by NTP"
            }
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
                "the session token is over: give a new one in --object-store-credentials-file"
            }
            "SlowDown" | "TooManyRequests" | "ServiceUnavailable" | "Throttling" => {
                "it is busy, and is asked again later"
            }
            _ => &self.said,
        }
    }

    /// No waiting mends it.
    fn is_of_settings(&self) -> bool {
        matches!(
            self.code.as_str(),
            "NoSuchBucket"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
        )
    }
}

/// Whether the settings are wrong.
pub(in crate::session) fn is_of_settings(error: &Error) -> bool {
    matches!(error, Error::Generic { source, .. }
        if source.downcast_ref::<S3Refusal>().is_some_and(S3Refusal::is_of_settings))
}

/// Whether a server that keeps all else does not know what it was asked for, such as a condition.
pub(in crate::session) fn is_not_implemented(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
        || matches!(error, Error::Generic { source, .. }
            if source.downcast_ref::<S3Refusal>().is_some_and(|refusal| refusal.code == "NotImplemented"))
}

/// The same error, of which a person can make something. Whether there was an object, or another than was expected, stays what it is.
pub(in crate::session) fn explained(error: Error) -> Error {
    match error {
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => error,
        // A bucket that is gone, or whoever answers in the server's place: nothing is known of the object.
        Error::NotFound { .. } if says_that_the_object_is_not_there(&error) => error,
        error => match refusal(&error) {
            Some(refusal) => Error::Generic { store: "S3", source: Box::new(refusal) },
            None => error,
        },
    }
}

fn says_that_the_object_is_not_there(error: &Error) -> bool {
    // Stores that are not asked over a network say it themselves.
    refusal(error).is_none_or(|refusal| refusal.code == "NoSuchKey")
}

fn refusal(error: &Error) -> Option<S3Refusal> {
    let text = causes(error).to_string();
    let (_, answer) = text.split_once(STATUS)?;
    let status = answer.split_once(':').map_or(answer, |(status, _)| status).trim().to_owned();
    let message = element(answer, "Message").filter(|message| !message.is_empty());
    Some(S3Refusal {
        code: element(answer, "Code").unwrap_or(&status).to_owned(),
        said: message.unwrap_or("it says no more").to_owned(),
    })
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: &str) -> Error {
        let text = format!("Error performing GET http://127.0.0.1:1/b/x in 1ms - {STATUS}{answer}");
        Error::NotFound { path: "x".into(), source: text.into() }
    }

    #[test]
    fn an_object_is_missing_only_if_the_server_says_that_it_is() {
        let xml = |code| format!("404 Not Found: <Error><Code>{code}</Code><Message>m</Message></Error>");
        assert!(matches!(explained(answered(&xml("NoSuchKey"))), Error::NotFound { .. }));
        for answer in
            [xml("NoSuchBucket"), "404 Not Found: <html>no such host</html>".into(), "404 Not Found: ".into()]
        {
            let error = explained(answered(&answer));
            assert!(matches!(error, Error::Generic { .. }), "{answer}: {error}");
        }
        let of_files = Error::NotFound { path: "x".into(), source: "no such file".into() };
        assert!(matches!(explained(of_files), Error::NotFound { .. }));
    }

    #[test]
    fn what_was_refused_is_told_in_one_line_with_what_to_do() {
        let told = |answer: &str| causes(&explained(answered(answer))).to_string();
        let xml = |code| {
            format!(
                "403 Forbidden: <?xml?>\n<Error><Code>{code}</Code>\n<Message>no, never</Message></Error>"
            )
        };
        for (code, words) in [
            ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
            ("AccessDenied", "permit it"),
            ("RequestTimeTooSkewed", "NTP"),
            ("QuotaExceeded", "no, never"),
        ] {
            let text = told(&xml(code));
            assert!(text.contains(code) && text.contains(words) && !text.contains('<'), "{text}");
        }
        assert!(told("502 Bad Gateway: <html>").contains("502 Bad Gateway"));
    }

    #[test]
    fn only_what_a_person_has_to_correct_counts_as_a_wrong_setting() {
        let xml = |code| format!("403 Forbidden: <Error><Code>{code}</Code></Error>");
        for (code, is_wrong) in [
            ("InvalidAccessKeyId", true),
            ("NoSuchBucket", true),
            ("AccessDenied", false),
            ("SlowDown", false),
        ] {
            assert_eq!(is_of_settings(&explained(answered(&xml(code)))), is_wrong, "{code}");
        }
        assert!(is_not_implemented(&explained(answered(
            "501 Not Implemented: <Error><Code>NotImplemented</Code></Error>"
        ))));
    }
}
