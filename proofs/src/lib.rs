//! What is proven about ownership without a process or a socket: `model` looks at every order in which a small cluster's
//! events can happen, `simulation` runs the product's own code through many seeded histories. Both are asked twice: with
//! every guard on they must find nothing, and with any one guard off they must find something.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]
#![allow(clippy::print_stdout, reason = "how much was looked at is part of what a proof says")]

#[cfg(test)]
mod model;
#[cfg(test)]
mod simulation;
