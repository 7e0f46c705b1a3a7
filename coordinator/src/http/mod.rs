//! What is asked in plain HTTP: a face of [`crate::app`] that translates and nothing else.

pub mod health;
