//! The order of the house: what no compiler checks and a machine can. It reads the sources and builds none of them.

#![cfg(test)]

mod causes;
mod circles;
mod files;
mod imports;
mod retired;
mod tree;
mod unused;
mod walks;
