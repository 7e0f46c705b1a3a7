//! The part of `roost-node launch`.

use std::{env, ffi::OsString, path::Path};

use roost_engine::{
    exec_with_parent_death::exec_with_parent_death,
    run_as::{RunAs, UserIds},
};

/// Becomes the browser, or panics.
pub fn play() -> ! {
    let args: Vec<OsString> = env::args_os().skip(2).collect();
    let separator = args.iter().position(|arg| arg == "--").unwrap();
    let (flags, command) = (&args[..separator], &args[separator + 1..]);
    let number = |name: &str| {
        let at = flags.iter().position(|flag| flag == name)?;
        flags[at + 1].to_str().unwrap().parse::<u32>().ok()
    };
    let run_as = match (number("--uid"), number("--gid")) {
        (Some(uid), Some(gid)) if flags.iter().any(|flag| flag == "--new-user-namespace") => {
            RunAs::Namespace(UserIds { uid, gid })
        }
        (Some(uid), Some(gid)) => RunAs::User(UserIds { uid, gid }),
        _ => RunAs::Caller,
    };
    let parent = number("--parent").unwrap().cast_signed();
    let group = flags.iter().position(|flag| flag == "--control-group").map(|at| Path::new(&flags[at + 1]));
    panic!("{}", exec_with_parent_death(parent, group, run_as, command))
}
