//! Which call is asked for by which method and path: the table that the annotations of the protos (`google.api.http`) make.

use std::sync::Arc;

use http::{Method, Uri, uri::InvalidUri};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};

use super::{
    masks::translated,
    path::{NoTemplate, Path, Template},
};

const ANNOTATION: &str = "google.api.http";

/// The services of these packages are for callers.
const PACKAGE: &str = "roost.v1";

/// Calls that are not to be had over HTTP, and why.
pub const NOT_SERVED: [(&str, &str); 1] = [(
    "roost.v1.SessionService.ImportSession",
    "the server says in the middle of the call which files of the profile it wants, and a request of HTTP is sent before its answer; \
     `roost session import` does it over gRPC",
)];

/// A call, and how it is asked for.
#[derive(Debug, Clone)]
pub struct Route {
    pub http_method: Method,
    pub template: Template,
    pub body: Body,
    pub call: MethodDescriptor,
    /// `/roost.v1.TenantService/GetTenant`, as gRPC asks for it.
    pub grpc_uri: Uri,
}

/// What the body of a request is.
#[derive(Debug, Clone)]
pub enum Body {
    None,
    /// All fields that are not in the path.
    Whole,
    Field(FieldDescriptor),
}

impl Route {
    /// `roost.v1.TenantService`
    pub fn service(&self) -> &str {
        self.call.parent_service().full_name()
    }

    /// A field of the request, by the names of the proto or of JSON, as the caller has sent it: in the names of JSON, and from the body
    /// on where the body is a field.
    pub fn as_sent(&self, path: &str) -> String {
        let path = translated(path, &self.call.input(), |field| field.json_name().to_owned());
        let body = match &self.body {
            Body::Field(field) => {
                path.strip_prefix(field.json_name()).and_then(|rest| rest.strip_prefix('.'))
            }
            Body::None | Body::Whole => None,
        };
        body.map(str::to_owned).unwrap_or(path)
    }
}

/// What is wrong with the annotations.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error(
        "{call} has no google.api.http option with a method and a path, and is none of those that HTTP does without"
    )]
    NoRule { call: String },
    #[error(
        "{call} is one of those that HTTP does without, and has a google.api.http option all the same, or is no call"
    )]
    Served { call: String },
    #[error("{call} streams what it is sent, which no path can say")]
    Streams { call: String },
    #[error("the path of {call} is wrong")]
    Template { call: String, source: NoTemplate },
    #[error("{call} has a name that is no part of a path")]
    Name { call: String, source: InvalidUri },
    #[error("{call} names {field:?}, which is no single field of its request without parts")]
    Field { call: String, field: String },
    #[error("{one} and {other} could be asked for by the same request")]
    Same { one: String, other: String },
}

/// A path that nothing is at, or one that takes other methods.
#[derive(Debug)]
pub enum Unmatched {
    Path,
    Method { allowed: Vec<Method> },
}

/// Every call that is to be had over HTTP.
#[derive(Debug)]
pub struct Routes {
    all: Vec<Arc<Route>>,
}

impl Routes {
    pub fn new(pool: &DescriptorPool) -> Result<Self, RouteError> {
        let services = pool.services().filter(|service| service.package_name() == PACKAGE);
        let calls: Vec<_> = services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
        for (call, _) in NOT_SERVED {
            if !calls.iter().any(|known| known.full_name() == call && rule(known).is_none()) {
                return Err(RouteError::Served { call: call.to_owned() });
            }
        }
        let is_served =
            |call: &&MethodDescriptor| NOT_SERVED.iter().all(|(name, _)| *name != call.full_name());
        let all: Vec<_> = calls.iter().filter(is_served).map(route).collect::<Result<_, _>>()?;
        no_two_meet(&all)?;
        Ok(Self { all: all.into_iter().map(Arc::new).collect() })
    }

    /// In the order of the protos.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.all.iter().map(Arc::as_ref)
    }

    /// The call, and the values of the fields in its path.
    pub fn find(&self, method: &Method, path: &Path) -> Result<(Arc<Route>, Vec<String>), Unmatched> {
        let mut allowed = Vec::new();
        for route in &self.all {
            match route.template.values(path) {
                Some(values) if route.http_method == *method => return Ok((route.clone(), values)),
                Some(_) => allowed.push(route.http_method.clone()),
                None => {}
            }
        }
        Err(if allowed.is_empty() { Unmatched::Path } else { Unmatched::Method { allowed } })
    }
}

