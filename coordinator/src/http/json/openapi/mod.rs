//! The description of the API (OpenAPI 3.1), made from the same descriptors as the API itself, with the comments of the protos.

mod comments;
mod document;
mod operations;
mod schemas;

pub use document::document;
