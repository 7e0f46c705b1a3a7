//! `roost dev`: a whole cluster on this machine, shown live until Ctrl-C.

mod board;
mod feed;
mod lines;
mod screen;
mod watch;

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use clap::Args;
use roost_devcluster::{Cluster, DevError, Options, Ports};

use super::{
    Context,
    signals::{self, Signals},
};
use crate::failure::Failure;

const PAGE_URL_HELP: &str =
    "Run against this site, such as https://web.whatsapp.com, and draw its QR codes here, for real phones";

const AFTER_HELP: &str = r#"DIR/dev.json is written when everything is ready (against another site: when all processes serve): every endpoint, pid, token file and tenant. The other `roost` commands find the cluster by it. DIR/logs has one log per process.

A process that is killed stays dead and is shown as dead, so that you can watch what the others do: `kill -9` a node's pid and see its tenants move. At a terminal, `r` starts again whatever is dead, `a` adds a node, and `w` lets a customer write to each tenant. Elsewhere a customer writes with:
  curl -H 'content-type: application/json' SIMULATOR_URL/control/message \
    -d '{"phone": "+255700000001", "from": "+255600000001", "body": "Hello"}'

Ctrl-C or SIGTERM stops everything gracefully, and a second one at once. What a crash leaves behind is ended by the next start in the same directory: only processes that were started from it. State is kept; remove DIR to start afresh."#;

/// The options of `roost dev`.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct Dev {
    /// Nodes to start.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Demo tenants; 6, or 1 with --page-url.
    #[arg(long)]
    tenants: Option<usize>,
    /// How long a silent node keeps its tenants.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    lease_ttl: Duration,
    /// A worker that has not been seen for this long is marked ERROR.
    #[arg(long, default_value = "2m", value_parser = humantime::parse_duration)]
    stale_after: Duration,
    /// The tenants answer every message with `echo: <the message>`, without a reply limit.
    #[arg(long)]
    echo: bool,
    /// Run against another site, the real one for example, and draw its QR codes here, for real phones.
    #[arg(long, value_name = "URL", help = PAGE_URL_HELP)]
    page_url: Option<String>,
    /// Reach everything by TLS, with certificates of an authority of the cluster's own in DIR/tls.
    #[arg(long)]
    tls: bool,
    /// Print a line per change also at a terminal.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    ports: PortArgs,
}

/// A port that is not given is the one of the last start in this directory, or a free one.
#[derive(Debug, Args)]
#[command(next_help_heading = "Ports (free ones unless given)")]
struct PortArgs {
    /// The admin API.
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,
    /// etcd's clients.
    #[arg(long, value_name = "PORT")]
    etcd_port: Option<u16>,
    /// PostgreSQL.
    #[arg(long, value_name = "PORT")]
    postgres_port: Option<u16>,
    /// The simulator's page and control API over HTTP.
    #[arg(long, value_name = "PORT")]
    simulator_port: Option<u16>,
    /// The simulator's page over TLS.
    #[arg(long, value_name = "PORT")]
    simulator_tls_port: Option<u16>,
}

async fn start(options: Options) -> Result<Cluster, DevError> {
    let mut cluster = Cluster::start(options).await?;
    cluster.invite_owner().await?;
    cluster.invite_applicant().await?;
    cluster.invite_admin().await?;
    Ok(cluster)
}

impl Dev {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut signals = Signals::listen(&signals::ENDING)?;
        let full_screen = !self.plain && self.page_url.is_none() && std::io::stdout().is_terminal();
        let options = self.options(context.globals.state_dir());
        context.output.note(&format!(
            "starting {} nodes in {} ...",
            options.nodes,
            options.state_dir.display()
        ));
        let mut cluster = tokio::select! {
            started = start(options) => started?,
            // Dropping what has been started kills it.
            () = signals.received() => return Ok(()),
        };
        let watched =
            watch::until_asked_to_stop(&mut cluster, &mut context.output, full_screen, signals.received())
                .await;
        context.output.note("stopping; Ctrl-C again kills");
        tokio::select! {
            stopped = cluster.stop() => stopped?,
            () = signals.received() => {}
        }
        // Also a reader who went away (`roost dev | head`) is no reason to kill what runs.
        watched
    }

    fn options(self, state_dir: PathBuf) -> Options {
        let usual_tenants = if self.page_url.is_some() { 1 } else { 6 };
        Options {
            nodes: self.nodes,
            tenants: self.tenants.unwrap_or(usual_tenants),
            lease_ttl: self.lease_ttl,
            stale_after: self.stale_after,
            echo: self.echo,
            page_url: self.page_url,
            tls: self.tls,
            ports: Ports {
                etcd: self.ports.etcd_port,
                postgres: self.ports.postgres_port,
                admin: self.ports.admin_port,
                simulator: self.ports.simulator_port,
                simulator_tls: self.ports.simulator_tls_port,
            },
            ..Options::new(state_dir)
        }
    }
}