fn rule(call: &MethodDescriptor) -> Option<DynamicMessage> {
    let extension = call.parent_pool().get_extension_by_name(ANNOTATION)?;
    let options = call.options();
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

fn route(call: &MethodDescriptor) -> Result<Route, RouteError> {
    let name = || call.full_name().to_owned();
    let rule = rule(call).ok_or_else(|| RouteError::NoRule { call: name() })?;
    if call.is_client_streaming() {
        return Err(RouteError::Streams { call: name() });
    }
    let text = |field: &str| {
        let value = rule.get_field_by_name(field)?;
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let methods = [Method::GET, Method::POST, Method::DELETE, Method::PATCH];
    let pattern = methods.into_iter().find_map(|method| {
        let path = text(&method.as_str().to_ascii_lowercase())?;
        Some((method, path))
    });
    let (http_method, path) = pattern.ok_or_else(|| RouteError::NoRule { call: name() })?;
    let template: Template = path.parse().map_err(|source| RouteError::Template { call: name(), source })?;
    let wrong = |field: &str| RouteError::Field { call: name(), field: field.to_owned() };
    for path in template.fields() {
        field(&call.input(), path).filter(is_single).ok_or_else(|| wrong(path))?;
    }
    let body = match text("body").as_deref() {
        None => Body::None,
        Some("*") => Body::Whole,
        Some(name) => Body::Field(call.input().get_field_by_name(name).ok_or_else(|| wrong(name))?),
    };
    let grpc_path = format!("/{}/{}", call.parent_service().full_name(), call.name());
    let grpc_uri = grpc_path.parse().map_err(|source| RouteError::Name { call: name(), source })?;
    Ok(Route { http_method, template, body, call: call.clone(), grpc_uri })
}

/// The field that the names lead to.
pub fn field(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let found = message.get_field_by_name(name)?;
    match rest {
        None => Some(found),
        Some(_) if found.is_list() || found.is_map() => None,
        Some(rest) => field(found.kind().as_message()?, rest),
    }
}

fn is_single(field: &FieldDescriptor) -> bool {
    !field.is_list() && !field.is_map() && !matches!(field.kind(), Kind::Message(_))
}

fn no_two_meet(routes: &[Route]) -> Result<(), RouteError> {
    for (number, one) in routes.iter().enumerate() {
        let meets =
            |other: &&Route| one.http_method == other.http_method && one.template.meets(&other.template);
        if let Some(other) = routes[number + 1..].iter().find(meets) {
            let [one, other] = [one, other].map(|route| route.call.full_name().to_owned());
            return Err(RouteError::Same { one, other });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path as FilePath};

    use super::*;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(roost_proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    fn routes() -> Routes {
        Routes::new(&pool()).unwrap()
    }

    fn call(routes: &Routes, method: Method, path: &str) -> String {
        let (route, values) = routes.find(&method, &Path::parse(path).unwrap()).unwrap();
        format!("{} {}", route.call.name(), values.join(" "))
    }

    /// Callers rely on every line of it. `ROOST_UPDATE_GOLDEN=1` writes what there is now.
    #[test]
    fn every_call_has_a_path_of_its_own() {
        let routes = routes();
        let lines = routes.iter().map(|route| {
            format!("{} {} -> {}\n", route.http_method, route.template, &route.grpc_uri.path()[1..])
        });
        let told: String = lines.collect();
        let golden = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/http/json/routes.txt");
        if env::var_os("ROOST_UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(&golden).unwrap());
    }

    #[test]
    fn calls_are_found_by_method_and_path() {
        let routes = routes();
        assert_eq!(call(&routes, Method::GET, "/v1/tenants/asha"), "GetTenant asha");
        assert_eq!(call(&routes, Method::PATCH, "/v1/tenants/asha"), "UpdateTenant asha");
        assert_eq!(call(&routes, Method::POST, "/v1/tenants:apply"), "ApplyTenants ");
        assert_eq!(call(&routes, Method::POST, "/v1/tenants/asha/worker:start"), "StartWorker asha");
        let unmatched = |method, path| routes.find(&method, &Path::parse(path).unwrap()).unwrap_err();
        assert!(matches!(unmatched(Method::GET, "/v1/tenant"), Unmatched::Path));
        assert!(matches!(unmatched(Method::GET, "/v1/tenants/asha:unknown"), Unmatched::Path));
        let Unmatched::Method { allowed } = unmatched(Method::PUT, "/v1/tenants/asha") else { panic!() };
        assert_eq!(allowed, [Method::GET, Method::PATCH, Method::DELETE]);
    }

    #[test]
    fn two_calls_that_one_request_could_ask_for_are_refused() {
        let routes = routes();
        let route = |name: &str| routes.iter().find(|route| route.call.name() == name).unwrap().clone();
        let mut other = route("GetNode");
        assert!(no_two_meet(&[route("GetTenant"), other.clone()]).is_ok());
        other.template = "/v1/tenants/{id}".parse().unwrap();
        assert!(matches!(no_two_meet(&[route("GetTenant"), other]), Err(RouteError::Same { .. })));
    }

    #[test]
    fn a_call_without_a_path_is_refused() {
        let without = pool().get_service_by_name("roost.v1.SessionService").unwrap();
        let without = without.methods().find(|call| call.name() == "ImportSession").unwrap();
        assert!(matches!(route(&without), Err(RouteError::NoRule { .. })));
    }
}
