//! The console as an operator's browser meets it.

mod pages;
mod phone;
mod sign_in;
