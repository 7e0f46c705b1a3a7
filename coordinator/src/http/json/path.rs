//! The paths of calls: as the protos have them (`/v1/tenants/{tenant_id}/worker:start`), and as they are asked for.

use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;

/// A path with fields of the request in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    /// What stands after the ':' of a call that is none of the standard ones.
    verb: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// The path of a field of the request.
    Field(String),
}

/// A template that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no path of an API: it takes /v1/things/{{id}}/parts:verb")]
pub struct NoTemplate(String);

impl FromStr for Template {
    type Err = NoTemplate;

    fn from_str(text: &str) -> Result<Self, NoTemplate> {
        let wrong = || NoTemplate(text.to_owned());
        let path = text.strip_prefix('/').ok_or_else(wrong)?;
        let (path, verb) = split_verb(path);
        let segments = path.split('/').map(|segment| {
            let field = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let name = field.unwrap_or(segment);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(wrong());
            }
            let name = name.to_owned();
            Ok(if field.is_some() { Segment::Field(name) } else { Segment::Literal(name) })
        });
        Ok(Self { segments: segments.collect::<Result<_, _>>()?, verb: verb.map(str::to_owned) })
    }
}

impl Template {
    /// The fields that it has, in their order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field(path) => Some(path.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The values of its fields, in their order; None for another path.
    pub fn values(&self, path: &Path) -> Option<Vec<String>> {
        if self.segments.len() != path.segments.len() || self.verb != path.verb {
            return None;
        }
        let mut values = Vec::new();
        for (segment, given) in self.segments.iter().zip(&path.segments) {
            match segment {
                Segment::Literal(literal) if literal == given => {}
                Segment::Field(_) if !given.is_empty() => values.push(given.clone()),
                Segment::Literal(_) | Segment::Field(_) => return None,
            }
        }
        Some(values)
    }

    /// Whether there is a path that both would take.
    pub fn meets(&self, other: &Self) -> bool {
        let same = |(one, other): (&Segment, &Segment)| match (one, other) {
            (Segment::Literal(one), Segment::Literal(other)) => one == other,
            (Segment::Field(_), _) | (_, Segment::Field(_)) => true,
        };
        self.verb == other.verb
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(same)
    }

    /// With the fields named as `name` has it.
    pub fn written(&self, name: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            match segment {
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Field(path) => text.push_str(&format!("{{{}}}", name(path))),
            }
        }
        if let Some(verb) = &self.verb {
            text.push(':');
            text.push_str(verb);
        }
        text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(str::to_owned))
    }
}

/// The path of a request, decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
    verb: Option<String>,
}

/// A path that leads nowhere, whatever there is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPath {
    #[error("the path is not UTF-8 in percents where it is not ASCII")]
    Text,
    #[error("a part of the path holds a '/', a control character or nothing but dots, which no id has")]
    Segment,
}

impl Path {
    /// A ':' that belongs to an id is written %3A.
    pub fn parse(raw: &str) -> Result<Self, NoPath> {
        let (path, verb) = split_verb(raw.strip_prefix('/').unwrap_or(raw));
        let segments = path.split('/').map(decoded).collect::<Result<_, _>>()?;
        Ok(Self { segments, verb: verb.map(decoded).transpose()? })
    }
}

/// The verb of the last segment.
fn split_verb(path: &str) -> (&str, Option<&str>) {
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[last..].rfind(':') {
        Some(colon) => (&path[..last + colon], Some(&path[last + colon + 1..])),
        None => (path, None),
    }
}

fn decoded(raw: &str) -> Result<String, NoPath> {
    let text = percent_decode_str(raw).decode_utf8().map_err(|_| NoPath::Text)?;
    // What follows a percent that is none stays as it is: it is no id, and the call says so.
    if text.contains('/') || text.chars().any(char::is_control) || text == "." || text == ".." {
        return Err(NoPath::Segment);
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        text.parse().unwrap()
    }

    fn values(of: &str, path: &str) -> Option<Vec<String>> {
        template(of).values(&Path::parse(path).unwrap())
    }

    #[test]
    fn a_path_gives_the_fields_of_its_template() {
        assert_eq!(values("/v1/tenants/{id}", "/v1/tenants/asha"), Some(vec!["asha".into()]));
        assert_eq!(values("/v1/tenants/{id}:pin", "/v1/tenants/asha:pin"), Some(vec!["asha".into()]));
        assert_eq!(
            values("/v1/t/{a.b}/c/{d}:e", "/v1/t/x/c/7%40c.us:e"),
            Some(vec!["x".into(), "7@c.us".into()])
        );
        assert_eq!(values("/v1/tenants/{id}", "/v1/tenants/a%3Ab"), Some(vec!["a:b".into()]));
        assert_eq!(values("/v1/cluster", "/v1/cluster"), Some(vec![]));
    }

    #[test]
    fn another_verb_another_length_and_an_empty_id_are_other_paths() {
        for other in
            ["/v1/tenants/a:pin", "/v1/tenants/", "/v1/tenants", "/v1/tenants/a/b", "/v2/tenants/a", "/"]
        {
            assert_eq!(values("/v1/tenants/{id}", other), None, "{other}");
        }
        assert_eq!(values("/v1/tenants/{id}:pin", "/v1/tenants/a:unpin"), None);
    }

    #[test]
    fn what_no_id_has_is_refused() {
        for path in ["/v1/tenants/a%2Fb", "/v1/tenants/a%00", "/v1/tenants/..", "/v1/%2e%2e/x", "/v1/./x"] {
            assert_eq!(Path::parse(path), Err(NoPath::Segment), "{path}");
        }
        assert_eq!(Path::parse("/v1/tenants/%ff"), Err(NoPath::Text));
    }

    #[test]
    fn templates_that_could_take_the_same_path_meet() {
        for (one, other, meet) in [
            ("/v1/a/{id}", "/v1/a/{name}", true),
            ("/v1/a/{id}", "/v1/a/fixed", true),
            ("/v1/{a}/fixed", "/v1/b/{c}", true),
            ("/v1/a/{id}", "/v1/b/{id}", false),
            ("/v1/a/{id}:x", "/v1/a/{id}:y", false),
            ("/v1/a/{id}:x", "/v1/a/{id}", false),
            ("/v1/a", "/v1/a/{id}", false),
        ] {
            assert_eq!(template(one).meets(&template(other)), meet, "{one} {other}");
        }
    }

    #[test]
    fn a_template_is_written_as_it_was_read() {
        for text in ["/v1/cluster", "/v1/tenants/{tenant.id}", "/v1/tenants/{tenant_id}/worker:start"] {
            assert_eq!(template(text).to_string(), text);
        }
        for wrong in ["v1/a", "/v1//a", "/v1/{}", "/v1/{a=*}", "/v1/{a", "/"] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong}");
        }
    }
}
