//! What a coordinator serves: all of it, or a part, where parts are to run apart, such as a portal that people reach from everywhere.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The admin API, in gRPC and in JSON, and the paths of the first system for programs.
    Admin,
    /// The pages of portal and console, and the paths of the first system for front ends.
    Portal,
    /// It stands for election, and removes what is not kept any longer.
    Controller,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub admin: bool,
    pub portal: bool,
    pub controller: bool,
}

impl Parts {
    pub fn of(chosen: &[Part]) -> Self {
        let has = |part| chosen.contains(&part);
        Self { admin: has(Part::Admin), portal: has(Part::Portal), controller: has(Part::Controller) }
    }
}
