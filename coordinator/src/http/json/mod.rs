//! The API in JSON: every call of the gRPC API that has a path by its `google.api.http` annotation, without code for any of them.
//!
//! ```text
//!  caller --> server --> JsonApi: routes (which call) --> grpc's trace, auth --> request (JSON becomes a message) --> grpc's limits, services
//!                              <-- answer (JSON, events, problems) <------------------------------------------------------/
//! ```
//!
//! A call goes through the same layers as one over gRPC, under its name there, so it is checked, limited and logged as that is; its body
//! is read when its token is known, and not before. What a path, a field or an answer is called follows from the descriptors
//! (`routes`, `request`, `answer`); so does the description of the API (`openapi`).

mod answer;
mod api;
mod frames;
mod kind;
mod masks;
mod openapi;
mod parameters;
mod path;
mod problem;
mod request;
mod routes;
mod unknown;

pub use api::{JsonApi, JsonApiError};
pub use kind::status_of;
