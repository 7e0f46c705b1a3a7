//! The program `roost-node`. `run` is the guard; the other subcommands are what it runs, by re-executing itself.

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use roost_cluster::{
    registry::{EtcdAccessArgs, EtcdRegistry},
    timing::Timing,
};
use roost_engine::{
    exec_with_parent_death::{die_with, exec_with_parent_death, try_sandbox},
    run_as::{RunAs, UserIds},
};
use roost_model::ids::ClusterName;
use roost_node::{
    config::{ConfigError, NodeArgs},
    guard::{self, DeadMansTimer, EXIT_REFUSED, GuardConfig, GuardError, GuardLink, Program, RestartPolicy},
    host, revoke,
    worker_log::{WorkerLogInbox, worker_log},
};
use roost_telemetry::LogArgs;

/// What is logged unless RUST_LOG says otherwise.
const LOG_FILTER: &str = "info";
/// How long a node may take to hand its tenants over.
const GRACE: Duration = Duration::from_secs(20);

#[derive(Debug, Parser)]
#[command(name = "roost-node", version, about = "Hosts WhatsApp workers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node
    Run {
        #[command(flatten)]
        node: NodeArgs,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Do the node's work; started by `run`
    #[command(hide = true)]
    Child {
        #[arg(long)]
        guard: i32,
        #[command(flatten)]
        node: NodeArgs,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Become a browser that dies with its parent and is not root
    #[command(hide = true)]
    Launch(LaunchArgs),
    /// End the leases of a dead node
    #[command(hide = true)]
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct LaunchArgs {
    #[arg(long, required_unless_present = "try_sandbox")]
    parent: Option<i32>,
    /// The user to become
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// The user exists in a user namespace of its own only
    #[arg(long, requires = "uid")]
    new_user_namespace: bool,
    /// The directory of the control group to be in
    #[arg(long, value_name = "DIR")]
    control_group: Option<PathBuf>,
    /// Only say whether that user's browser could have its sandbox
    #[arg(long, conflicts_with = "command")]
    try_sandbox: bool,
    #[arg(last = true, required_unless_present = "try_sandbox")]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    #[arg(long, value_delimiter = ',', required = true)]
    etcd: Vec<String>,
    #[command(flatten)]
    etcd_access: EtcdAccessArgs,
    #[arg(long)]
    cluster: ClusterName,
    #[arg(long, value_parser = humantime::parse_duration)]
    lease_ttl: Duration,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run { node, log } => {
            log.init(LOG_FILTER);
            run(node, log)
        }
        Command::Child { guard, node, log } => {
            let (layer, tenants_log) = worker_log();
            log.init_with(LOG_FILTER, |filter| layer.beside(filter));
            return child(guard, node, tenants_log);
        }
        Command::Revoke(args) => {
            args.log.init(LOG_FILTER);
            revoke_leases(&args)
        }
        // Between the node and its browser: nothing that costs time is set up.
        Command::Launch(args) => become_browser(&args),
    };
    outcome.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

/// Returns after a trial, or when there is no browser.
fn become_browser(args: &LaunchArgs) -> anyhow::Result<()> {
    let run_as = match (args.uid, args.gid) {
        (Some(uid), Some(gid)) if args.new_user_namespace => RunAs::Namespace(UserIds { uid, gid }),
        (Some(uid), Some(gid)) => RunAs::User(UserIds { uid, gid }),
        _ => RunAs::Caller,
    };
    match args.parent {
        Some(parent) if !args.try_sandbox => {
            Err(exec_with_parent_death(parent, args.control_group.as_deref(), run_as, &args.command).into())
        }
        _ => Ok(try_sandbox(run_as)?),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // `{:#}` is the whole chain on one line.
    eprintln!("roost-node: {error:#}");
    if is_final(error) { ExitCode::from(EXIT_REFUSED) } else { ExitCode::FAILURE }
}

/// Whether it would be the same again after a restart.
fn is_final(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref().is_some_and(|error| matches!(error, GuardError::Refused));
    refused
        || error.downcast_ref::<ConfigError>().is_some()
        || error.downcast_ref().is_some_and(host::HostError::is_final)
}

fn run(args: NodeArgs, log: LogArgs) -> anyhow::Result<()> {
    let config = args.check()?;
    let this = env::current_exe().context("this program does not find itself")?;
    // The child gets what the guard was given, word for word; the environment is inherited.
    let mut child = vec![OsString::from("child"), "--guard".into(), std::process::id().to_string().into()];
    child.extend(env::args_os().skip(2));
    let mut revoke: Vec<OsString> = vec![
        "revoke".into(),
        format!("--etcd={}", config.args.etcd.join(",")).into(),
        format!("--cluster={}", config.args.cluster).into(),
        format!("--lease-ttl={}", humantime::format_duration(config.timing.ttl)).into(),
        format!("--log-format={}", log.log_format.name()).into(),
    ];
    revoke.extend(config.args.etcd_access.to_command_line());
    let guarded = GuardConfig {
        child: Program { path: this.clone(), args: child },
        revoke: Program { path: this, args: revoke },
        restarts: RestartPolicy { max: config.args.max_restarts, window: config.args.restart_window },
        grace: GRACE,
    };
    guard::run(&guarded)?;
    Ok(())
}

fn child(guard: i32, args: NodeArgs, log: WorkerLogInbox) -> ExitCode {
    match run_child(guard, args, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the node cannot go on: {error:#}");
            if is_final(&error) { ExitCode::from(EXIT_REFUSED) } else { ExitCode::FAILURE }
        }
    }
}

fn run_child(guard: i32, args: NodeArgs, log: WorkerLogInbox) -> anyhow::Result<()> {
    die_with(guard)?;
    let link = GuardLink::take_stdout().context("the pipe to the guard cannot be used")?;
    let link = link.with_timer(DeadMansTimer::start().context("the dead man's timer cannot be made")?);
    let config = args.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(host::run(config, link, guard, log))?;
    Ok(())
}

fn revoke_leases(args: &RevokeArgs) -> anyhow::Result<()> {
    let timing = Timing::from_ttl(args.lease_ttl)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let input = &mut std::io::stdin().lock();
    let (cluster, access) = (args.cluster.as_str(), args.etcd_access.open(&args.etcd)?);
    runtime.block_on(async {
        let registry = EtcdRegistry::connect_by(&args.etcd, cluster, timing.request_timeout, access).await?;
        anyhow::Ok(revoke::revoke(&registry, &timing, input).await?)
    })?;
    Ok(())
}
