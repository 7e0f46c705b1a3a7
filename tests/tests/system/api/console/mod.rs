//! The console as an operator's browser meets it.

mod pages;
pub mod phone;
mod sign_in;
